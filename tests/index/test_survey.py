"""The effort that a build chooses finds enough of what was never asked; what finds less is not published."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import index.effort
import index.merge
import index.recall
import index.survey
from core.log import Task
from core.query import Effort
from core.store import Store
from core.types import (
    EncoderSpec,
    Facts,
    Float32Array,
    Float64Array,
    Kind,
    Look,
    Place,
    Sampling,
    Segment,
    Source,
)
from core.writer import Writer
from index import asked, truth
from index.build import build_snapshot
from index.check import damage
from index.cli import main
from index.effort import least
from index.merge import best_rows
from index.reach import Reach
from index.recall import Trial, measure
from index.snapshot import Snapshot
from tests.index.worlds import source_id

DIM, ROWS, TEXTS, CENTRES = 24, 4_000, 200, 150
ASKED = 128
LISTS = "IVF48,SQfp16"
APART = 2.0  # how far texts lie from pictures


class Law:
    """Rows around centres; texts are like rows, and all to one side of them."""

    def __init__(self, seed: int) -> None:
        self.chance = np.random.default_rng(seed)
        fixed = np.random.default_rng(7)
        self.centres = unit(fixed.standard_normal((CENTRES, DIM)))
        self.aside = APART * unit(fixed.standard_normal(DIM))

    def noise(self, count: int) -> Float64Array:
        found: Float64Array = self.chance.standard_normal((count, DIM)) / np.sqrt(DIM)
        return found

    def rows(self, count: int) -> Float32Array:
        centre = self.centres[self.chance.integers(CENTRES, size=count)]
        return unit(centre + 0.9 * self.noise(count)).astype(np.float32)

    def texts(self, count: int) -> Float32Array:
        return unit(self.rows(count) + 0.6 * self.noise(count) + self.aside).astype(np.float32)


def unit(vectors: Float64Array) -> Float64Array:
    found: Float64Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def add(store: Store, rows: Float32Array, first: int, kind: Kind = "frame") -> None:
    """A hundred rows a video, or a text each, in one commit."""
    writer = Writer(store)
    a_source = 100 if kind == "frame" else 1
    for number in range(0, len(rows), a_source):
        source = source_id(first + number // a_source, kind)
        mine = rows[number : number + a_source]
        segments = [Segment(source, float(i), i + 1.0, "a text" * (kind == "text")) for i in range(len(mine))]
        place = Place("films", source.encode(), "1")
        task = Task(place, store.log.last().number)
        writer.add(task, Source(source), {kind: (segments, mine)}, Facts(size=1))
    writer.commit()


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """What has more rows than that is searched by lists; fewer queries are as good for fewer rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index.merge, "FEW_ROWS", 1_000)
        patch.setattr(index.survey, "SAMPLE", ASKED)
        yield


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """With a snapshot whose frames are in lists, of codes that lose nothing."""
    root = tmp_path_factory.mktemp("survey") / "store"
    store = Store.create(root, EncoderSpec("toy:rgb", DIM, Look(32)), Sampling())
    law = Law(0)
    add(store, law.rows(ROWS), 1)
    add(store, law.texts(TEXTS), 1, "text")
    made(store, LISTS)
    return store


@pytest.fixture
def store(filled: Store, tmp_path: Path) -> Store:
    """A copy, to be changed."""
    return Store.open(Path(shutil.copytree(filled.root, tmp_path / "store")))


def made(store: Store, factory: str, wanted: float = 0.95) -> Snapshot:
    factories: dict[Kind, str] = {"frame": factory}
    number = build_snapshot(store, part_rows=1_700, factories=factories, wanted=wanted).number
    return Snapshot.open(store, number)


def found(snapshot: Snapshot, queries: Float32Array, effort: Effort) -> float:
    """recall@10 by brute force, of queries that no build has seen."""
    held = snapshot.parts_of("frame")
    vectors = np.concatenate([part.part.vectors(part.live_positions()) for part in held])
    last = np.sort(queries @ vectors.T, axis=1)[:, -10]
    answers = best_rows(held, queries, 10, effort)
    good = [
        float(held[row.part].part.vectors(np.array([row.position]))[0] @ query) >= least - 1e-5
        for rows, query, least in zip(answers, queries, last, strict=True)
        for row in rows
    ]
    return float(np.mean(good))


