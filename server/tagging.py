"""Which of some labels a stored video is most like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.types import Float32Array, Float64Array, Kind
from extractor.encoders.base import Encoder, unknown_to
from server.judged import rounded
from server.labels import Labelling
from server.means import mean
from server.searcher import Searcher
from server.stored import Named

LOGIT_SCALE = 100.0  # CLIP's own, for encoders that say none


@dataclass(frozen=True, slots=True)
class Tag:
    """A label, how like it the video is, and its share among all labels."""

    label: str
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Tagged:
    """All labels, best first."""

    tags: list[Tag]
    encoder: str
    snapshot: int
    truncated: bool
    unknown: tuple[str, ...]  # labels of no word that the encoder knows


def tagged(searcher: Searcher, named: Named, labelling: Labelling, seconds: float) -> Tagged | None:
    """None where some labels are not encoded within about so many seconds; what is done is not lost."""
    _, rows = named.rows(searcher.view, "clip", "frame", "text")
    if not labelling.advance(searcher.encoder, seconds):
        return None
    vectors, truncated = labelling.vectors()
    tags = ranked(labelling.vocabulary.labels, vectors, mean(rows.vectors()), searcher.encoder)
    unknown = unknown_to(searcher.encoder, labelling.vocabulary.labels)
    return Tagged(tags, searcher.name, searcher.view.number, truncated, unknown)


@dataclass(frozen=True, slots=True)
class TaggedRow:
    """The labels of seconds [start, end), best first."""

    start: float
    end: float
    tags: list[Tag]


def tagged_rows(
    searcher: Searcher, named: Named, kind: Kind, labelling: Labelling, most: int | None = None
) -> list[TaggedRow]:
    """Each row of a kind by itself, in the order of time; the labels must be encoded."""
    _, rows = named.rows(searcher.view, kind)
    labels, (vectors, _) = labelling.vocabulary.labels, labelling.vectors()
    found = [ranked(labels, vectors, row, searcher.encoder, most) for some in rows.vectors() for row in some]
    times = zip(rows.start.tolist(), rows.end.tolist(), rows.order.tolist(), strict=True)
    return [TaggedRow(start, end, found[at]) for start, end, at in times]


def ranked(
    labels: tuple[str, ...],
    vectors: Float32Array,
    video: Float32Array,
    encoder: Encoder,
    most: int | None = None,
) -> list[Tag]:
    """Best first; of equal ones, as they were given. most: only so many, their shares still among all."""
    scores = (vectors @ video).astype(np.float64)
    shares = _softmax(scores * float(getattr(encoder, "logit_scale", LOGIT_SCALE)))
    order = np.argsort(-scores, kind="stable")[:most].tolist()
    return [Tag(labels[at], rounded(float(scores[at])), float(shares[at])) for at in order]


def _softmax(logits: Float64Array) -> Float64Array:
    weights = np.exp(logits - logits.max())
    found: Float64Array = weights / weights.sum()
    return found
