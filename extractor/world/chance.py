"""Draws that are the same on every machine: of Python's generator only what is promised never to change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of draws of its own for each key."""

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
        self._share = Random(int.from_bytes(digest, "big")).random

    def yes(self, share: float) -> bool:
        """True in that share of all cases."""
        return self._share() < share

    def below(self, count: int) -> int:
        """0 to count - 1."""
        return int(self._share() * count)

    def between(self, low: float, high: float) -> float:
        """Anywhere between them."""
        return low + self._share() * (high - low)

    def one(self, among: Sequence[T]) -> T:
        """Each as often as the others."""
        return among[int(self._share() * len(among))]

    def some(self, among: Sequence[T], count: int) -> list[T]:
        """That many different ones in any order."""
        left = list(among)
        return [left.pop(self.below(len(left))) for _ in range(count)]
