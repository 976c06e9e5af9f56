"""Parts that are copies of one training answer as brute force does, and as one whole index would."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from core.errors import UsageError
from core.query import Effort, Filter
from core.store import Store
from core.types import Kind
from index import making, merge, train
from index.build import build, build_snapshot
from index.check import damage
from index.faissfile import FAISS
from index.gc import collect
from index.merge import best_rows
from index.part import Run
from index.progress import Progress
from index.snapshot import Snapshot, numbers
from tests.index.test_build import names, tree
from tests.index.test_snapshot import assert_answers, told
from tests.index.worlds import DIM, World, source_id, world

EXACT = ("IVF8,SQfp16", "IVF8_HNSW8,Flat", "SQfp16")
LOSSY = ("IVF8,SQ8", "IVF8,RaBitQ4", "IVF4,PQ4x6", "PCAR8,IVF4,SQ8", "SQ8")


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows there are, they are searched as many would be."""
    monkeypatch.setattr(merge, "FEW_ROWS", 0)


def filled(root: Path, factory: str, exact: bool = True, part_rows: int = 150) -> World:
    found = world(root, exact=exact)
    for _ in range(4):
        found.add(50)
    build_snapshot(found.store, publish=False, part_rows=part_rows, factories={"frame": factory})
    return found


def newest(world: World) -> Snapshot:
    return Snapshot.open(world.store, numbers(world.store.root)[-1])


def parts_of(snapshot: Snapshot) -> list[str]:
    return [part.about.trained for part in snapshot.parts if part.about.kind == "frame"]


def trained(root: Path) -> set[str]:
    return {path.name for path in (root / "trained").iterdir()}


@pytest.mark.parametrize("factory", EXACT)
def test_all_lists_of_exact_codes_answer_as_brute_force_does(
    tmp_path: Path, many: None, factory: str
) -> None:
    lived = filled(tmp_path / "store", factory)
    snapshot = newest(lived)
    assert len(parts_of(snapshot)) > 3
    assert len(set(parts_of(snapshot))) == 1
    assert not any(part.about.lossy for part in snapshot.parts)
    for query in lived.vectors(6):
        for k in (1, 7, 1000):
            hits = snapshot.search("frame", query[None], k, effort=0)[0]
            assert told(hits) == lived.best("frame", query, k)
        every = snapshot.search("frame", query[None], 7, effort=10**400)[0]
        assert told(every) == lived.best("frame", query, 7)


@pytest.mark.parametrize("factory", LOSSY)
def test_what_lossy_codes_find_has_the_scores_of_the_stored_vectors(
    tmp_path: Path, many: None, factory: str
) -> None:
    lived = filled(tmp_path / "store", factory, exact=False)
    snapshot = newest(lived)
    assert all(part.about.lossy for part in snapshot.parts if part.about.kind == "frame")
    queries = lived.vectors(20)
    parts = [part for part in snapshot.parts if part.about.kind == "frame"]
    flat = faiss.IndexFlatIP(DIM)
    segments, vectors = lived.rows("frame")
    flat.add(vectors)
    found = 0
    for query, rows in zip(queries, best_rows(parts, queries, 10, Effort(0, 8)), strict=True):
        every = FAISS.SearchParameters(sel=FAISS.IDSelectorAll())
        scores, positions = flat.search(query[None], len(segments), params=every)
        true = {
            (segments[at].source, segments[at].start): score
            for at, score in zip(positions[0].tolist(), scores[0].tolist(), strict=True)
        }
        for row in rows:
            assert row.score == true[snapshot.sources.id(row.line), row.start]
        assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)
        found += sum(row.score >= scores[0][9] for row in rows)
    assert found / 200 > 0.95


