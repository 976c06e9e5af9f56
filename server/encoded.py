"""An encoder with texts that were encoded before, all together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from core.query import Part, Query, Value
from core.types import EncoderSpec, Float32Array, IntArray
from extractor.encoders.base import Adjustable, Around, Contextual, Encoder, around_of

MOST_TEXTS = 256  # in one call, which bounds the memory that it takes


def texts_of(queries: Iterable[Query]) -> list[str]:
    """All that are to be encoded, each once."""
    every = (part.text for query in queries for parts in _parts(query) for part in parts if part.text)
    return [*dict.fromkeys(every)]


def _parts(query: Query) -> list[Sequence[Part]]:
    if query.mode == "text":
        return []  # by words alone
    return [step.parts for step in query.steps] if query.steps else [query.parts]


@dataclass(slots=True)
class Encoded:
    """It answers as the encoder does, and does not encode again what is known."""

    encoder: Encoder
    spec: EncoderSpec
    # Vectors stay on the encoder's device, as what they are there.
    calls: tuple[tuple[dict[str, int], Any], ...]  # the number of each text, and the rows of all

    @classmethod
    def of(cls, encoder: Encoder, texts: Sequence[str]) -> Encoded:
        """With all of these, in as few calls as can be."""
        cut = [texts[first : first + MOST_TEXTS] for first in range(0, len(texts), MOST_TEXTS)]
        return cls(
            encoder,
            encoder.spec,
            tuple(({text: n for n, text in enumerate(some)}, encoder.texts(some)) for some in cut),
        )

    def texts(self, texts: Sequence[str]) -> Any:
        """As they were encoded; anew where they were not, or not in one call."""
        for numbers, rows in self.calls:
            if all(text in numbers for text in texts):
                return rows[[numbers[text] for text in texts]]
        return self.encoder.texts(texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return self.encoder.too_long(texts)

    @property
    def options(self) -> Mapping[str, str]:
        return getattr(self.encoder, "options", {})

    def adjusted(self, queries: Float32Array, chosen: Mapping[str, Value]) -> Float32Array:
        return cast(Adjustable, self.encoder).adjusted(queries, chosen)

    @property
    def around(self) -> Around | None:
        return around_of(self.encoder)

    def frames(self, features: Any, index: Sequence[IntArray]) -> Any:
        return cast(Contextual, self.encoder).frames(features, index)

    def features(self, pictures: Any) -> Any:
        return self.encoder.features(pictures)

    def clips(self, features: Any, index: Sequence[IntArray]) -> Any:
        return self.encoder.clips(features, index)
