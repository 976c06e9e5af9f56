"""Threads that search one snapshot with different filters do not disturb each other.

FAISS' IndexIDMap writes into the caller's search parameters while it searches, which gave wrong answers and
crashes when threads shared them. So parts use positions as ids, and parameters are made for each search.
"""

from __future__ import annotations

import ast
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.commands import main
from core.errors import Error
from core.query import Filter
from index import cli, dedupe, merge, part, threads
from index.build import build, build_snapshot
from index.faissfile import FAISS
from index.snapshot import Snapshot
from tests.index.test_snapshot import told
from tests.index.worlds import Answer, lived_in, world


@pytest.mark.parametrize("factory", ["Flat", "IVF4,SQfp16"])
def test_eight_threads_with_filters_of_their_own_each_get_the_truth(
    tmp_path: Path, factory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "FEW_ROWS", 0)  # or the index would not be asked
    lived = world(tmp_path / "store")
    lived.add(150)
    build_snapshot(lived.store, part_rows=60, factories={"frame": factory, "clip": factory})
    snapshot = Snapshot.open(lived.store)
    assert len(snapshot.parts) > 6
    sources = sorted(lived.held)

    def search(thread: int) -> int:
        chance = np.random.default_rng(thread)
        for _ in range(25):
            hidden = frozenset(chance.choice(sources, int(chance.integers(0, len(sources)))).tolist())
            query = (chance.integers(-3, 4, (1, 8)) / 8).astype(np.float32)
            hits = snapshot.search("frame", query, 10, filter=Filter(hidden=hidden), effort=0)[0]
            assert told(hits) == lived.best("frame", query[0], 10, hidden)
        return thread

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(search, range(8))) == list(range(8))


@pytest.mark.parametrize("factory", ["IVF16,SQ8", "IVF16,RaBitQ4", "IVF16,PQ4x4"])
def test_eight_threads_that_look_into_few_lists_answer_as_one_does(
    tmp_path: Path, factory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "FEW_ROWS", 0)
    lived = world(tmp_path / "store", exact=False)
    lived.add(150)
    number = build_snapshot(lived.store, part_rows=100, factories={"frame": factory}, publish=False).number
    snapshot, sources = Snapshot.open(lived.store, number), sorted(lived.held)

    def search(thread: int) -> list[Answer]:
        chance, found = np.random.default_rng(thread), []
        for _ in range(25):
            some = frozenset(chance.choice(sources, int(chance.integers(20, 100))).tolist())
            query = chance.standard_normal((1, 8)).astype(np.float32)
            found.append(told(snapshot.search("frame", query, 10, filter=Filter(sources=some), effort=2)[0]))
        return found

    alone = [search(thread) for thread in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search, range(8))) == alone
    assert all(len(answer) == 10 for answers in alone for answer in answers)


def test_snapshots_are_swapped_under_threads_that_search(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store")
    first = build(lived.store)
    lived.add(10)
    second = build(lived.store)
    query = lived.vectors(1)
    held = {number: Snapshot.open(lived.store, number) for number in (first, second)}
    truth = {number: told(each.search("frame", query, 20)[0]) for number, each in held.items()}

    def search(thread: int) -> None:
        for turn in range(25):
            number = (first, second)[(thread + turn) % 2]
            held[number] = Snapshot.open(lived.store, number)
            assert told(held[number].search("frame", query, 20)[0]) == truth[number]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(search, range(8)))


def test_opening_a_snapshot_parses_nothing_with_ast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython 3.11 cannot do that in two threads at a time, and a server opens one while others search."""
    lived = lived_in(tmp_path / "store")
    build(lived.store)

    def refuse(text: object) -> None:
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr(ast, "literal_eval", refuse)
    assert told(Snapshot.open(lived.store).search("frame", lived.vectors(1), 5)[0])


def test_no_search_shares_its_parameters_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = world(tmp_path / "store")
    lived.add(20)
    build_snapshot(lived.store, part_rows=20)
    made: list[object] = []
    real = part._selecting

    def selecting(bits: part.Bits, lists: int = 0) -> object:
        made.append(real(bits, lists))
        return made[-1]

    monkeypatch.setattr(part, "_selecting", selecting)
    snapshot = Snapshot.open(lived.store)
    searched = sum(each.about.kind == "frame" for each in snapshot.parts)
    snapshot.search("frame", lived.vectors(1), 1000)
    assert searched > 1
    assert len({id(parameters) for parameters in made}) == searched


def test_torch_takes_no_more_threads_than_the_container_has_cpus_whenever_it_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []
    torch = SimpleNamespace(get_num_threads=lambda: 8, set_num_threads=taken.append)
    monkeypatch.setattr(threads, "usable_cpus", lambda: 3)
    monkeypatch.setattr(threads.FAISS, "omp_set_num_threads", lambda count: None)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.delenv("OMP_NUM_THREADS")
    threads.bound_threads()
    assert taken == [3] and "OMP_NUM_THREADS" not in os.environ
    monkeypatch.delitem(sys.modules, "torch")
    for count in ("3", "2"):
        threads.bound_threads()
        assert os.environ["OMP_NUM_THREADS"] == count
        monkeypatch.setenv("OMP_NUM_THREADS", "2")  # what the user says stays


@pytest.mark.parametrize("words", [("index", "build"), ("index", "check"), ("dedupe",), ("search", "red")])
def test_every_verb_that_computes_bounds_its_threads(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def bound() -> None:
        raise Error("bound")

    monkeypatch.setattr(threads, "bound_threads", bound)
    for module in (cli, dedupe):
        monkeypatch.setattr(module, "bound_threads", bound)
    world(tmp_path / "store")
    assert main([*words, "--store", str(tmp_path / "store")]) == 1
    assert capsys.readouterr().err == f"cinedex {' '.join(words[: 2 if words[0] == 'index' else 1])}: bound\n"


def test_faiss_takes_no_more_threads_than_the_container_has_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    before = FAISS.omp_get_max_threads()
    try:
        FAISS.omp_set_num_threads(8)
        for cpus, taken in ((16, 8), (3, 3)):
            monkeypatch.setattr(threads, "usable_cpus", lambda cpus=cpus: cpus)
            threads.bound_threads()
            assert FAISS.omp_get_max_threads() == taken
    finally:
        FAISS.omp_set_num_threads(before)
