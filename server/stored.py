"""What is stored of one video or library text that a request names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.types import Kind
from index.snapshot import Snapshot
from index.timeline import Timeline
from server.errors import ApiError


@dataclass(frozen=True, slots=True)
class Named:
    """A source, and perhaps only seconds [start, end) of it."""

    source: str
    start: float | None = None
    end: float | None = None
    at: str = ""  # where in the request, if it is within something

    def rows(self, view: Snapshot, *kinds: Kind) -> tuple[Kind, Timeline]:
        """Of the first of these kinds that it has, or the ApiError that says what is wrong."""
        start = -np.inf if self.start is None else self.start
        end = np.inf if self.end is None else self.end
        for kind in kinds:
            if found := Timeline.of(view, self.source, kind, start, end):
                return kind, found
            if whole := Timeline.of(view, self.source, kind):
                raise self._outside(float(whole.start.min()), float(whole.end.max()))
        if view.source(self.source) is None:
            raise self._wrong(404, "video_id", f"there is no {self.source!r} in this collection")
        raise self._wrong(409, "video_id", f"{self.source} has no {' or '.join(kinds)} rows")

    def _outside(self, first: float, last: float) -> ApiError:
        if self.source.startswith("t-"):
            return self._wrong(400, "end" if self.start is None else "start", "a text has no seconds")
        is_before = self.end is not None and self.end <= first
        why = f"no row of the video lies in that range; they go from {first:g} to {last:g}"
        return self._wrong(400, "end" if is_before or self.start is None else "start", why)

    def _wrong(self, status: int, name: str, why: str) -> ApiError:
        field = f"{self.at}.{name}" if self.at else name
        return ApiError(status, f"{field}: {why}.", field)
