"""A source's rows in order of time, and what queries score along them, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.types import Float32Array, Float64Array, IntArray, Kind
from index import part as parts
from index.live import LivePart
from index.snapshot import Snapshot

_AT_ONCE = 8_192  # rows whose vectors are in memory


@dataclass(frozen=True, slots=True)
class Timeline:
    """When the rows of one kind begin and end, and where their vectors lie."""

    view: Snapshot
    start: Float64Array
    end: Float64Array
    held: Sequence[tuple[LivePart, IntArray]]
    order: IntArray  # from how they are held to how they come

    @classmethod
    def of(
        cls, view: Snapshot, source: str, kind: Kind, start: float = -np.inf, end: float = np.inf
    ) -> Timeline:
        """Of the rows that reach into [start, end)."""
        held = view.reaching(source, kind, start, end)
        rows = [part.part.rows[positions] for part, positions in held]
        starts, ends = (
            np.concatenate([np.empty(0), *(each[name] for each in rows)]) for name in ("start", "end")
        )
        order = np.lexsort((ends, starts))
        return cls(view, starts[order], ends[order], held, order)

    def __len__(self) -> int:
        return len(self.order)

    def vectors(self) -> Iterator[Float32Array]:
        """Of all rows, some at a time, in no order."""
        for part, positions in self.held:
            for first in range(0, len(positions), _AT_ONCE):
                yield parts.exact(self.view.store, part.part, positions[first : first + _AT_ONCE])

    def scores(self, queries: Float32Array) -> Float32Array:
        """float32 [queries, rows]."""
        found = [queries @ vectors.T for vectors in self.vectors()]
        none = np.empty((len(queries), 0), np.float32)
        scores: Float32Array = np.concatenate([none, *found], axis=1)[:, self.order]
        return scores
