"""A killed writer, compaction or checkpoint leaves a store that opens, and a second run makes it whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import core.log
from core import files
from core.store import Store
from core.writer import Writer, compact
from tests.core import stores
from tests.durable import every_step


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def fresh(root: Path, *, numbers: range = range(0)) -> Store:
    shutil.rmtree(root, ignore_errors=True)
    store = stores.make(root)
    stores.fill(store, list(numbers))
    return store


def test_a_writer_killed_at_any_step_leaves_all_or_nothing_of_its_commit(root: Path) -> None:
    def commit() -> None:
        writer = Writer(Store.open(root))
        for number in (1, 2):
            stores.add(writer, number)
        writer.commit()

    def check(step: int) -> None:
        store = Store.open(root)
        assert stores.live_numbers(store) in ([], [1, 2]), f"half a commit after step {step}"
        commit()
        assert stores.live_numbers(store) == [1, 2]
        assert files.sweep(root / "shards", 0) + files.sweep(root / "log", 0) <= 2

    assert every_step(commit, check, lambda: fresh(root)) > 8


def test_a_store_killed_while_it_is_made_can_be_made_again(root: Path) -> None:
    def check(step: int) -> None:
        store = stores.make(root)
        stores.fill(store, [7])
        assert stores.live_numbers(store) == [7]

    make = lambda: stores.make(root)  # noqa: E731
    assert every_step(make, check, lambda: shutil.rmtree(root, ignore_errors=True)) > 8


def test_a_compaction_killed_at_any_step_loses_and_doubles_nothing(root: Path) -> None:
    def run() -> None:
        store = Store.open(root)
        compact(store, sorted(store.log.last().shards()))

    def check(step: int) -> None:
        store = Store.open(root)
        assert stores.live_numbers(store) == [1, 2, 3], f"after step {step}"
        run()
        assert stores.live_numbers(store) == [1, 2, 3]
        assert len(store.log.last().shards()) == 1

    assert every_step(run, check, lambda: fresh(root, numbers=range(1, 4))) > 8


def test_a_checkpoint_killed_at_any_step_loses_no_word(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 3)

    def run() -> None:
        stores.fill(Store.open(root), [5, 6, 7])

    def check(step: int) -> None:
        store = Store.open(root)
        assert set(stores.live_numbers(store)) <= {1, 5, 6, 7}, f"after step {step}"
        assert 1 in stores.live_numbers(store)
        run()
        assert stores.live_numbers(store) == [1, 5, 6, 7]

    assert every_step(run, check, lambda: fresh(root, numbers=range(1, 2))) > 20
