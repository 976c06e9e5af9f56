"""What a query found, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from core.types import Float32Array, Float64Array, IntArray


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was found."""

    score: float
    line: int  # its source's, in sources.arrow
    start: float
    end: float
    part: int  # which of those searched
    position: int


@dataclass(frozen=True, slots=True)
class Rows(Sequence[Row]):
    """Several as columns: of the hundreds that a query finds, few are ever looked at one by one."""

    score: Float32Array
    line: IntArray
    start: Float64Array
    end: Float64Array
    part: IntArray
    position: IntArray

    @classmethod
    def none(cls) -> Rows:
        number, second = np.empty(0, np.int64), np.empty(0)
        return cls(np.empty(0, np.float32), number, second, second, number, number)

    def __len__(self) -> int:
        return len(self.score)

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> Rows: ...
    def __getitem__(self, number: int | slice) -> Row | Rows:
        if isinstance(number, slice):
            seconds = self.start[number], self.end[number]
            return Rows(
                self.score[number], self.line[number], *seconds, self.part[number], self.position[number]
            )
        score, start, end = (float(each[number]) for each in (self.score, self.start, self.end))
        line, part, position = (int(each[number]) for each in (self.line, self.part, self.position))
        return Row(score, line, start, end, part, position)
