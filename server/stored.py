"""What is stored of one video or library text that a request names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.types import Float32Array, Kind
from index.snapshot import Snapshot
from index.timeline import Timeline
from server.errors import ApiError

UNIT = 5e-3  # how far from length 1 the float16 rows of a unit encoder may be
NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Named:
    """A source, and perhaps only seconds [start, end) of it."""

    source: str
    start: float | None = None
    end: float | None = None

    def rows(self, view: Snapshot, *kinds: Kind) -> tuple[Kind, Timeline]:
        """Of the first of these kinds that it has, or the ApiError that says what is wrong."""
        start = -np.inf if self.start is None else self.start
        end = np.inf if self.end is None else self.end
        for kind in kinds:
            if found := Timeline.of(view, self.source, kind, start, end):
                return kind, found
            if whole := Timeline.of(view, self.source, kind):
                ends = f"{whole.end.max():g}"
                message = f"start: no row of the video reaches into that range; it ends at {ends}."
                raise ApiError(400, message, "start")
        if view.source(self.source) is None:
            raise ApiError(404, f"video_id: there is no {self.source!r} in this collection.", "video_id")
        raise ApiError(409, f"video_id: {self.source} has no {' or '.join(kinds)} rows.", "video_id")


def mean(rows: Timeline) -> Float32Array:
    """Of their vectors; of vectors of length 1 again one of length 1."""
    total, is_unit = np.zeros(rows.view.store.spec.dim), True
    for vectors in rows.vectors():
        total += vectors.sum(axis=0, dtype=np.float64)
        is_unit &= np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=UNIT)
    total /= len(rows)
    length = float(np.linalg.norm(total))
    if is_unit and length > NOTHING:
        total /= length
    return total.astype(np.float32)