@pytest.mark.parametrize("factory", ["IVF8,SQfp16", "IVF8,SQ8"])
@pytest.mark.parametrize("exact", [True, False])
def test_parts_of_one_training_answer_as_one_whole_index_does(
    tmp_path: Path, many: None, factory: str, exact: bool
) -> None:
    lived = filled(tmp_path / "store", factory, exact)
    queries = lived.vectors(30)
    answers = []
    for part_rows in (20, 1000):
        built = build_snapshot(lived.store, publish=False, fresh=True, part_rows=part_rows)
        parts = [
            part for part in Snapshot.open(lived.store, built.number).parts if part.about.kind == "frame"
        ]
        rows = best_rows(parts, queries, 9, Effort(2, 3))
        answers.append([[(row.score, row.line, row.start) for row in each] for each in rows])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("factory", ["IVF8,SQfp16", "IVF8,SQ8"])
def test_an_answer_does_not_depend_on_how_many_are_asked_together(
    tmp_path: Path, many: None, factory: str
) -> None:
    lived = filled(tmp_path / "store", factory, exact=False)
    snapshot, queries = newest(lived), lived.vectors(150)
    together = snapshot.search("frame", queries, 5, effort=2)
    for query, hits in zip(queries, together, strict=True):
        assert told(snapshot.search("frame", query[None], 5, effort=2)[0]) == told(hits)


def test_of_many_equal_rows_in_a_list_always_the_same_are_answered(tmp_path: Path, many: None) -> None:
    lived = world(tmp_path / "store")
    same = np.full((1, DIM), 0.5, np.float32)
    lived.vectors = lambda count: np.repeat(same, count, axis=0)  # type: ignore[method-assign]
    for _ in range(4):
        lived.add(10)
    for factory in ("IVF1,SQfp16", "IVF1,SQ8"):
        for part_rows in (3, 1000):
            built = build_snapshot(
                lived.store, publish=False, fresh=True, part_rows=part_rows, factories={"frame": factory}
            )
            hits = Snapshot.open(lived.store, built.number).search("frame", same, 5)[0]
            assert told(hits) == lived.best("frame", same[0], 5)


def test_a_build_keeps_the_training_and_its_parts(tmp_path: Path) -> None:
    lived = filled(tmp_path / "store", "IVF8,SQfp16")
    before, files = newest(lived), trained(lived.store.root)
    lived.add(3)
    built = build_snapshot(lived.store, publish=False, part_rows=150)
    assert built.parts_kept == len(before.parts)
    assert len(set(parts_of(newest(lived)))) == 1
    assert trained(lived.store.root) == files
    assert_answers(lived, newest(lived))


def test_what_rows_have_outgrown_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lived = filled(tmp_path / "store", "IVF8,SQfp16")
    first = set(parts_of(newest(lived)))
    monkeypatch.setattr(train, "OUTGROWN", 1.2)
    lived.add(10)
    build_snapshot(lived.store, publish=False)
    assert set(parts_of(newest(lived))) == first
    lived.add(100)
    build_snapshot(lived.store, publish=False)
    second = set(parts_of(newest(lived)))
    assert len(second) == 1
    assert second != first
    assert newest(lived).held["factories"]["frame"] == "IVF8,SQfp16"
    assert_answers(lived, newest(lived))


def test_a_factory_stays_asked_for_until_the_table_is(tmp_path: Path) -> None:
    lived = filled(tmp_path / "store", "IVF8,SQ8")
    lived.add(1)
    build_snapshot(lived.store, publish=False)
    assert newest(lived).held["factories"] == {"frame": "IVF8,SQ8", "clip": "Flat"}
    built = build_snapshot(lived.store, publish=False, factories={"frame": "IVF4,SQfp16"})
    assert built.made
    assert newest(lived).held["factories"]["frame"] == "IVF4,SQfp16"
    assert not build_snapshot(lived.store, publish=False, factories={"frame": "IVF4,SQfp16"}).made
    build_snapshot(lived.store, publish=False, factories={"frame": "auto"})
    assert newest(lived).held["factories"]["frame"] == "Flat"
    assert newest(lived).held["asked"] == {}
    assert set(parts_of(newest(lived))) == {""}
    assert_answers(lived, newest(lived))


def test_training_the_same_rows_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    lived = filled(tmp_path / "store", "IVF8,SQ8", exact=False)
    before = tree(lived.store.root / "trained") | tree(lived.store.root / "parts")
    build_snapshot(lived.store, publish=False, fresh=True, part_rows=150)
    assert tree(lived.store.root / "trained") | tree(lived.store.root / "parts") == before


