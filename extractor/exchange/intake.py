"""What was found, into a store: which sources these are, and what is there already."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np

from core import files
from core.errors import UsageError
from core.log import LastWords, Task
from core.rules import Wish, why_not
from core.store import Store
from core.types import Facts, Float32Array, Kind, Place, Sampling, Segment, Source, canonical
from core.writer import KindRows, Writer
from extractor.content import content_of
from extractor.exchange.clips import clips_of, unit
from extractor.exchange.found import Found, Rows
from extractor.exchange.media import Media


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is made of the vectors on their way."""

    clips: Sampling | None  # of pictures without times
    is_unit: bool  # all are of length 1, or will be
    normalise: bool
    again: bool


@dataclass(frozen=True)
class Naming:
    """Which place a source is at."""

    root: str
    media: Media | None = None

    def place(self, found: Found) -> Place:
        """Where its file lies, or would; without a stamp where there is no file."""
        if found.places:
            return found.places[0]
        if "text" in found.rows:
            return Place(self.root, found.name, found.source)
        if self.media and (place := self.media.find(found.name)):
            return place
        path = found.name.lstrip(b"/")
        if not path:
            raise UsageError(f"{found.where} holds a source whose path is empty.")
        return Place(self.root, path)


def imported_id(place: Place) -> str:
    """The name of a source whose content nobody has seen: of its place."""
    data = place.root.encode(errors="surrogateescape") + b"\0" + place.path
    return f"x-{files.hash_bytes(data)}"


def _stamp(found: Found) -> str:
    """Changes with the rows, which are all there is to see."""
    digest = blake2b(canonical(dict(found.columns)).encode(), digest_size=16)
    for kind, rows in sorted(found.rows.items()):
        digest.update(kind.encode())
        for array in (rows.vectors, rows.start, rows.end):
            digest.update(np.ascontiguousarray(array).tobytes())
    return f"rows-{digest.hexdigest()}"


@dataclass
class Intake:
    """One import on its way."""

    store: Store
    naming: Naming
    recipe: Recipe
    rows: Counter[Kind] = field(default_factory=Counter)
    imported: int = 0
    passed_over: int = 0
    without_file: int = 0

    @cached_property
    def _writer(self) -> Writer:
        return Writer(self.store)

    @cached_property
    def _known(self) -> LastWords:
        return self.store.log.last()

    @cached_property
    def _added(self) -> set[str]:
        return set()

    def take(self, found: Found) -> None:
        """One more source, unless it is there."""
        wish = Wish(again=self.recipe.again)
        places = [place for place in self._places(found) if not why_not(self._known, place, wish)]
        if not places:
            self.passed_over += 1
            return
        source, facts = self._identified(found, places[0])
        self._say(found, source, facts, places)
        self.imported += 1
        if self._writer.due:
            self._writer.commit()

    def finish(self) -> None:
        """Make the rest of it true."""
        self._writer.commit()

    def in_words(self) -> str:
        """What it came to."""
        rows = ", ".join(f"{count} {kind} rows" for kind, count in self.rows.items()) or "no rows"
        noun = "source" if self.imported == 1 else "sources"
        there = f"; {self.passed_over} were there already" if self.passed_over else ""
        return f"{self.store.root.name}: {self.imported} {noun} imported, {rows}{there}."

    def _places(self, found: Found) -> tuple[Place, ...]:
        place = self.naming.place(found)
        if found.places:
            return found.places
        return (place if place.stamp else replace(place, stamp=_stamp(found)),)

    def _identified(self, found: Found, place: Place) -> tuple[str, Facts]:
        if found.source:
            return found.source, found.facts
        facts = replace(found.facts, approximate=found.approximate)
        media = self.naming.media
        if media is None or place.stamp.startswith("rows-"):
            self.without_file += 1
            return imported_id(place), facts
        file = os.path.join(media.target.folder, place.path)
        with files.reading(Path(os.fsdecode(file))):
            content = content_of(file)
        return content.id, replace(facts, size=content.size, samples=content.samples)

    def _say(self, found: Found, source: str, facts: Facts, places: Iterable[Place]) -> None:
        first, *copies = (Task(place, self._known.number) for place in places)
        columns = canonical(dict(found.columns)) if found.columns else None
        is_removed, again = self._known.is_removed(source), self.recipe.again
        is_named_by_place = source.startswith("x-")  # so that other rows under its name are its new ones
        has_rows = source in self._added or (self._known.has_rows(source) and not is_named_by_place)
        if not again and (is_removed or has_rows):
            self._writer.seen(first, source, columns=columns)
        else:
            rows = self._rows(source, found)
            self._writer.add(
                first, Source(source), rows, facts, columns=columns, again=again or is_named_by_place
            )
            self._added.add(source)
            self.rows.update({kind: len(vectors) for kind, (_, vectors) in rows.items()})
        if again and is_removed:
            self._writer.restored(source, self._known.number)
        for copy in copies:
            self._writer.seen(copy, source, columns=columns)

    def _rows(self, source: str, found: Found) -> KindRows:
        rows: dict[Kind, Rows] = {kind: self._made(held) for kind, held in found.rows.items()}
        if self.recipe.clips and found.approximate and "frame" in rows:
            rows.setdefault("clip", clips_of(rows["frame"], self.recipe.clips, is_unit=self.recipe.is_unit))
        return {kind: (_segments(source, held), _float32(held)) for kind, held in rows.items()}

    def _made(self, rows: Rows) -> Rows:
        return replace(rows, vectors=unit(_float32(rows))) if self.recipe.normalise else rows


def _segments(source: str, rows: Rows) -> list[Segment]:
    texts: Iterable[str] = rows.text or ("",) * len(rows)
    bounds = zip(rows.start.tolist(), rows.end.tolist(), texts, strict=True)
    return [Segment(source, start, end, text) for start, end, text in bounds]


def _float32(rows: Rows) -> Float32Array:
    return np.asarray(rows.vectors, np.float32)
