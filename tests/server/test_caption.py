"""A VideoCoCa store, from files to answers: search by its poolers, and POST /caption."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from core.store import Store
from extractor.cli import main
from extractor.encoders import load_again
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from index.build import build
from index.snapshot import Snapshot
from server import captioning
from server.library import ServedLibrary
from server.routes import caption as route
from tests.conftest import plain
from tests.extractor.encoders.models import coca_folder
from tests.extractor.shelf import age
from tests.server.conftest import in_thread
from tests.server.worlds import until

CLIP_S = 3
FILMS = ("red-then-blue.mp4", "green.mp4", "rotated.mp4", "short.webm", "with-sound.mkv", "vfr.mkv")
QUERIES = ("a red circle", "something green", "猫", "", "word " * 100, "🐈", "red <end_of_text> green")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Iterator[Path]:
    """A library of silent, portrait and very short videos in the vectors of a CoCa of its authors' format."""
    folder = tmp_path_factory.mktemp("coca")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(folder / "weights"))
        films = folder / "films"
        films.mkdir()
        for name in FILMS:
            (films / name).write_bytes((videos / name).read_bytes())
            age(films / name)
        write_video(films / "one.mp4", plain("blue", 0.1), Encoding(fps=Fraction(10)))
        write_video(films / "third.mp4", plain("red", 0.3), Encoding(fps=Fraction(10)))
        age(films / "one.mp4"), age(films / "third.mp4")
        model = f"videococa:local-dir:{coca_folder(folder / 'model')}"
        flags = ["--data", str(folder / "data"), "--encoder", model, "--workers=0", "--quiet"]
        narrow = [f"--clip-seconds={CLIP_S}", "--stride-seconds=2", "--precision=fp32"]
        assert main(["--videos", str(films), *flags, *narrow]) == 0
        build(store_of(folder / "data"))
        yield folder / "data"


def store_of(data: Path) -> Store:
    (path,) = (each.parent for each in data.glob("*/store.json"))
    return Store.open(path)


@pytest.fixture(scope="module")
def http(world: Path) -> Iterator[httpx.Client]:
    with in_thread(ServedLibrary.of_data(world)) as found:
        until(lambda: found.get("/readyz").status_code == 200, 60)
        yield found


def id_of(http: httpx.Client, name: str) -> str:
    listed = http.get("/videos").json()["videos"]
    (found,) = (each["video_id"] for each in listed if each["path"].endswith(name))
    return str(found)


def caption(http: httpx.Client, name: str, **fields: Any) -> httpx.Response:
    return http.post("/caption", json={"video_id": id_of(http, name), **fields})


@pytest.fixture(scope="module")
def plain_clips(http: httpx.Client, world: Path) -> list[tuple[str, float, Tensor]]:
    """Of each clip its video, its start, and its vector: made from the file, one clip at a time."""
    store, found = store_of(world), list[tuple[str, float, Tensor]]()
    view, encoder = Snapshot.open(store), load_again(store.spec)
    for name in (*FILMS, "one.mp4", "third.mp4"):
        with Reader(world.parent / "films" / name) as reader:
            shown = list(reader.pictures(store.sampling, store.spec.look))
        source = id_of(http, name)
        for segment in view.vectors(source, "clip")[0]:
            first = round(
                segment.start
            )  # at one picture a second, each a little before its point of the grid
            mine = [each.pixels for each in shown if first <= round(each.t) < first + CLIP_S]
            features = encoder.features(torch.from_numpy(np.stack(mine)))
            found.append((source, segment.start, encoder.clips(features, [np.arange(len(mine))])[0]))
    return found


@pytest.mark.parametrize(
    "text", QUERIES, ids=["words", "others", "chinese", "empty", "long", "emoji", "marks"]
)
def test_search_ranks_as_the_plain_matrix_of_scores_does(
    http: httpx.Client, world: Path, plain_clips: list[tuple[str, float, Tensor]], text: str
) -> None:
    encoder = load_again(store_of(world).spec)
    row = encoder.texts([text])[0]
    scores = [(source, start, float(clip @ row)) for source, start, clip in plain_clips]
    expected = sorted(scores, key=lambda each: -each[2])
    body = {"query": text, "level": "clip", "limit": 50, "merge_gap_s": None, "mode": "visual"}
    if not text:
        body["query"] = [{"vector": encoder.texts([text]).numpy()[0].tolist()}]
    answer = http.post("/search", json=body)
    assert answer.status_code == 200, answer.text
    found = [(each["video_id"], each["start"], each["score"]) for each in answer.json()["results"]]
    assert len(found) == len(expected) > 10
    assert {each[:2] for each in found} == {each[:2] for each in expected}
    assert answer.json()["query_truncated"] == (text == QUERIES[4])
    assert np.allclose([row[2] for row in found], [row[2] for row in expected], atol=1e-3)
    for mine, theirs in zip(found, expected, strict=True):
        if mine[:2] != theirs[:2]:
            assert abs(mine[2] - theirs[2]) < 1e-3  # as near as float16 rows are


