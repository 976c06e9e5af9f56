"""The words that S3D's tower of texts knows: where their list is, and texts in its numbers.

The list is a file of its authors' beside their weights; a word's place in it tells its number. It is kept
with the weights that it belongs to, so that a server finds what `extract` was told by its environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core import files
from core.errors import EncoderError, NoTextsError, StoreError
from extractor.encoders import words
from extractor.encoders.s3d_model import WORDS
from extractor.encoders.weights import folder, registered

VARIABLE = "CINEDEX_S3D_WORDS"
FILE = "words.json"
_WORD = re.compile(r"[\w']+")


class Words:
    """A list, or why there is none."""

    def __init__(self, listed: Sequence[str], missing: str = "") -> None:
        self._numbers = {word: number for number, word in enumerate(listed, 1)}
        self._missing = missing

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's first 16 known words, filled up with zeros."""
        return [(row[:WORDS] + [0] * WORDS)[:WORDS] for row in self._known(texts)]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many words of each are known."""
        return [len(row) for row in self._known(texts)]

    def _known(self, texts: Sequence[str]) -> list[list[int]]:
        if self._missing:
            raise NoTextsError(self._missing)
        numbers = self._numbers
        return [[numbers[word] for word in _WORD.findall(text.lower()) if word in numbers] for text in texts]


def words_for(hash: str, count: int, *, name: str) -> Words:
    """Those of the weights with this hash, which know so many: of the file that CINEDEX_S3D_WORDS names, else
    the ones that were kept."""
    kept = folder() / hash / FILE if registered(hash) else None
    is_kept = kept is not None and kept.is_file()
    if asked := os.environ.get(VARIABLE):
        listed = words.read(path := Path(asked))
        if len(listed) != count:
            raise EncoderError(
                f"{path} ({VARIABLE}) lists {len(listed)} words, and the weights of {name} know {count}."
            )
        if kept is not None and is_kept and words.read(kept) != listed:
            raise EncoderError(
                f"{path} ({VARIABLE}) is another list than {kept}, which was used with these weights before; "
                "remove the wrong one."
            )
        if kept is not None and not is_kept:
            with suppress(StoreError):  # who may only read there must tell the server too
                files.replace_text(kept, json.dumps(listed) + "\n")
        return Words(listed)
    if kept is not None and is_kept:
        return Words(words.read(kept))
    return Words(
        (),
        f"{name} reads texts by a list of words that is not on this machine: let {VARIABLE} name its "
        "authors' s3d_dict.npy, or what `cinedex convert` takes out of that.",
    )
