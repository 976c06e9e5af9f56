"""Names of rows, each read when somebody asks for it: of the hundreds looked at, few are ever shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from core.types import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Names(Sequence[str]):
    """A number for each row, and the name that each number stands for."""

    number: IntArray
    name: Callable[[int], str]  # of a number; who numbers them does it in the order of the names

    @classmethod
    def of(cls, names: Sequence[str]) -> Names:
        """Any names as such."""
        if isinstance(names, Names):
            return names
        known = sorted(set(names))
        numbers = {name: number for number, name in enumerate(known)}
        return cls(np.array([numbers[name] for name in names], np.int64), known.__getitem__)

    def __len__(self) -> int:
        return len(self.number)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Names: ...
    def __getitem__(self, at: int | slice) -> str | Names:
        return Names(self.number[at], self.name) if isinstance(at, slice) else self.name(int(self.number[at]))

    def __iter__(self) -> Iterator[str]:
        return map(self.name, self.number.tolist())

    def at(self, rows: IntArray) -> Names:
        """Those of some of the rows."""
        return Names(self.number[rows], self.name)
