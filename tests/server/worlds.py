"""Libraries to serve: stores of the toy encoder, filled by the real writer and built by the real index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import get_args

import numpy as np

from core.collections import Library
from core.log import Task
from core.store import Store, store_slug
from core.types import EncoderSpec, Facts, Float32Array, Kind, Place, Sampling, Segment, Source, Thumbs
from core.writer import NO_THUMBS, KindRows, Writer
from extractor.encoders import load
from index.build import build
from server import keys
from server.keys import KeysFile

TOY = load("toy:rgb")
CLIP_S, STRIDE_S = 8, 4

Scenes = list[tuple[str, int]]  # colour, seconds


def id_of(name: str, kind: str = "v") -> str:
    return f"{kind}-{blake2b(name.encode(), digest_size=16).hexdigest()}"


def vector(text: str) -> Float32Array:
    found: Float32Array = TOY.texts([text]).numpy()[0]
    return found


def video_rows(id: str, scenes: Scenes, kinds: Iterable[Kind] = ("frame", "clip")) -> KindRows:
    """A frame a second, clips of 8 seconds every 4, as extract makes them."""
    frames = np.stack([vector(colour) for colour, seconds in scenes for _ in range(seconds)])
    count = len(frames)
    starts = [*range(0, max(count - CLIP_S, 0) + 1, STRIDE_S)]
    clips = np.stack([_unit(frames[start : start + CLIP_S].mean(axis=0)) for start in starts])
    rows: dict[Kind, tuple[list[Segment], Float32Array]] = {
        "frame": ([Segment(id, float(t), float(t + 1)) for t in range(count)], frames),
        "clip": ([Segment(id, float(t), float(min(t + CLIP_S, count))) for t in starts], clips),
    }
    return {kind: rows[kind] for kind in kinds}


def _unit(row: Float32Array) -> Float32Array:
    found: Float32Array = (row / np.linalg.norm(row)).astype(np.float32)
    return found


@dataclass(frozen=True)
class Shelf:
    """One store of a library."""

    library: Library
    store: Store

    @classmethod
    def make(
        cls, data: Path, collection: str = "default", slug: str = "", spec: EncoderSpec = TOY.spec
    ) -> Shelf:
        library, slug = Library(data), slug or store_slug(spec.name)
        store = Store.create(library.store_path(slug), spec, Sampling())
        library.add_store(collection, slug)
        return cls(library, store)

    def add(
        self,
        videos: Mapping[str, Scenes] | None = None,
        texts: Iterable[str] = (),
        kinds: Iterable[Kind] = ("frame", "clip"),
        columns: str | None = None,
        thumbs: Thumbs = NO_THUMBS,
    ) -> None:
        writer, since = Writer(self.store), self.store.log.last().number
        for name, scenes in (videos or {}).items():
            id = id_of(name)
            task = Task(Place("films", f"{name}.mp4".encode(), "1"), since)
            seconds = float(sum(length for _, length in scenes))
            facts = Facts(size=len(name), seconds=seconds)
            writer.add(task, Source(id), video_rows(id, scenes, kinds), facts, columns=columns, thumbs=thumbs)
        for text in texts:
            id = id_of(text, "t")
            rows: KindRows = {"text": ([Segment(id, text=text)], vector(text)[None])}
            task = Task(Place("films", f"captions.txt#{id}".encode(), id), since)
            writer.add(task, Source(id, text=text), rows, Facts())
        writer.commit()

    def copied(self, name: str, to: str) -> None:
        """The same content at another place."""
        writer = Writer(self.store)
        writer.seen(Task(Place("films", to.encode(), "2"), self.store.log.last().number), id_of(name))
        writer.commit()

    def remove(self, name: str, undo: bool = False) -> None:
        writer = Writer(self.store)
        (writer.restored if undo else writer.removed)(id_of(name), self.store.log.last().number)
        writer.commit()

    def build(self) -> int:
        return build(self.store)


def samples(data: Path) -> Shelf:
    """Three videos and three texts, published."""
    shelf = Shelf.make(data)
    videos: dict[str, Scenes] = {
        "red-then-blue": [("red", 12), ("blue", 12)],
        "green": [("green", 20)],
        "blue-then-white": [("blue", 8), ("white", 8)],
    }
    shelf.add(videos, ["a red thing", "something green", "the blue sea"], columns='{"tag": "sample"}')
    shelf.build()
    return shelf


def make_keys(data: Path) -> dict[str, str]:
    """A key of each scope: scope → the key."""
    file, made = KeysFile(data / keys.FILE), {}
    for scope in get_args(keys.Scope):
        key, made[scope] = keys.make(scope, scope, None)
        file.add(key)
    return made


def until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what another thread or process does."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
