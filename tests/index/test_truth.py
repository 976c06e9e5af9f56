"""What is true of a part is kept: an increment compares only what is new, and comes to the same."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest

from core.types import Kind
from index import asked as queries
from index import truth
from index.asked import Asked, Drawn
from index.build import build_snapshot
from index.snapshot import Snapshot, folder_of
from tests.index.worlds import DIM, World, source_id, world

Compared = dict[str, int]


@pytest.fixture
def lived(tmp_path: Path) -> World:
    """Vectors of any numbers: no two scores are alike."""
    found = world(tmp_path / "store", exact=False)
    found.add(120)
    found.add(40, "text")
    return found


@pytest.fixture(autouse=True)
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.survey.FEW", 64)


def built(lived: World, caplog: pytest.LogCaptureFixture, fresh: bool = False) -> tuple[Snapshot, Compared]:
    """The new snapshot, and how many rows of each kind were compared."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "index.survey"):
        number = build_snapshot(lived.store, part_rows=100, fresh=fresh).number
    found = [re.match(r"compared kind=(\w+) queries=\d+ rows=(\d+)", line) for line in caplog.messages]
    return Snapshot.open(lived.store, number), {m[1]: int(m[2]) for m in found if m}


def held_truth(snapshot: Snapshot, kind: Kind) -> tuple[Asked, list[truth.Array]]:
    """What the snapshot's files hold."""
    folder, stamps = folder_of(snapshot.store.root, snapshot.number), snapshot.held["files"]
    drawn = queries.read(folder / queries.FILE, stamps[queries.FILE], DIM)
    asked = queries.asked(snapshot, kind, drawn)
    abouts = [(truth.file_of(part.about.name), part.about.rows) for part in snapshot.parts_of(kind)]
    return asked, [truth.read(folder / name, stamps[name], len(asked), rows) for name, rows in abouts]


def assert_true(lived: World, snapshot: Snapshot) -> None:
    """The kept truth is what comparing with every row comes to, but for the order in which the products of a
    sum are added, which is the processor's: each addition rounds, and large ones may cancel out."""
    for kind in snapshot.rows:
        held = snapshot.parts_of(kind)
        asked, found = held_truth(snapshot, kind)
        kept = truth.best(held, found)
        anew = truth.best(held, [truth.scan(snapshot.store, part, asked) for part in held])
        rounding = DIM * np.finfo(np.float32).eps * np.abs(kept[np.isfinite(kept)]).max(initial=0)
        assert np.allclose(kept, anew, rtol=1e-6, atol=rounding)
        assert np.allclose(kept, by_hand(lived, kind, asked), atol=1e-4)


def by_hand(lived: World, kind: Kind, asked: Asked) -> np.ndarray:
    """Each query against all rows but its own and those that share its seconds."""
    segments, vectors = lived.rows(kind)
    live = sorted({s.source for k in ("frame", "clip", "text") for s in lived.rows(k)[0]})
    line = {source: number for number, source in enumerate(live)}
    best = np.full((len(asked), truth.DEEPEST), -np.inf)
    for query in range(len(asked)):
        mine, start, end = asked.line[query], asked.start[query], asked.end[query]
        others = [
            i
            for i, s in enumerate(segments)
            if line[s.source] != mine or not (s.start == start or (s.start < end and s.end > start))
        ]
        scores = np.sort(vectors[others] @ asked.vectors[query])[::-1][: truth.DEEPEST]
        best[query, : len(scores)] = scores
    return best


