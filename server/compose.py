"""The parts of a query → one vector, and what they themselves must not find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.query import Part, Query, Search
from core.types import Float32Array, Float64Array, Kind, Segment
from extractor.encoders.base import Encoder
from index.calibration import Asking
from server.errors import ApiError

_UNIT = 5e-3  # how far from length 1 the float16 rows of a unit encoder may be
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Asked:
    """What is searched for, float32 [dim], and where not to look."""

    vector: Float32Array
    truncated: bool
    sources: frozenset[str]  # whole
    ranges: tuple[Part, ...]  # of others
    asking: Asking = "text"  # what most of it is made of
    each: Float32Array | None = None  # the vector of each part, float32 [parts, dim]

    def is_own(self, row: Segment) -> bool:
        """Whether a row lies in a range that was asked with."""
        return any(part.source == row.source and reaches(row, part) for part in self.ranges)


def compose(query: Query, kinds: Sequence[Kind], encoder: Encoder, view: Search) -> Asked:
    """Σ weight · vector / Σ weight; `kinds`: which rows of a stored video are its vector, in that order."""
    texts = [part.text for part in query.parts if part.text]
    encoded = iter(encode(encoder, texts))
    vectors = [
        next(encoded) if part.text else _stored(part, number, kinds, view)
        for number, part in enumerate(query.parts)
    ]
    weights = np.array([part.weight for part in query.parts])
    each = np.stack(vectors)
    vector = _mean(each, weights)
    if np.linalg.norm(vector) < _NOTHING:
        raise ApiError(400, "query: its parts cancel each other out.", "query")
    return Asked(
        vector,
        any(encoder.too_long(texts)) if texts else False,
        frozenset(part.source for part in query.parts if part.source and not _is_range(part)),
        tuple(part for part in query.parts if part.source and _is_range(part)),
        _asking(query.parts),
        each,
    )


def _asking(parts: Sequence[Part]) -> Asking:
    """What most of a query is made of: texts, stored ones among them, or videos."""
    texts = sum(part.weight for part in parts if part.text or part.source.startswith("t-"))
    return "text" if 2 * texts >= sum(part.weight for part in parts) else "video"


def unseen(encoder: Encoder) -> Asked:
    """What is looked for by words alone."""
    return Asked(np.zeros(encoder.spec.dim, np.float32), False, frozenset(), ())


def encode(encoder: Encoder, texts: Sequence[str]) -> Float32Array:
    """float32 [len(texts), dim] on the host."""
    if not texts:
        return np.empty((0, encoder.spec.dim), np.float32)
    found: Float32Array = encoder.texts(list(texts)).detach().float().cpu().numpy()
    return found


def reaches(row: Segment, part: Part) -> bool:
    """Whether a row reaches into a part's [start, end)."""
    return (part.end is None or row.start < part.end) and (part.start is None or row.end > part.start)


def _is_range(part: Part) -> bool:
    return part.start is not None or part.end is not None


def _stored(part: Part, number: int, kinds: Sequence[Kind], view: Search) -> Float32Array:
    for kind in kinds:
        rows, vectors = view.vectors(part.source, kind)
        if not rows:
            continue
        wanted = [i for i, row in enumerate(rows) if not _is_range(part) or reaches(row, part)]
        if wanted:
            return _mean(vectors[wanted], np.ones(len(wanted)))
        ends = f"{rows[-1].end:g}"
        message = f"query[{number}].start: no row of the video reaches into that range; it ends at {ends}."
        raise ApiError(400, message, f"query[{number}].start")
    message = f"query[{number}].video_id: there is no {part.source!r} in this collection."
    raise ApiError(404, message, f"query[{number}].video_id")


def _mean(vectors: Float32Array, weights: Float64Array) -> Float32Array:
    """The weighted mean; of vectors of length 1 again one of length 1."""
    scaled = weights / np.abs(weights).max()  # first: the smallest ones are no float32
    mean: Float32Array = (scaled @ vectors / scaled.sum()).astype(np.float32)
    length = float(np.linalg.norm(mean))
    if length > _NOTHING and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=_UNIT):
        mean /= np.float32(length)
    return mean
