"""Searching a snapshot gives what scoring every live row one by one gives."""

from __future__ import annotations

import gc as garbage
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import SnapshotError, UsageError
from core.log import Task
from core.query import Filter, Hits
from core.store import Store
from core.types import KINDS, Facts, Kind, Look, Place, Segment, Source
from core.writer import Writer
from index.build import Built, build, build_snapshot, publish
from index.snapshot import Snapshot, current
from tests.index.worlds import DIM, Answer, Rows, World, given, lived_in, source_id, world


def told(hits: Hits) -> Answer:
    pairs = zip(hits.scores.tolist(), hits.segments, strict=True)
    return [(score, s.source, s.start, s.end) for score, s in pairs]


def assert_answers(world: World, snapshot: Snapshot) -> None:
    assert snapshot.rows == {kind: len(world.rows(kind)[0]) for kind in KINDS if world.rows(kind)[0]}
    for kind in KINDS:
        queries = world.vectors(3)
        for k in (1, 4, 1000):
            hits = snapshot.search(kind, queries, k)
            for query, found in zip(queries, hits, strict=True):
                assert told(found) == world.best(kind, query, k)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_done_to_a_store_its_snapshot_answers_as_brute_force_does(
    tmp_path: Path, seed: int
) -> None:
    lived = world(tmp_path / "store", seed)
    lived.add(2)
    for _ in range(8):
        for _ in range(int(lived.chance.integers(1, 4))):
            lived.step()
        built = build_snapshot(lived.store, part_rows=int(lived.chance.integers(2, 30)))
        snapshot = Snapshot.open(Store.open(lived.store.root))
        assert snapshot.number == built.number
        assert_answers(lived, snapshot)
    build_snapshot(lived.store, fresh=True)
    assert_answers(lived, Snapshot.open(lived.store))


@pytest.mark.parametrize("exact", [True, False])
def test_parts_answer_to_the_last_bit_as_one_whole_index_does(tmp_path: Path, exact: bool) -> None:
    lived = world(tmp_path / "store", exact=exact)
    for _ in range(5):
        lived.add(12)
    queries = lived.vectors(40)
    whole = build_snapshot(lived.store)
    parts = build_snapshot(lived.store, fresh=True, part_rows=7)
    assert parts.parts_made > 10 > whole.parts_made
    answers = [Snapshot.open(lived.store, each.number).search("frame", queries, 9) for each in (whole, parts)]
    for one, other in zip(*answers, strict=True):
        assert told(one) == told(other)


def test_an_answer_does_not_depend_on_what_is_asked_beside_it(tmp_path: Path) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(60)
    build(lived.store)
    snapshot, queries = Snapshot.open(lived.store), lived.vectors(50)
    together = snapshot.search("frame", queries, 5)
    for query, hits in zip(queries, together, strict=True):
        assert told(snapshot.search("frame", query[None], 5)[0]) == told(hits)