def test_the_best_rows_of_each_query_are_those_of_brute_force_at_any_step(
    lived: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert_true(lived, built(lived, caplog)[0])
    monkeypatch.setattr("index.live._FIRST_ROWS", 7)
    monkeypatch.setattr("index.live._STEP_BYTES", 4 * DIM * 23)
    assert_true(lived, built(lived, caplog, fresh=True)[0])


def test_an_increment_compares_only_new_rows_and_comes_to_the_same(
    lived: World, caplog: pytest.LogCaptureFixture
) -> None:
    first, compared = built(lived, caplog)
    assert compared == first.rows
    lived.add(9)
    lived.add(3, "text")
    second, compared = built(lived, caplog)
    assert compared == {kind: second.rows[kind] - first.rows[kind] for kind in second.rows}
    assert_true(lived, second)
    for kind in first.rows:
        assert (held_truth(first, kind)[0].vectors == held_truth(second, kind)[0].vectors).all()


def test_what_is_true_of_merged_parts_is_put_together_and_comes_to_the_same(
    lived: World, caplog: pytest.LogCaptureFixture
) -> None:
    built(lived, caplog)
    for _ in range(2):
        lived.add(3)
        before, _ = built(lived, caplog)
    lived.remove(source_id(121))
    rows = len(lived.rows("frame")[0])
    lived.add(9)
    now, compared = built(lived, caplog)
    merged = {part.about.name for part in before.parts} - {part.about.name for part in now.parts}
    assert len(merged) >= 2
    assert compared["frame"] == len(lived.rows("frame")[0]) - rows
    assert_true(lived, now)


def test_who_is_removed_is_neither_asked_nor_found(lived: World, caplog: pytest.LogCaptureFixture) -> None:
    built(lived, caplog)
    for number in (3, 40, 77, 130):
        lived.remove(source_id(number, "text" if number > 120 else "frame"))
    snapshot, compared = built(lived, caplog)
    assert sum(compared.values()) == 0
    assert_true(lived, snapshot)
    folder = folder_of(snapshot.store.root, snapshot.number)
    drawn = queries.read(folder / queries.FILE, snapshot.held["files"][queries.FILE], DIM)
    asked = {id for each in drawn.values() for id in each.ids}
    assert not asked & lived.hidden


def test_who_comes_back_is_compared(lived: World, caplog: pytest.LogCaptureFixture) -> None:
    lived.remove(source_id(5))
    lived.add(1)
    built(lived, caplog)
    lived.remove(source_id(6))
    built(lived, caplog)
    lived.restore(source_id(6))
    snapshot, compared = built(lived, caplog)
    assert 0 < compared["frame"] < snapshot.rows["frame"]
    assert_true(lived, snapshot)
    lived.restore(source_id(5))
    assert_true(lived, built(lived, caplog)[0])


def test_where_too_many_of_the_best_died_a_part_is_compared_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(300)
    with caplog.at_level(logging.INFO):
        build_snapshot(lived.store)
    before = Snapshot.open(lived.store)
    asked, (found,) = held_truth(before, "frame")
    # Videos of the best rows of one query, until fewer than a hundred of those kept live.
    part = before.parts_of("frame")[0]
    best = found["position"][0].astype(np.int64)
    sources = [before.sources.id(line) for line in part.lines(part.part.rows[best])]
    mine = before.sources.id(int(asked.line[0]))
    for source in [s for s in dict.fromkeys(sources) if s != mine][:25]:
        lived.remove(source)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        build_snapshot(lived.store)
    now = Snapshot.open(lived.store)
    assert [p.about.name for p in now.parts_of("frame")] == [part.about.name]
    assert f"rows={now.rows['frame']} of={now.rows['frame']}" in caplog.text
    assert_true(lived, now)


def test_others_are_drawn_when_the_store_has_doubled_or_many_died(
    lived: World, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = built(lived, caplog)
    lived.add(130)
    second, compared = built(lived, caplog)
    assert compared["frame"] == second.rows["frame"] > 2 * first.rows["frame"]
    for number in range(121, 161, 2):
        lived.remove(source_id(number, "text"))
    third, compared = built(lived, caplog)
    assert compared == third.rows
    assert_true(lived, third)


def test_texts_take_the_place_of_the_probes_once_there_are_any(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lived = world(tmp_path / "store", exact=False)
    lived.add(30)
    snapshot, _ = built(lived, caplog)
    asked, _ = held_truth(snapshot, "frame")
    assert asked.texts == len(lived.store.probes())  # type: ignore[arg-type]
    lived.add(1)
    assert sum(built(lived, caplog)[1].values()) <= 8
    lived.add(6, "text")
    snapshot, compared = built(lived, caplog)
    assert compared == snapshot.rows
    asked, _ = held_truth(snapshot, "clip")
    assert asked.texts == 6
    assert (asked.vectors[-6:] == lived.rows("text")[1]).all()
    assert_true(lived, snapshot)


def test_damaged_truth_is_made_anew_and_a_fresh_build_takes_nothing_over(
    lived: World, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = built(lived, caplog)
    name = truth.file_of(first.parts_of("frame")[0].about.name)
    path = folder_of(lived.store.root, 1) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    lived.add(1)
    second, compared = built(lived, caplog)
    assert compared["frame"] > first.parts_of("frame")[0].live
    assert "is compared anew" in caplog.text
    assert_true(lived, second)
    assert built(lived, caplog, fresh=True)[1] == second.rows


def test_queries_that_were_drawn_are_read_as_they_were_written(tmp_path: Path) -> None:
    from index import mapped

    path = tmp_path / queries.FILE
    vectors = np.random.default_rng(0).standard_normal((3, DIM)).astype(np.float32)
    drawn: dict[Kind, Drawn] = {
        "frame": Drawn(70, ("a", "b", "é"), np.arange(3.0), np.arange(1, 4.0), vectors),
        "text": Drawn(1, ("t",), np.zeros(1), np.zeros(1), vectors[:1]),
    }
    queries.write(path, drawn)
    back = queries.read(path, mapped.stamp(path), DIM)
    assert list(back) == ["frame", "text"]
    for kind, each in back.items():
        assert (each.of_rows, each.ids) == (drawn[kind].of_rows, drawn[kind].ids)
        for name in ("start", "end", "vectors"):
            assert (getattr(each, name) == getattr(drawn[kind], name)).all()
    queries.write(path, {})
    assert queries.read(path, mapped.stamp(path), DIM) == {}
