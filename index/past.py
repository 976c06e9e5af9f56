"""What the snapshot before was asked, and what was true of its parts: all that still holds is kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.errors import SnapshotError
from core.types import IntArray, Kind
from index import asked as queries
from index import part as parts
from index import truth
from index.asked import Drawn
from index.live import LivePart
from index.part import Run
from index.snapshot import Snapshot, folder_of
from index.truth import Array

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
            drawn = queries.read(path, before.held["files"][queries.FILE], before.store.spec.dim)
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

    def truth(self, part: LivePart, rows: IntArray) -> Array | None:
        """Those rows of what was true of a part, where it is true of what lives now."""
        then = self._then(part)
        each = [found[rows] for found in map(self._read, then) if found is not None]
        if not then or len(each) < len(then):
            return None
        found = truth.together(each, [old.about.rows for old in then])
        is_good = truth.is_good(part, np.concatenate([old.numbers for old in then]), found)
        return found if is_good else None

    def _then(self, part: LivePart) -> list[LivePart]:
        """A part as it was, or those that it was merged from, in their order; none where it is new."""
        if self.before is None:
            return []
        held = [each for each in self.before.parts if each.about.kind == part.about.kind]
        if same := [each for each in held if each.about.name == part.about.name]:
            return same
        smaller = [each for each in held if each.about.rows < part.about.rows]
        try:
            return _merged_from(self._runs(part), [(self._runs(each), each) for each in smaller])
        except SnapshotError as error:
            log.warning("part=%s is compared anew: %s", part.about.name, error)
            return []

    def _runs(self, part: LivePart) -> list[Run]:
        return parts.runs_of(parts.read(part.part.shards.parent / "parts", part.about.name))

    def _read(self, then: LivePart) -> Array | None:
        """What was true of one of the parts before."""
        name = truth.file_of(then.about.name)
        if self.before is None or name not in self.before.held["files"]:
            return None
        path = folder_of(self.before.store.root, self.before.number) / name
        count = len(self.drawn[then.about.kind]) + self._texts(then.about.kind)
        try:
            return truth.read(path, self.before.held["files"][name], count, then.about.rows)
        except SnapshotError as error:
            log.warning("part=%s is compared anew: %s", then.about.name, error)
            return None

    def _texts(self, kind: Kind) -> int:
        return 0 if self.before is None else len(queries.texts(self.before.store, kind, self.drawn))


def _merged_from(runs: Sequence[Run], olds: Sequence[tuple[list[Run], LivePart]]) -> list[LivePart]:
    """The parts whose runs, one part's after another's, are these; none where there are others among them."""
    begins = {old[0]: (old, part) for old, part in olds if old}
    found, at = [], 0
    while at < len(runs):
        old, part = begins.get(runs[at], ([], None))
        if part is None or runs[at : at + len(old)] != old:
            return []
        found.append(part)
        at += len(old)
    return found
