"""`extract --captions`: sentences about clips, from their pictures into the store and back out by words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.store import Store
from core.types import Line
from extractor.captions import Captions
from extractor.cli import main
from extractor.encoders import load_again
from extractor.encoders.videococa import VideoCoCa, load
from extractor.encoding import Encoding
from index.build import build
from index.captions import captions
from index.check import damage
from index.snapshot import Snapshot
from index.terms import terms
from tests.extractor.encoders.models import coca_folder
from tests.extractor.shelf import Shelf
from tests.extractor.test_encoding import end, give, pictures, rows, video

NARROW = ("--clip-seconds=2", "--stride-seconds=1", "--batch=3")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"videococa:local-dir:{coca_folder(tmp_path_factory.mktemp('model'))}"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    return Shelf(tmp_path)


def store_of(shelf: Shelf) -> Store:
    (path,) = (each.parent for each in (shelf.folder / "data").glob("*/store.json"))
    return Store.open(path)


def told(store: Store) -> list[tuple[str, Line]]:
    """The live lines of captions, with their sources."""
    known = store.log.last()
    found = []
    for winner in known.winners():
        if winner.layer == "captions":
            shard = store.shard(winner.shard)
            ids = [(row["id"], row["layer"]) for row in shard.sources.to_pylist()]
            lines = shard.lines().of(ids.index((winner.source, "captions")))
            found += [(winner.source, line) for line in lines]
    return found


def clips_of(store: Store) -> list[tuple[float, float]]:
    known = store.log.last()
    held = [store.shard(winner.shard).rows("clip") for winner in known.winners() if winner.layer == "visual"]
    return sorted({(s, e) for each in held for s, e in zip(each.start, each.end, strict=True)})


def test_each_clip_gets_its_sentence_and_words_find_it(shelf: Shelf, videos: Path, model: str) -> None:
    shelf.put(videos / "red.mp4")
    report = shelf.extract(f"--encoder={model}", "--captions", *NARROW)
    store = store_of(shelf)
    lines = [line for _, line in told(store)]
    assert [(line.start, line.end) for line in lines] == clips_of(store)
    assert report["captions"] == len(lines) == report["rows"]["text"] == report["rows"]["clip"]
    assert report["lines"] == 0
    assert all(line.text and line.language == "en" and line.written_by == model for line in lines)
    build(store)
    view = Snapshot.open(store)
    assert not list(damage(store.root))
    told_by_words, _ = view.told("lines", terms(lines[0].text), 50)
    assert (lines[0].text, "captions") in {(each.text, each.origin) for each in told_by_words}
    assert captions(view, view.sources.id(0), 3.5, 4.5) == [
        replace(line, language="") for line in lines if line.start < 4.5 and line.end > 3.5
    ]
    encoder = load_again(store.spec)
    query = encoder.texts([lines[0].text]).numpy()
    hits = view.search("text", query, 3)[0]
    assert hits.scores[0] == pytest.approx(1, abs=2e-3)
    assert hits.segments[0].text == lines[0].text


def test_without_captions_there_are_none(shelf: Shelf, videos: Path, model: str) -> None:
    shelf.put(videos / "red.mp4")
    report = shelf.extract(f"--encoder={model}", *NARROW)
    assert report["captions"] == 0 and not told(store_of(shelf))


def test_vectors_are_the_same_with_captions_and_without(model: str) -> None:
    found = []
    encoder = load(model.partition(":")[2], "cpu", None)
    for writer in (None, Captions(encoder)):
        encoding, of = Encoding(encoder, 4, writer), video("one")
        give(encoding, of, pictures(1, 11))
        end(encoding, of)
        assert [*encoding.encode(), *encoding.settle()] == [of]
        found.append(of)
    plain, written = (of.all_rows() for of in found)
    for kind in ("frame", "clip"):
        assert plain[kind][0] == written[kind][0]
        a, b = (np.asarray(each[kind][1], np.float32) for each in (plain, written))
        assert np.abs(a - b).max() <= 2e-3
    spans = [(line.start, line.end) for line in found[1].captions]
    assert spans == [(each.start, each.end) for each in written["clip"][0]]
    assert not found[0].captions and rows(found[0])


class Counting(VideoCoCa):
    """Notes how many pictures go through its tower."""

    seen = 0

    def tokens(self, pictures: torch.Tensor) -> torch.Tensor:
        self.seen += len(pictures)
        return super().tokens(pictures)

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        self.seen += len(pictures)
        return super().features(pictures)


@pytest.mark.parametrize("writes", [False, True])
def test_no_picture_goes_through_the_tower_twice(model: str, writes: bool) -> None:
    encoder = load(model.partition(":")[2], "cpu", None)
    encoder.__class__ = Counting
    assert isinstance(encoder, Counting)
    encoding, of = Encoding(encoder, 4, Captions(encoder) if writes else None), video("one")
    give(encoding, of, pictures(1, 30))
    end(encoding, of)
    assert [*encoding.encode(), *encoding.settle()] == [of]
    assert sum(len(each[0]) for each in of.all_rows().values()) > 30
    assert encoder.seen == 30


def test_another_model_may_write_them(shelf: Shelf, videos: Path, model: str, tmp_path: Path) -> None:
    """The vectors of one, the sentences of the other."""
    shelf.put(videos / "red.mp4")
    writer = f"videococa:local-dir:{coca_folder(tmp_path / 'other', seed=7)}"
    shelf.extract(f"--encoder={model}", f"--captions={writer}", "--caption-beams=2", *NARROW)
    store = store_of(shelf)
    theirs = [line for _, line in told(store)]
    assert {line.written_by for line in theirs} == {writer}
    assert answered(store) == theirs
    shelf.extract(f"--encoder={model}", "--captions", "--caption-beams=2", "--again", *NARROW)
    ours = [line for _, line in told(store)]
    assert [line.text for line in ours] != [line.text for line in theirs] and len(ours) == len(theirs)
    assert {line.written_by for line in ours} == {model} and answered(store) == ours
    assert store.spec.name == model


def answered(store: Store) -> list[Line]:
    """What a new snapshot has of its only source, in the language of all captions."""
    build(store)
    view = Snapshot.open(store)
    return [replace(line, language="en") for line in captions(view, view.sources.id(0))]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--encoder=toy:rgb", "--captions"), "--captions: toy:rgb cannot write captions; one that can is"),
        (("--encoder=toy:rgb", "--captions=toy:rgb"), "--captions: toy:rgb cannot write captions"),
        (("--encoder=toy:rgb", "--caption-beams=3"), "--caption-beams goes with --captions."),
    ],
)
def test_what_cannot_be_is_said(
    flags: tuple[str, ...], says: str, shelf: Shelf, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.put(videos / "red.mp4")
    assert main(shelf.flags(*flags)) == 2
    assert says in capsys.readouterr().err


def test_a_writer_that_wants_other_pictures_is_refused(
    shelf: Shelf, videos: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.put(videos / "red.mp4")
    other = coca_folder(tmp_path / "other")
    config = json.loads((other / "open_clip_config.json").read_text())
    config["preprocess_cfg"] = {"interpolation": "bilinear", "resize_mode": "squash"}
    (other / "open_clip_config.json").write_text(json.dumps(config))
    code = main(shelf.flags(f"--encoder={model}", f"--captions=videococa:local-dir:{other}"))
    assert code == 2
    says = f"wants other pictures than {model} does: fit squash, not crop and resize bilinear, not bicubic."
    assert says in capsys.readouterr().err
