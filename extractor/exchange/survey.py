"""The first of two goes through a folder: whatever is wrong with it is met before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.errors import UsageError
from core.types import Place
from extractor.exchange.found import Dataset, Found, Vectors
from extractor.work import Key, key_of

_BLOCK_ROWS = 65_536
_LARGEST = float(np.finfo(np.float16).max)  # what a store can hold
_UNIT = 0.01  # float16 and a network's own arithmetic leave less than that


@dataclass
class Survey:
    """What all vectors have in common."""

    dim: int = 0
    rows: int = 0
    shortest: float = np.inf
    longest: float = 0.0

    @property
    def are_unit(self) -> bool:
        return self.shortest >= 1 - _UNIT and self.longest <= 1 + _UNIT

    def add(self, vectors: Vectors, where: str) -> None:
        """Some more, or a UsageError."""
        dim = vectors.shape[1]
        if self.dim and dim != self.dim:
            raise UsageError(f"{where} holds vectors of {dim} numbers, not of {self.dim}.")
        self.dim = dim
        self.rows += len(vectors)
        for first in range(0, len(vectors), _BLOCK_ROWS):
            block = vectors[first : first + _BLOCK_ROWS]
            largest = np.abs(block).max(axis=1).astype(np.float64)
            if wrong := np.flatnonzero(~(largest <= _LARGEST)).tolist():
                raise UsageError(
                    f"{where} row {first + wrong[0]} is no vector: it holds {largest[wrong[0]]:g}, and a "
                    f"store holds finite numbers up to {_LARGEST:g}."
                )
            lengths = np.linalg.norm(block.astype(np.float32), axis=1)
            self.shortest = min(self.shortest, float(lengths.min()))
            self.longest = max(self.longest, float(lengths.max()))


def survey(dataset: Dataset, dim: int | None, place_of: Callable[[Found], Place]) -> Survey:
    """Look at everything; UsageError where a vector cannot be stored, or two sources are at one place."""
    found = Survey(dim or 0)
    seen: dict[Key, str] = {}
    for each in dataset:
        key = key_of(place := place_of(each))
        if key in seen:
            raise UsageError(f"{each.where} and {seen[key]} both hold what would be {place.shown}.")
        seen[key] = each.where
        for rows in each.rows.values():
            found.add(rows.vectors, each.where)
    return found
