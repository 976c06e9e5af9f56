"""A store of format 1 with all that the index adds to it: every later version must open it and answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.store import Store
from index.build import build_snapshot
from index.check import damage
from index.snapshot import Snapshot
from tests.data.make_store_index import FACTORIES, found

V1 = Path(__file__).with_name("data") / "store-v1-index"


@pytest.fixture
def v1(tmp_path: Path) -> Store:
    """A copy: the original is never written to."""
    shutil.copytree(V1, tmp_path / "toy-rgb")
    return Store.open(tmp_path / "toy-rgb")


def expected() -> dict[str, Any]:
    held: dict[str, Any] = json.loads((V1 / "answers.json").read_text())
    return held


def test_every_byte_of_it_is_as_it_was(v1: Store) -> None:
    assert list(damage(v1.root)) == []


def test_it_answers_as_it_did_by_vectors_by_words_and_within_filters(v1: Store) -> None:
    assert found(v1) == expected()
    assert all(expected()["told"].values()) and all(expected()["kept"].values())


def test_its_older_snapshot_still_answers(v1: Store) -> None:
    older, newer = Snapshot.open(v1, 1), Snapshot.open(v1)
    assert newer.number == 2
    assert len(older.sources) == len(newer.sources) == 6
    assert older.rows != {} and [part.about.trained for part in older.parts if part.about.kind == "frame"]


def test_with_nothing_new_nothing_is_built_and_afresh_it_answers_the_same(v1: Store) -> None:
    assert not build_snapshot(v1).made
    again = build_snapshot(v1, fresh=True)
    assert again.published and Snapshot.open(v1).held["factories"] == FACTORIES
    assert found(v1) == expected()
