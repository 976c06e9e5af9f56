"""A store of format 1 with lines, sidecars and thumbnails: every later version must open it and answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.store import Store
from core.writer import compact
from index.build import build_snapshot
from index.check import damage
from tests.data.make_store import answers
from tests.data.make_store_layers import lines, thumbs

V1 = Path(__file__).with_name("data") / "store-v1-layers"


@pytest.fixture
def v1(tmp_path: Path) -> Store:
    """A copy: the original is never written to."""
    shutil.copytree(V1, tmp_path / "toy-rgb")
    return Store.open(tmp_path / "toy-rgb")


def found(store: Store) -> dict[str, Any]:
    return {"hits": answers(store), "lines": lines(store), "thumbs": thumbs(store)}


def expected() -> dict[str, Any]:
    held: dict[str, Any] = json.loads((V1 / "answers.json").read_text())
    return held


def test_it_opens_with_its_sidecars(v1: Store) -> None:
    known = v1.log.last()
    assert known.base is not None and known.number > known.base.number
    assert any(word.sidecars for _, word in known.base.with_sidecars())
    beside = {
        word.path.decode(): [sidecar.path.decode() for sidecar in word.sidecars] for word in known.words()
    }
    assert beside == {
        "copy \N{SNOWMAN}.mp4": ["copy \N{SNOWMAN}.vtt"],
        "film.mp4": ["film.de.srt", "film.json", "film.pt-BR.srt"],
        "sample-02.mp4": [],
    }


def test_every_byte_of_it_is_as_it_was(v1: Store) -> None:
    assert list(damage(v1.root)) == []


def test_it_answers_as_it_did(v1: Store) -> None:
    assert found(v1) == expected()
    said = [line[2] for line in expected()["lines"]["copy \N{SNOWMAN}.mp4"]]
    assert said[:3] == ["a red circle", "ein Kreis", "um c\xedrculo"]
    assert said[3:] == ["of the copy", "something blue", "green at last"]


def test_it_can_be_compacted_and_built_anew(v1: Store) -> None:
    compact(v1, sorted(v1.log.last().shards()))
    assert len(v1.log.last().shards()) == 1
    assert build_snapshot(v1, fresh=True).published
    assert found(v1) == expected()
