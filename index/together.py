"""Which things belong together, by those that are joined."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class Together(Generic[Thing]):
    """Sets that grow by one join after another, each in about the same time however large they are."""

    def __init__(self) -> None:
        self.seen: dict[Thing, Thing] = {}

    def _root(self, thing: Thing) -> Thing:
        while self.seen.setdefault(thing, thing) != thing:
            self.seen[thing] = self.seen[self.seen[thing]]
            thing = self.seen[thing]
        return thing

    def join(self, thing: Thing, other: Thing) -> None:
        self.seen[self._root(thing)] = self._root(other)

    def sets(self) -> list[list[Thing]]:
        found: dict[Thing, list[Thing]] = {}
        for thing in self.seen:
            found.setdefault(self._root(thing), []).append(thing)
        return list(found.values())