def test_of_many_equal_rows_always_the_same_are_answered(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    same = np.full((1, DIM), 0.5, np.float32)
    lived.vectors = lambda count: np.repeat(same, count, axis=0)  # type: ignore[method-assign]
    for _ in range(4):
        lived.add(10)
    for part_rows in (3, 50, 1000):
        built = build_snapshot(lived.store, fresh=True, part_rows=part_rows)
        hits = Snapshot.open(lived.store, built.number).search("frame", same, 5)[0]
        assert told(hits) == lived.best("frame", same[0], 5)


def test_a_filter_and_what_is_hidden_narrow_the_answer(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store", steps=30)
    build_snapshot(lived.store, part_rows=9)
    snapshot = Snapshot.open(lived.store)
    query = lived.vectors(1)
    sources = sorted({segment.source for segment in lived.rows("frame")[0]})
    some, others = frozenset(sources[::2]), frozenset(sources[1::2])
    only = snapshot.search("frame", query, 50, filter=Filter(sources=some | {"v-unknown"}))[0]
    without = snapshot.search("frame", query, 50, filter=Filter(hidden=others))[0]
    both = snapshot.search("frame", query, 50, filter=Filter(sources=some, hidden=frozenset(sources[:1])))[0]
    assert told(only) == told(without) == lived.best("frame", query[0], 50, others)
    assert told(both) == lived.best("frame", query[0], 50, others | {sources[0]})
    nothing = snapshot.search("frame", query, 50, filter=Filter(sources=frozenset()))
    assert [told(hits) for hits in nothing] == [[]]


def test_what_was_removed_since_is_masked_at_once(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    build_snapshot(lived.store, part_rows=9)
    snapshot = Snapshot.open(lived.store)
    victim = lived.rows("frame")[0][0].source
    lived.remove(victim)
    masked = snapshot.masked(lived.store.log.last().removed())
    assert_answers(lived, masked)
    assert masked.source(victim) is None
    assert len(masked.vectors(victim, "frame")[0]) == 0
    assert snapshot.source(victim) is not None
    assert len(snapshot.vectors(victim, "frame")[0]) > 0
    assert snapshot.masked({"v-unknown"}) is snapshot


def test_stored_rows_come_back_exactly_and_in_order(tmp_path: Path) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(5)
    lived.add(2, "text")
    build_snapshot(lived.store, part_rows=4)
    snapshot = Snapshot.open(lived.store)
    for source, kinds in lived.held.items():
        for kind, (segments, vectors) in kinds.items():
            found, stored = snapshot.vectors(source, kind)
            assert list(found) == segments
            assert stored.dtype == np.float32
            assert np.array_equal(stored, vectors)
    assert snapshot.vectors("v-unknown", "frame")[1].shape == (0, DIM)


def test_a_text_is_found_with_its_words(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(3, "text")
    build(lived.store)
    hits = Snapshot.open(lived.store).search("text", lived.vectors(1), 3)[0]
    assert sorted(s.text for s in hits.segments) == [f"the text of {source}" for source in sorted(lived.held)]


def test_a_source_is_known_with_its_places_facts_and_columns(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    source = source_id(99)
    writer = Writer(lived.store)
    facts = Facts(size=7, seconds=2.5, width=640, codec="h264", frame_rate="30000/1001", lost_packets=3)
    rows: dict[Kind, Rows] = {"frame": ([Segment(source, 0.0, 1.0)], lived.vectors(1))}
    first, copy = Place("films", b"a \xff.mp4", "1"), Place("more", b"b.mp4", "2")
    writer.add(Task(first, 0), Source(source), given(rows), facts, columns='{"tag":"\\u00e9"}')
    writer.commit()
    writer.seen(Task(copy, 1), source, columns='{"year":1999}')
    writer.commit()
    build(lived.store)
    info = Snapshot.open(lived.store).source(source)
    assert info is not None
    assert info.places == (first, copy)
    assert info.facts == facts
    assert info.columns == {"tag": "é", "year": 1999}
    assert info.text == ""


@pytest.mark.usefixtures("unwatched")
def test_an_open_snapshot_keeps_answering_when_another_is_published_and_lets_its_files_go(
    tmp_path: Path,
) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    snapshot, query = Snapshot.open(lived.store), lived.vectors(1)
    before = told(snapshot.search("frame", query, 5)[0])
    name = snapshot.parts[0].about.name
    lived.add(20)
    build_snapshot(lived.store, fresh=True)
    assert told(snapshot.search("frame", query, 5)[0]) == before
    assert name in Path("/proc/self/maps").read_text()
    del snapshot
    garbage.collect()
    assert name not in Path("/proc/self/maps").read_text()


def test_publishing_an_older_snapshot_is_the_way_back(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    first, query = build(lived.store), lived.vectors(1)
    before = told(Snapshot.open(lived.store).search("frame", query, 50)[0])
    named = current(lived.store.root)
    lived.add(10)
    second = build(lived.store)
    assert told(Snapshot.open(lived.store).search("frame", query, 50)[0]) != before
    publish(lived.store, first)
    assert current(lived.store.root) == named
    assert told(Snapshot.open(lived.store).search("frame", query, 50)[0]) == before
    assert build_snapshot(lived.store) == Built(second, made=False, published=False, stays=first)
    assert current(lived.store.root) == named
    lived.add(1)
    assert build_snapshot(lived.store).published
    assert_answers(lived, Snapshot.open(lived.store))


def test_a_question_of_another_shape_is_refused(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    build(lived.store)
    snapshot = Snapshot.open(lived.store)
    with pytest.raises(UsageError, match=r"shape \(1, 9\) do not fit \[n, 8\]\."):
        snapshot.search("frame", np.zeros((1, 9), np.float32), 1)
    with pytest.raises(UsageError, match=r"k is 0; at least 1"):
        snapshot.search("frame", np.zeros((1, 8), np.float32), 0)


def test_what_does_not_open_is_said_in_one_sentence(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    root = lived.store.root
    with pytest.raises(SnapshotError, match=r"has no published snapshot; `cinedex index build` makes one\."):
        Snapshot.open(lived.store)
    assert current(root) is None
    build(lived.store)
    other = replace(lived.store, spec=replace(lived.store.spec, look=Look(64)))
    with pytest.raises(SnapshotError, match=r"holds vectors of the encoder \w+, not of toy:rgb"):
        Snapshot.open(other)
    with pytest.raises(SnapshotError, match=r"000009 is missing; the snapshots that are there: 1\."):
        Snapshot.open(lived.store, 9)
    text = current(root) or ""
    (root / "CURRENT").write_text(text.replace("1 ", "x "))
    with pytest.raises(SnapshotError, match=r"CURRENT is damaged: it does not name a snapshot"):
        Snapshot.open(lived.store)
    (root / "CURRENT").write_text(f"000001 {'0' * 32}\n")
    with pytest.raises(SnapshotError, match=r"snapshot\.json is not the one that .*CURRENT names\."):
        Snapshot.open(lived.store)
    (root / "CURRENT").write_text(text)
    name = Snapshot.open(lived.store).parts[0].about.name
    (root / "parts" / f"{name}.faiss").rename(root / "away")
    with pytest.raises(SnapshotError, match=rf"{name}\.faiss is missing\."):
        Snapshot.open(lived.store)