@pytest.mark.parametrize("name", ["one.mp4", "third.mp4"])
def test_a_video_of_one_picture_or_a_third_of_a_second_is_one_clip(http: httpx.Client, name: str) -> None:
    video = http.get(f"/videos/{id_of(http, name)}").json()
    assert video["rows"] == {"frame": 1, "clip": 1}
    assert 0 < video["seconds"] <= 0.31


def test_captions_are_written_from_the_file_where_none_are_stored(http: httpx.Client) -> None:
    answer = caption(http, "red-then-blue.mp4")
    assert answer.status_code == 200, answer.text
    held = answer.json()
    assert [(each["start"], each["end"]) for each in held["captions"]] == [(0, 3), (2, 5), (4, 7), (5, 8)]
    assert all(each["text"] for each in held["captions"])
    assert held["encoder"].startswith("videococa:local-dir:")
    some = caption(http, "red-then-blue.mp4", start=2, end=2.5, beams=1).json()["captions"]
    assert some == held["captions"][:2]
    assert caption(http, "rotated.mp4").status_code == 200
    assert len(caption(http, "one.mp4").json()["captions"]) == 1


def test_with_more_beams_others_may_be_written(http: httpx.Client) -> None:
    one, many = (caption(http, "red-then-blue.mp4", beams=beams).json()["captions"] for beams in (1, 4))
    assert [each["start"] for each in one] == [each["start"] for each in many]
    assert one != many


def test_too_many_clips_are_told(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captioning, "MOST_CLIPS", 2)
    answer = caption(http, "green.mp4")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == (
        "video_id: the video has 5 clips there, and 2 at most are written about at once; start and end take "
        "fewer."
    )
    assert caption(http, "green.mp4", end=1).status_code == 200


def test_what_takes_too_long_is_given_up(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "MOST_S", 0.0)
    monkeypatch.setattr(route, "STEP_S", 0.0)
    answer = caption(http, "green.mp4")
    assert answer.status_code == 503
    assert "Of the clips 0 of 5 are written about after 0 s" in answer.json()["error"]["message"]


def test_a_file_that_is_gone_is_told(http: httpx.Client, world: Path) -> None:
    path = world.parent / "films" / "vfr.mkv"
    hidden = path.rename(path.with_suffix(".away"))
    try:
        answer = caption(http, "vfr.mkv")
    finally:
        hidden.rename(path)
    assert answer.status_code == 404
    assert "it is gone" in answer.json()["error"]["message"]


def test_stored_captions_are_answered_and_found_by_their_words(
    world: Path, tmp_path: Path, videos: Path
) -> None:
    """The same as those that are written anew."""
    (tmp_path / "films").mkdir()
    copy = tmp_path / "films" / "red-then-blue.mp4"
    copy.write_bytes((videos / "red-then-blue.mp4").read_bytes())
    age(copy)
    model = store_of(world).spec.name
    flags = ["--data", str(tmp_path / "data"), "--encoder", model, "--workers=0", "--quiet", "--captions"]
    narrow = ["--clip-seconds=3", "--stride-seconds=2"]
    assert main(["--videos", str(tmp_path / "films"), *flags, *narrow]) == 0
    build(store_of(tmp_path / "data"))
    with in_thread(ServedLibrary.of_data(tmp_path / "data")) as http:
        until(lambda: http.get("/readyz").status_code == 200, 60)
        stored = caption(http, copy.name).json()["captions"]
        assert stored == caption(http, copy.name, beams=1).json()["captions"]
        copy.unlink()
        assert caption(http, copy.name).json()["captions"] == stored
        assert caption(http, copy.name, beams=2).status_code == 404
        answer = http.post("/search", json={"query": stored[0]["text"], "mode": "text"}).json()
        best = answer["results"][0]
        assert best["matched_on"] == ["captions"] and best["text"] in {each["text"] for each in stored}
        assert best["written_by"] == model == stored[0]["written_by"]
        asked = {"query": stored[0]["text"], "mode": "visual", "target": "texts"}
        (first, *_) = http.post("/search", json=asked).json()["results"]
        assert (first["matched_on"], first["written_by"]) == (["captions"], model)