@pytest.mark.parametrize("factory", ["Flat", "IVF4,SQfp16", "IVF4,SQ8", "PCAR8,IVF4,SQ8"])
def test_parts_of_one_training_are_merged_without_the_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str
) -> None:
    lived = world(tmp_path / "store")
    lived.add(60)
    build_snapshot(lived.store, publish=False, factories={"frame": factory, "clip": "Flat"})
    for _ in range(2):
        lived.add(10)
        build_snapshot(lived.store, publish=False)
    lived.remove(source_id(62))
    lived.add(25)
    before = names(lived, numbers(lived.store.root)[-1])
    added: set[str] = set()
    fill = making._fill

    def noted(index: Any, store: Store, kind: Kind, runs: Sequence[Run], progress: Progress) -> None:
        added.update(run.source for run in runs)
        fill(index, store, kind, runs, progress)

    monkeypatch.setattr(making, "_fill", noted)
    build_snapshot(lived.store, publish=False)
    assert added == set(map(source_id, range(81, 106))), "rows of parts that are merged are not added again"
    assert len(before - names(lived, numbers(lived.store.root)[-1])) == 4, "two of each kind became one"
    assert_answers(lived, newest(lived))
    assert list(damage(lived.store.root)) == []


def test_what_cannot_be_merged_is_added_again(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(30)
    build_snapshot(lived.store, publish=False, factories={"frame": "HNSW8"})
    for count in (2, 2, 5):
        lived.add(count)
        build_snapshot(lived.store, publish=False)
    assert len(newest(lived).parts_of("frame")) == 2
    assert_answers(lived, newest(lived))


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("IVF8,SQ", r"FAISS has no index 'IVF8,SQ' for vectors of 8 numbers\."),
        ("IVF0,Flat", r"FAISS has no index 'IVF0,Flat'"),
        ("PQ3", r"FAISS has no index 'PQ3'"),
        ("x" * 5000, r"FAISS has no index 'x{40}…'"),
        ("IVF5000,SQ8", r"'IVF5000,SQ8' is trained on at least 5000 rows, and frame has \d+;"),
        ("IDMap,Flat", r"The index 'IDMap,Flat' cannot serve: it takes no selection of rows \(add does not"),
        ("IVF4,SQ8,RFlat", r"The index 'IVF4,SQ8,RFlat' cannot serve: it takes no selection"),
        ("IVF2,PQ4x4fs", r"The index 'IVF2,PQ4x4fs' cannot serve: FAISS reads it whole"),
        ("IVF2,RaBitQfs", r"The index 'IVF2,RaBitQfs' cannot serve: "),
        ("OPQ8,PQ8", r"The index 'OPQ8,PQ8' cannot serve: it takes no selection"),
        ("IVF8,RQ2x4", r"The index 'IVF8,RQ2x4' cannot serve: it takes no selection"),
        ("NSG8", r"The index 'NSG8' cannot serve: "),
    ],
)
def test_an_index_that_cannot_serve_is_refused_by_name(tmp_path: Path, factory: str, says: str) -> None:
    lived = world(tmp_path / "store")
    lived.add(100)
    number, before = build(lived.store), tree(lived.store.root)
    with pytest.raises(UsageError, match=says):
        build_snapshot(lived.store, factories={"frame": factory})
    assert tree(lived.store.root) == before
    assert Snapshot.open(lived.store).number == number


def test_a_damaged_training_is_told_and_made_anew(tmp_path: Path) -> None:
    lived = filled(tmp_path / "store", "IVF8,SQfp16")
    path = next((lived.store.root / "trained").glob("*.faiss"))
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert any(str(path) in sentence for sentence in damage(lived.store.root))
    before = set(parts_of(newest(lived)))
    lived.add(2)
    build_snapshot(lived.store, publish=False)
    assert not before & set(parts_of(newest(lived)))
    assert_answers(lived, newest(lived))
    path.with_suffix(".json").unlink()
    assert any("parts of snapshot 1 are copies of it" in sentence for sentence in damage(lived.store.root))


