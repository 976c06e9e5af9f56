"""What was removed is gone from the disk after compact, build and gc, and nothing else has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.log import Task
from core.store import Store
from core.types import Facts, Line, Place, Segment, Sidecar, Source, Thumbs
from core.writer import KindRows, Writer
from index.check import damage
from index.cli import main
from index.snapshot import Snapshot
from tests.index.test_gc import age
from tests.index.test_snapshot import told
from tests.index.worlds import DIM, make, source_id

FILMS = 30
VICTIM = 7
Read = dict[Path, str]


def vectors(number: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    found = np.random.default_rng(number).standard_normal((4, DIM))
    return found.astype(np.float16).astype(np.float32)


def tile(number: int) -> bytes:
    return b"<picture of %d>" % number


def said(number: int, where: str) -> str:
    return f"<said in {number} {where}>"


def add(store: Store, number: int) -> None:
    """A film with frames, thumbnails, embedded subtitles, lines beside it, and a library text."""
    id, text_id = source_id(number), source_id(number, "text")
    writer, since = Writer(store), store.log.last().number
    beside = Sidecar(b"%d.srt" % number, "1", f"{number:032x}")
    frames: KindRows = {"frame": ([Segment(id, float(t), t + 1.0) for t in range(4)], vectors(number))}
    place = Place("films", b"%d.mp4" % number, "1", sidecars=(beside,))
    writer.tell(id, beside.layer, (Line(0.0, 1.0, said(number, "beside")),))
    writer.tell(id, "subtitles", (Line(0.0, 1.0, said(number, "within")),), vectors(number)[:1])
    tiles = Thumbs((0.0, 2.0), (tile(number), tile(number)))
    writer.add(Task(place, since), Source(id), frames, Facts(size=number), thumbs=tiles)
    text = said(number, "a text")
    rows: KindRows = {"text": ([Segment(text_id, text=text)], vectors(number)[:1])}
    writer.add(
        Task(Place("films", b"texts#%d" % number, "1"), since), Source(text_id, text=text), rows, Facts()
    )
    writer.commit()


def remove(store: Store, number: int) -> None:
    writer, since = Writer(store), store.log.last().number
    writer.removed(source_id(number), since)
    writer.removed(source_id(number, "text"), since)
    writer.commit()


def whole(root: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file but the log, whose words stay, with what a compressed one holds."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.parent.name != "log":
            is_parquet = path.suffix == ".parquet"
            yield path, repr(pq.read_table(path).to_pylist()).encode() if is_parquet else path.read_bytes()


def traces(root: Path, number: int) -> dict[str, str]:
    """Each file that holds something of a film, and what."""
    stored, scored = vectors(number), vectors(number)
    marks = {
        "name": source_id(number)[2:].encode(),
        "picture": tile(number),
        "words": f"<said in {number} ".encode(),
        "vector": stored[0].astype(np.float16).tobytes(),
        "vector of a part": scored[1].tobytes(),
    }
    return {
        str(path.relative_to(root)): what
        for path, data in whole(root)
        for what, mark in marks.items()
        if mark in data
    }


def answers(store: Store, without: set[str]) -> list[Any]:
    snapshot = Snapshot.open(store)
    queries = np.random.default_rng(1).standard_normal((5, DIM)).astype(np.float32)
    found = [told(hits) for kind in snapshot.rows for hits in snapshot.search(kind, queries, 10_000)]
    texts = [
        [s.text for s in snapshot.search("text", queries[:1], 10_000)[0].segments if s.source not in without]
    ]
    return [[row for row in answer if row[1] not in without] for answer in found] + texts


def call(store: Store, *verb: str) -> None:
    assert main([*verb, "--store", str(store.root), "--quiet"]) == 0


def test_nothing_of_a_removed_film_is_left_and_no_other_answer_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make(tmp_path / "store")
    for number in range(FILMS):
        add(store, number)
    call(store, "compact")
    call(store, "build")
    victims = {source_id(VICTIM), source_id(VICTIM, "text")}
    before = answers(store, victims)
    assert len(set(traces(store.root, VICTIM).values())) >= 4
    remove(store, VICTIM)
    call(store, "build")
    assert answers(store, set()) == before
    call(store, "compact", "--dead", "0")
    call(store, "build", "--dead", "0")
    assert traces(store.root, VICTIM), "gc has not run"
    age(store.root, 3 * 3600)
    call(store, "gc", "--keep", "1", "--age-s", "7200")
    assert traces(store.root, VICTIM) == {}
    assert len(set(traces(store.root, VICTIM + 1).values())) >= 4
    assert answers(store, set()) == before
    assert list(damage(store.root)) == []
    assert Store.open(store.root).log.last().removed() == victims


def test_a_part_with_dead_rows_is_made_anew_where_none_may_be_dead(tmp_path: Path) -> None:
    store = make(tmp_path / "store")
    for number in range(FILMS):
        add(store, number)
    call(store, "build")
    remove(store, VICTIM)
    call(store, "build")
    kept = Snapshot.open(store)
    assert all(part.live < part.about.rows for part in kept.parts)
    call(store, "build", "--dead", "0")
    fresh = Snapshot.open(store)
    assert fresh.number > kept.number
    assert all(part.live == part.about.rows for part in fresh.parts)
    call(store, "build", "--dead", "0")
    assert Snapshot.open(store).number == fresh.number
