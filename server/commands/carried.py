"""What one store holds and another of its collection lacks yet, and what is taken over without decoding."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.collections import Library
from core.log import LastWords, Task, saying
from core.rules import LiveSource
from core.store import Store
from core.types import Facts, Float32Array, Place, Segment, Source, canonical
from core.writer import KindRows, Writer
from index.rows import View

if TYPE_CHECKING:
    from extractor.encoders.base import Encoder

_TEXTS = 64  # encoded together


@dataclass(slots=True)
class Missing:
    """Live sources of the old store that the new one has not got."""

    videos: list[tuple[LiveSource, Sequence[str]]]  # to be decoded again, with their files
    gone: list[LiveSource]  # no file of theirs is where it was
    texts: list[tuple[LiveSource, str]]
    told: dict[str, str]  # place → why the new store could not take it
    seconds: float = 0.0  # of the videos


def missing(old: Store, new: Store | None, library: Library) -> Missing:
    """As of now."""
    view, where = View(old, old.log.last()), Whereabouts.of(library)
    there, known = new.log.last() if new else LastWords(), view.known()
    found = Missing([], [], [], {})
    for source in view.live:
        held = known.get(source.id)
        if source.id.startswith("t-"):
            if not there.has_rows(source.id):
                found.texts.append((source, held.text if held else ""))
            continue
        words = [there.place(place) for each in source.places for place in where.names(each)]
        said = [word for word in words if word is not None]
        files = [file for place in source.places if (file := where.file(place))]
        if any(word.word == "done" for word in said):
            continue
        if why := next((w.error or w.word for w in said if w.word in ("failed", "skipped")), ""):
            found.told[source.places[0].shown] = why
        elif files:
            found.videos.append((source, files))
            found.seconds += float(held.facts.get("seconds") or 0) if held else 0.0
        else:
            found.gone.append(source)
    return found


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where places lie now, by the roots that are known."""

    folders: Mapping[str, bytes]
    bases: Mapping[str, str]

    @classmethod
    def of(cls, library: Library) -> Whereabouts:
        folders = {name: os.path.abspath(os.fsencode(path)) for name, path in library.roots().items()}
        return cls(folders, library.bases())

    def file(self, place: Place) -> str:
        """The file or address of a place; "" where it is gone."""
        if place.root in self.bases:
            return f"{self.bases[place.root]}/{os.fsdecode(place.path)}"
        folder = self.folders.get(place.root)
        file = os.path.join(folder, place.path) if folder else b""
        return os.fsdecode(file) if file and os.path.isfile(file) else ""

    def names(self, place: Place) -> list[Place]:
        """The place, and what a list calls it where its root lies within, or around, another one."""
        if place.root not in self.folders:
            return [place]
        file = os.path.join(self.folders[place.root], place.path)
        around = [(len(f), name, f) for name, f in self.folders.items() if file.startswith(f + b"/")]
        _, name, folder = max(around, default=(0, place.root, self.folders[place.root]))
        return list(dict.fromkeys([place, Place(name, file[len(folder) + 1 :], place.stamp)]))


def write_list(path: Path, videos: Sequence[tuple[LiveSource, Sequence[str]]]) -> None:
    """For `extract --videos`: every file of these sources, with the columns that they have."""
    found: dict[str, dict[str, Any]] = {}
    for source, names in videos:
        for name in names:
            found.setdefault(name, {}).update(source.columns)
    with path.open("w", encoding="ascii") as lines:
        for name, columns in found.items():
            lines.write(json.dumps({**columns, "path": name}) + "\n")


def carry_texts(texts: Sequence[tuple[LiveSource, str]], new: Store, encoder: Encoder) -> None:
    """Library texts at the places they had, by another encoder."""
    for first in range(0, len(texts), _TEXTS):
        some = texts[first : first + _TEXTS]
        writer, since = Writer(new), new.log.last().number
        vectors: Float32Array = encoder.texts([text for _, text in some]).float().cpu().numpy()
        for (source, text), vector in zip(some, vectors, strict=True):
            _add(writer, since, source, text, vector)
        writer.commit()


def _add(writer: Writer, since: int, source: LiveSource, text: str, vector: Float32Array) -> None:
    columns = canonical(dict(source.columns)) if source.columns else None
    first, *others = source.places
    rows: KindRows = {"text": ([Segment(source.id, text=text)], np.asarray(vector)[None])}
    writer.add(Task(first, since), Source(source.id, text=text), rows, Facts(), columns=columns)
    for place in others:
        writer.seen(Task(place, since), source.id, columns=columns)


def carry_removals(old: Store, new: Store) -> None:
    """What is out of the answers of one store is out of the other's, and is not decoded again to find out."""
    said, known = old.log.last(), new.log.last()
    writer = Writer(new)
    for source in sorted(said.removed() - known.removed()):
        writer.removed(source, known.number)
    writer.commit()
    known = new.log.last()  # a place can only name what has rows or is removed
    for each in saying(said, "done"):
        if said.is_removed(each.word.source) and known.place(each.word.place) is None:
            writer.seen(Task(each.word.place, known.number), each.word.source, columns=each.word.columns)
    writer.commit()


def has_line_vectors(store: Store) -> bool:
    """Whether subtitles or transcripts were embedded, and not only kept."""
    view = View(store, store.log.last())
    return any(run.layer != "text" for run in view.runs("text"))