def test_gc_keeps_the_trainings_that_kept_parts_are_copies_of(tmp_path: Path) -> None:
    lived = filled(tmp_path / "store", "IVF8,SQfp16")
    kept = trained(lived.store.root)
    build_snapshot(lived.store, factories={"frame": "IVF4,SQ8"})
    assert len(trained(lived.store.root)) == 4
    collect(lived.store, keep=2, age_s=0, written_age_s=0)
    assert len(trained(lived.store.root)) == 4
    assert collect(lived.store, keep=1, age_s=0, written_age_s=0).trained_indexes == 1
    assert len(trained(lived.store.root)) == 2
    assert not kept & trained(lived.store.root)
    assert list(damage(lived.store.root)) == []
    lived.add(1)
    assert build_snapshot(lived.store, part_rows=150).parts_made == 2


def test_fewer_rows_than_asked_for_come_only_where_fewer_live(tmp_path: Path, many: None) -> None:
    lived = filled(tmp_path / "store", "IVF64,SQfp16", exact=False)
    snapshot = newest(lived)
    sources = frozenset(sorted(lived.held)[:3])
    live = sum(segment.source in sources for segment in lived.rows("frame")[0])
    for k in (1, 5, live, live + 7):
        hits = snapshot.search("frame", lived.vectors(8), k, filter=Filter(sources=sources), effort=1)
        assert [len(each.scores) for each in hits] == [min(k, live)] * 8
    assert [len(each.scores) for each in snapshot.search("frame", lived.vectors(4), 400, effort=1)] == [
        400
    ] * 4


def test_memory_that_is_too_small_to_train_is_named(tmp_path: Path) -> None:
    lived = world(tmp_path / "store")
    lived.add(100)
    says = r"at least 32 rows, and `--memory` holds 16 of the \d+ that frame has; `--memory 1M` does, "
    with pytest.raises(UsageError, match=says):
        build_snapshot(lived.store, memory_bytes=16 * 16 * DIM, factories={"frame": "IVF32,SQ8"})


@pytest.mark.parametrize("factory", ["L2norm,Flat", "L2norm,IVF8,Flat", "IVF8,PQ4x4"])
def test_what_can_be_served_is_built_and_nothing_is_printed(
    tmp_path: Path, many: None, factory: str, capfd: pytest.CaptureFixture[str]
) -> None:
    lived = filled(tmp_path / "store", factory, exact=False)
    queries = lived.vectors(5)
    for query, rows in zip(
        queries, best_rows(newest(lived).parts_of("frame"), queries, 9, Effort(0, 64)), strict=True
    ):
        assert [row.score for row in rows] == pytest.approx([row[0] for row in lived.best("frame", query, 9)])
    assert "WARNING" not in capfd.readouterr().err


def read_by_single_pages(under: Path) -> set[Path]:
    """Which files of ours under a folder the kernel is told of so; FAISS does it with all of its own."""
    found, path = set(), Path("/")
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            path = Path("/", line.partition("/")[2])
        elif line.startswith("VmFlags:") and " rr" in line and path.suffix == ".npy":
            found.add(path)
    return {path for path in found if path.is_relative_to(under)}


@pytest.mark.parametrize(("factory", "is_lossy"), [("IVF8,SQ8", True), ("IVF8,SQfp16", False)])
def test_what_is_scored_again_is_read_alone(many: None, tmp_path: Path, factory: str, is_lossy: bool) -> None:
    """And rows that follow each other, as those of a source, are not; codes that lose nothing are enough."""
    held = filled(tmp_path / "store", factory)
    snapshot = newest(held)
    snapshot.vectors(source_id(1), "frame")
    assert not read_by_single_pages(held.store.root)
    snapshot.search("frame", np.ones((1, DIM), np.float32), 5)
    apart = read_by_single_pages(held.store.root)
    assert bool(apart) is is_lossy and {path.name for path in apart} <= {"frame.npy"}
    for source in snapshot.sources.ids():
        snapshot.vectors(source, "frame")
    assert not read_by_single_pages(held.store.root)
