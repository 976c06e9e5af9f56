"""What the snapshot before was asked, and what was true of its parts: all that still holds is kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from core.errors import SnapshotError
from core.types import IntArray, Kind
from index import asked as queries
from index import truth
from index.asked import Drawn
from index.live import LivePart
from index.snapshot import Snapshot, folder_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Past:
    """Of one snapshot, as another one that is being made can use it; of none where nothing can be used."""

    before: Snapshot | None = None
    drawn: Mapping[Kind, Drawn] = field(default_factory=dict)
    kept: Mapping[Kind, IntArray] = field(default_factory=dict)  # which of the drawn are asked again

    @classmethod
    def of(cls, before: Snapshot | None, now: Snapshot, sample: int) -> Past:
        if before is None or queries.FILE not in before.held["files"]:
            return cls()
        path = folder_of(before.store.root, before.number) / queries.FILE
        try:
            drawn = queries.read(path, before.held["files"][queries.FILE])
        except SnapshotError as error:
            log.warning("snapshot=%d is measured anew: %s", now.number, error)
            return cls()
        left = {
            kind: queries.still_good(now, kind, each, sample)
            for kind, each in drawn.items()
            if kind in now.rows
        }
        return cls(before, drawn, {kind: numbers for kind, numbers in left.items() if numbers is not None})

    def draw(self, now: Snapshot, sample: int) -> dict[Kind, Drawn]:
        """What is asked now: what was, or others."""
        return {
            kind: self.drawn[kind].only(self.kept[kind])
            if kind in self.kept
            else queries.draw(now, kind, sample)
            for kind in now.rows
        }

    def rows(self, kind: Kind, now: Mapping[Kind, Drawn]) -> IntArray | None:
        """Which rows of the truth before are those of the queries of now; None where it lacks some."""
        by_text = kind != "text" and ("text" in now or "text" in self.drawn)
        if self.before is None or kind not in self.kept or (by_text and "text" not in self.kept):
            return None
        texts = self.kept["text"] if by_text else np.arange(self._texts(kind))
        return np.concatenate([self.kept[kind], len(self.drawn[kind]) + texts])

    def truth(self, part: LivePart, rows: IntArray) -> truth.Array | None:
        """Those rows of what was true of a part, where it is true of what lives now."""
        held = self.before.parts if self.before else ()
        then = next((each for each in held if each.about.name == part.about.name), None)
        name = truth.file_of(part.about.name)
        if self.before is None or then is None or name not in self.before.held["files"]:
            return None
        path = folder_of(self.before.store.root, self.before.number) / name
        count = len(self.drawn[part.about.kind]) + self._texts(part.about.kind)
        try:
            found = truth.read(path, self.before.held["files"][name], count)[rows]
        except SnapshotError as error:
            log.warning("part=%s is compared anew: %s", part.about.name, error)
            return None
        return found if truth.is_good(part, then, found) else None

    def _texts(self, kind: Kind) -> int:
        return 0 if self.before is None else len(queries.texts(self.before.store, kind, self.drawn))
