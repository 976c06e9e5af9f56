"""Claims in the plainest words: prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from extractor.world.chance import Chance
from extractor.world.grammar import sentence
from extractor.world.query import Named, Query
from extractor.world.scene import Thing

T = TypeVar("T")


class _First(Chance):
    """No draws: the first of everything, and nothing that need not be."""

    def yes(self, share: float) -> bool:
        return False

    def one(self, among: Sequence[T]) -> T:
        return among[0]


def plainly(query: Query) -> str:
    """“a red star moves left”."""
    return sentence(query, _First())


def named(colour: str = "", shape: str = "", motion: str = "") -> str:
    """One thing, as far as it is told."""
    return plainly(Query((Named(shape=shape, colour=colour, motion=motion),)))


def numbered(count: int) -> str:
    """“three shapes”."""
    return plainly(Query(count=count))


def moving(thing: Thing, motion: str) -> str:
    """What a thing would be called if it moved so."""
    return named(thing.colour, thing.shape, motion)
