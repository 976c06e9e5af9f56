"""The videos that a folder of vectors was made from, where they can be told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from core.errors import UsageError
from core.types import Place
from extractor.find import Listing, Target


@dataclass(frozen=True)
class Media:
    """A folder of videos, searched by what other tools call them."""

    target: Target

    def find(self, name: bytes) -> Place | None:
        """The video at that path, or the only one of that name, or of that name less its suffix."""
        prefix = self.target.folder.rstrip(b"/") + b"/"
        base = os.path.basename(name)
        return (
            self._paths.get(name.removeprefix(prefix)) or self._by_name.get(base) or self._by_stem.get(base)
        )

    @cached_property
    def _paths(self) -> Mapping[bytes, Place]:
        listing = Listing(self.target)
        found = {place.path: place for place in listing}
        for path, why in listing.errors.items():
            raise UsageError(f"{os.fsdecode(os.path.join(self.target.folder, path))} {why}.")
        below = self.target.below
        if not below:
            return found
        return {os.path.relpath(path, below): place for path, place in found.items()} | found

    @cached_property
    def _by_name(self) -> Mapping[bytes, Place]:
        return self._only(os.path.basename)

    @cached_property
    def _by_stem(self) -> Mapping[bytes, Place]:
        return self._only(lambda path: os.path.splitext(os.path.basename(path))[0])

    def _only(self, name: Callable[[bytes], bytes]) -> Mapping[bytes, Place]:
        """By name, where one file alone is called so."""
        held: dict[bytes, set[Place]] = {}
        for place in self._paths.values():
            held.setdefault(name(place.path), set()).add(place)
        return {key: next(iter(places)) for key, places in held.items() if len(places) == 1}