def unseen() -> dict[str, Float32Array]:
    """Rows and texts by the law of those that are stored, and none of them."""
    law = Law(1)
    return {"rows": law.rows(150), "texts": law.texts(150)}


@pytest.mark.parametrize("factory", [LISTS, "IVF48,RaBitQ4", "SQ4"])
def test_what_is_chosen_finds_enough_of_what_was_never_asked_and_half_of_it_does_not(
    store: Store, factory: str
) -> None:
    snapshot = made(store, factory)
    chosen = snapshot.effort("frame")
    assert all(found(snapshot, queries, chosen) >= 0.95 for queries in unseen().values())
    halves = [replace(chosen, lists=chosen.lists // 2)] if chosen.lists else []
    halves += [replace(chosen, candidates=chosen.candidates // 2)] if chosen.candidates > 1 else []
    assert halves
    for half in halves:
        assert min(found(snapshot, queries, half) for queries in unseen().values()) < 0.95
    held = snapshot.held
    assert held["recall"]["frame"]["10"] == held["recall_texts"]["frame"]["10"] >= 0.95
    assert measure(snapshot, ASKED)["frame"].worse == held["recall"]["frame"]


def test_texts_need_more_lists_than_rows_do_and_get_them(filled: Store) -> None:
    snapshot = Snapshot.open(filled)
    needs = {
        name: least(48, lambda n, q=queries: found(snapshot, q, Effort(n)) >= 0.95)  # type: ignore[misc]
        for name, queries in unseen().items()
    }
    assert 1.4 * needs["rows"] < needs["texts"] <= snapshot.effort("frame").lists


def test_a_search_spends_what_was_chosen_unless_it_is_told_otherwise(filled: Store) -> None:
    snapshot = Snapshot.open(filled)
    query = unseen()["texts"][:40]
    lists = snapshot.effort("frame").lists
    plain, same, few, all_, exact = (
        np.array([hits.scores[:10] for hits in snapshot.search("frame", query, 10, **options)])
        for options in ({}, {"effort": lists}, {"effort": 2}, {"effort": 10**30}, {"exact": True})
    )
    assert (plain == same).all()
    assert np.allclose(all_, exact, atol=1e-6)
    assert few.sum() < plain.sum() < exact.sum()


def test_the_lists_of_the_best_rows_tell_what_a_search_of_so_many_finds(filled: Store) -> None:
    snapshot = Snapshot.open(filled)
    drawn = {kind: asked.draw(snapshot, kind, ASKED) for kind in snapshot.rows}
    held, questions = snapshot.parts_of("frame"), asked.asked(snapshot, "frame", drawn)
    rows = [truth.scan(filled, part, questions) for part in held]
    trial = Trial(snapshot, held, questions, rows)
    assert len(held) > 1
    for lists in (1, 2, 5, 12, 48):
        for depth in (1, 10, 100):
            told = trial._told(Effort(lists), depth)
            searched = trial._searched(Effort(lists), depth, (depth,)).shares[depth]
            assert told is not None
            assert np.allclose(told, searched, equal_nan=True), (lists, depth)
            assert 0 < np.nanmean(told) <= 1
    look_alike = {n: len({trial._lists(n, depth) for depth in (1, 10, 100)}) == 1 for n in (1, 12, 48)}
    assert set(look_alike.values()) == {True, False}
    for lists, is_alike in look_alike.items():  # else a search for many rows says nothing of one for few
        assert (trial.told(Effort(lists)) is not None) == is_alike


def test_lists_that_tell_of_more_than_searches_find_are_not_believed(
    store: Store, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    """As where what an index holds in its lists is not what it says that it holds."""
    found = Reach.found
    monkeypatch.setattr(Reach, "found", lambda self, lists, lowest: found(self, lists + 20, lowest))
    snapshot = made(store, "IVF40,SQfp16")
    assert snapshot.held["recall_texts"]["frame"]["10"] >= 0.95
    assert sum(counted) > 3 * most_searched()
    assert measure(snapshot, ASKED)["frame"].worse == snapshot.held["recall"]["frame"]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many queries each search was made for."""
    found = list[int]()

    def counting(held: Any, queries: Float32Array, *args: Any) -> Any:
        found.append(len(queries))
        return best_rows(held, queries, *args)

    monkeypatch.setattr(index.recall, "best_rows", counting)
    return found


def most_searched() -> int:
    texts = min(ASKED, TEXTS)  # rows of texts are compared one by one, and timed apart
    return (ASKED + texts) + 2 * texts


def test_choosing_an_effort_searches_each_query_once(store: Store, counted: list[int]) -> None:
    snapshot = made(store, "IVF40,SQfp16")
    assert snapshot.held["recall_texts"]["frame"]["10"] >= 0.95
    assert sum(counted) <= most_searched()


def test_an_effort_that_finds_too_little_by_now_is_not_searched_with(
    store: Store, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made(store, "IVF40,SQfp16").effort("frame")
    monkeypatch.setattr(index.survey, "_effort_before", lambda *_: Effort(1))
    counted.clear()
    add(store, Law(2).rows(300), 1_000)
    after = made(store, "IVF40,SQfp16")
    assert after.effort("frame").lists > before.lists // 2
    assert after.held["recall"]["frame"]["10"] >= 0.95
    assert sum(counted) <= most_searched()


def test_what_finds_too_little_is_not_published_unless_somebody_says_so(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (index.effort, index.recall):
        monkeypatch.setattr(module, "MOST_CANDIDATES", 4)
    flags = ["--store", str(store.root)]
    assert main(["build", *flags, "--factory", "frame=IVF16,PQ2x4"]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    said = re.fullmatch(
        r"cinedex index build: Snapshot 2 finds (0\.\d{3}) of the ten best frame rows, less than 0\.95; "
        r"`--factory` .*, a lower `--recall` .*, and `cinedex index publish 2 --below-recall` .*\.",
        told,
    )
    assert said and float(said[1]) < 0.9
    assert Snapshot.open(store).number == 1
    assert Snapshot.open(store, 2).effort("frame").candidates == 4
    assert main(["publish", "2", *flags]) == 1
    assert capsys.readouterr().err == f"cinedex index publish: {told.partition('build: ')[2]}\n"
    assert Snapshot.open(store).number == 1
    assert main(["publish", "2", *flags, "--below-recall"]) == 0
    assert capsys.readouterr().out.endswith(
        f": snapshot 2 published; it finds {said[1]} of the ten best frame rows, less than 0.95.\n"
    )
    # Who goes back to it need not say so again, and nothing about it is damaged.
    for number in ("2", "1", "2"):
        assert main(["publish", number, *flags]) == 0
    assert list(damage(store.root)) == []
    capsys.readouterr()
    assert main(["check", *flags, "--recall", "--sample", "50"]) == 1
    shown = capsys.readouterr()
    assert "4 x candidates" in shown.out
    assert "of the ten best frame rows, less than 0.95; a higher" in shown.err.splitlines()[-1]
    assert main(["check", *flags, "--recall", "0.1", "--sample", "20"]) == 0
    # Who asks for less gets a snapshot of less effort, of the same parts and without comparing a row again.
    with caplog.at_level(logging.INFO, "index"):
        assert main(["build", *flags, "--recall", "0.1"]) == 0
    assert "compared kind=frame queries=256 rows=0 of=4000" in caplog.text
    assert Snapshot.open(store).number == 3
    assert Snapshot.open(store).effort("frame").candidates < 4


def test_an_increment_keeps_the_effort_and_compares_only_new_rows(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first = Snapshot.open(store)
    add(store, Law(2).rows(300), 1_000)
    with caplog.at_level(logging.INFO, "index"):
        second = made(store, LISTS)
    assert "compared kind=frame queries=256 rows=300 of=4300" in caplog.text
    assert "compared kind=text queries=128 rows=0 of=200" in caplog.text
    assert second.effort("frame") == first.effort("frame")
    anew = Snapshot.open(store, build_snapshot(store, part_rows=1_700, fresh=True).number)
    for name in ("recall", "recall_texts"):
        assert abs(anew.held[name]["frame"]["10"] - second.held[name]["frame"]["10"]) < 0.03
