"""A store of format 1, made once by the first version: every later one must open it, add to it and answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.store import Store
from core.types import Sampling
from extractor import cli
from index.build import build_snapshot
from index.check import damage
from tests.data.make_store import answers
from tests.extractor.shelf import age

V1 = Path(__file__).with_name("data") / "store-v1"


@pytest.fixture
def v1(tmp_path: Path) -> Store:
    """A copy: the original is never written to."""
    shutil.copytree(V1, tmp_path / "toy-rgb")
    return Store.open(tmp_path / "toy-rgb")


def test_it_opens_as_it_was_made(v1: Store) -> None:
    assert (v1.spec.name, v1.spec.dim, v1.sampling) == ("toy:rgb", 12, Sampling())
    known = v1.log.last()
    assert known.base is not None and known.number > known.base.number
    words = sorted((word.word, word.path.decode()) for word in known.words())
    assert words == [
        ("done", "copy \N{SNOWMAN}.mp4"),
        ("done", "sample-01.mp4"),
        ("done", "sample-02.mp4"),
        ("done", "sample-03.mp4"),
        ("done", "texts.jsonl#a"),
        ("done", "texts.jsonl#b"),
        ("failed", "broken.mp4"),
        ("skipped", "notes.ogg"),
    ]
    assert len(known.removed()) == 1
    columns = [dict(live.columns) for live in known.live() if live.columns]
    assert columns == [{"tag": "shape"}]


def test_every_byte_of_it_is_as_it_was(v1: Store) -> None:
    assert list(damage(v1.root)) == []


def test_it_answers_as_it_did(v1: Store) -> None:
    assert answers(v1) == json.loads((V1 / "answers.json").read_text())


def test_its_snapshot_can_be_built_anew(v1: Store) -> None:
    built = build_snapshot(v1, fresh=True)
    assert built.published and built.number > 1
    assert answers(v1) == json.loads((V1 / "answers.json").read_text())


def test_it_can_be_added_to(v1: Store, tmp_path: Path, videos: Path) -> None:
    (tmp_path / "more").mkdir()
    age(Path(shutil.copy(videos / "red.mp4", tmp_path / "more")))
    before = len(list(v1.log.last().live()))
    flags = ["--videos", str(tmp_path / "more"), "--store", str(v1.root), "--workers", "0", "--quiet"]
    assert cli.main(flags) == 0
    assert len(list(v1.log.last().live())) == before + 1
