"""S3D from the authors' file to answers: ranks as MIL-NCE's score matrix; without its words, the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from core.commands import main
from core.store import Store
from core.types import Float32Array, Sampling
from extractor.encoders import load
from extractor.encoders.s3d import S3D
from extractor.media.reader import Reader
from server.library import ServedLibrary
from tests.extractor.encoders import tiny_s3d
from tests.server import ranked
from tests.server.conftest import in_thread
from tests.server.ranked import NEAR, filmed
from tests.server.worlds import until

SPECIAL = "[SEP] red <|endoftext|> circle [PAD]"  # of which two words are known
TEXTS = ["a red circle moves", "green", "🐈", "狗在草地上跑", SPECIAL, "square " * 90]
FILMS = {**ranked.FILMS, "left.mp4": ("red", "circle", "moves to the left", 2.5, 160, 90)}
FPS = {"left.mp4": 60, "portrait.mp4": 25}  # of the others ten


@dataclass(frozen=True)
class World:
    """A library, what made it, and each video's mean of its seconds."""

    data: Path
    http: httpx.Client
    encoder: S3D
    rows: Float32Array

    def scores(self, text: str) -> dict[str, float]:
        """By the authors' formula."""
        (row,) = self.encoder.texts([text]).numpy()
        return dict(zip(FILMS, (self.rows @ row).tolist(), strict=True))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("s3d")
    filmed(folder / "films", FILMS, fps=FPS)
    file = tiny_s3d.file(folder / "s3d_howto100m.pth", 4)
    data = ["--data", str(folder / "data"), "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(folder / "weights"))
        patch.setenv("CINEDEX_S3D_WORDS", str(tiny_s3d.word_list(folder / "words.json")))
        how = ["--encoder", "s3d", "--weights", str(file), "--workers", "0", "--precision", "fp32"]
        assert main(["extract", "--videos", str(folder / "films"), *how, *data]) == 0
        file.unlink()  # what is registered is enough
        patch.delenv("CINEDEX_S3D_WORDS")
        assert main(["index", "build", *data]) == 0
        encoder = load("s3d", weights=next((folder / "weights").glob("*/weights.safetensors")))
        assert isinstance(encoder, S3D)
        with in_thread(ServedLibrary.of_data(folder / "data")) as http:
            until(lambda: http.get("/readyz").status_code == 200)
            yield World(folder / "data", http, encoder, plain_rows(encoder, folder / "films"))


@torch.inference_mode()
def plain_rows(encoder: S3D, folder: Path) -> Float32Array:
    """Of each video by itself."""
    rows = []
    for name in FILMS:
        with Reader(folder / name) as reader:
            shown = [second.pixels for second in reader.pictures(Sampling(), encoder.spec.look)]
        rows.append(encoder.features(torch.from_numpy(np.concatenate(shown))).mean(dim=0).numpy())
    return np.stack(rows)


def test_a_video_has_a_row_each_second_and_clips_of_eight(world: World) -> None:
    (root,) = (path.parent for path in world.data.glob("*/store.json"))
    shards = Store.open(root)
    assert shards.spec.name == "s3d"
    assert shards.sampling == Sampling()
    listed = world.http.get("/videos").json()["videos"]
    rows = {each["path"].rpartition("/")[2]: each["rows"] for each in listed}
    seconds = {"right.mp4": 4, "left.mp4": 3, "portrait.mp4": 3, "short.mp4": 1, "one.mp4": 1}
    assert {name: (each["frame"], each["clip"]) for name, each in rows.items()} == {
        name: (count, 1) for name, count in seconds.items()
    }


@pytest.mark.parametrize("text", TEXTS, ids=["words", "word", "emoji", "chinese", "special", "long"])
def test_a_search_ranks_as_the_plain_scores_do(world: World, text: str) -> None:
    answer = world.http.post("/search", json={"query": text, "level": "video"})
    assert answer.status_code == 200, answer.text
    found = {each["path"].rpartition("/")[2]: each["score"] for each in answer.json()["results"]}
    scores = world.scores(text)
    near = NEAR * max(map(abs, scores.values()))
    assert found == pytest.approx(scores, abs=near)
    assert all(one > other - 2 * near for one, other in pairwise(scores[name] for name in found))
    assert answer.json()["query_truncated"] == (text == TEXTS[-1])
    assert answer.json()["query_unknown"] == ([text] if text in TEXTS[2:4] else [])


def test_what_says_nothing_to_it_is_named_wherever_it_is_asked(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(path: str, **body: Any) -> list[str]:
        answer = world.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        found: list[str] = answer.json()["query_unknown"]
        return found

    video = world.http.get("/videos").json()["videos"][0]["video_id"]
    assert unknown("/search", query=[{"text": "zebra"}, {"text": "red"}, {"vector": [1.0] * 32}]) == ["zebra"]
    assert unknown("/search", sequence=[{"query": "red"}, {"query": "zebra"}]) == ["zebra"]
    labels = {"labels": ["a zebra", "red", "yak"], "templates": ["a white {}"]}
    assert unknown("/tag", video_id=video, **labels) == ["a zebra", "yak"]
    assert unknown("/locate", video_id=video, texts=["yak", "red"]) == ["yak"]
    file = tmp_path / "labels.txt"
    file.write_text("zebra\nred\nyak\n")
    data = ["--data", str(world.data)]
    for line, about in (
        (["search", "zebra", "--server", str(world.http.base_url)], "'zebra'"),
        (["tag", "--labels", str(file), *data], "'zebra' and of 1 more"),
    ):
        assert main(line) == 0
        said = f"the encoder knows no word of {about}: what their vectors find says nothing"
        assert said in capsys.readouterr().err
    file.write_text("green\nred\n")
    capsys.readouterr()
    assert main(["tag", "--labels", str(file), *data]) == 0
    assert "knows no word" not in capsys.readouterr().err


def test_probabilities_of_labels_are_a_softmax_over_the_scores_as_they_are(world: World) -> None:
    listed = world.http.get("/videos").json()["videos"]
    video = next(each["video_id"] for each in listed if each["path"].endswith("right.mp4"))
    pairs = [f"{one} {other}" for one, other in combinations(tiny_s3d.WORDS, 2)]
    scores = {text: world.scores(text)["right.mp4"] for text in pairs}
    ranked = sorted(pairs, key=lambda text: scores[text])
    gap, *labels = min(  # so near that another scale would tell them apart
        (gap, one, other) for one, other in pairwise(ranked) if (gap := scores[other] - scores[one]) > 0.2
    )
    body = {"video_id": video, "labels": labels, "templates": ["{}"]}
    found = world.http.post("/tag", json=body).json()["labels"]
    odds = np.exp(found[0]["score"] - found[1]["score"])
    assert gap < 2 and odds > 1
    assert found[0]["probability"] / found[1]["probability"] == pytest.approx(odds, rel=1e-2)


def test_a_stored_video_is_a_query_and_one_that_is_sent_none(world: World) -> None:
    video = world.http.get("/videos").json()["videos"][0]["video_id"]
    answer = world.http.post("/search", json={"query": [{"video_id": video}]})
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == len(FILMS) - 1
    film = (world.data.parent / "films" / "right.mp4").read_bytes()
    answer = world.http.post("/search/upload", files={"file": ("right.mp4", film)})
    assert answer.status_code == 409, answer.text
    assert "looks at runs of pictures" in answer.json()["error"]["message"]


def test_without_its_words_texts_are_answered_409_with_the_reason(world: World) -> None:
    (kept,) = world.data.parent.glob("weights/*/words.json")
    held = kept.read_bytes()
    kept.unlink()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CINEDEX_WEIGHTS", str(world.data.parent / "weights"))
            with in_thread(ServedLibrary.of_data(world.data)) as http:
                until(lambda: http.get("/readyz").status_code == 200)
                videos = http.get("/videos").json()["videos"]
                asked: dict[str, Any] = {
                    "/search": {"query": "red"},
                    "/embed": {"texts": ["red"]},
                    "/tag": {"video_id": videos[0]["video_id"], "labels": ["red"]},
                }
                for path, body in asked.items():
                    answer = http.post(path, json=body)
                    assert answer.status_code == 409, answer.text
                    assert "CINEDEX_S3D_WORDS" in answer.json()["error"]["message"]
                query = [{"video_id": videos[0]["video_id"]}]
                assert http.post("/search", json={"query": query}).status_code == 200
                row = world.rows[0].tolist()
                answer = http.post("/search", json={"query": [{"vector": row}], "level": "video"})
                assert answer.status_code == 200, answer.text
                scores = [each["score"] for each in answer.json()["results"]]
                assert max(scores) == pytest.approx(float((world.rows @ world.rows[0]).max()), rel=NEAR)
    finally:
        kept.write_bytes(held)


def test_points_that_are_no_grid_are_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--encoder", "s3d", "--random-weights", "1", "--points", "keyframes", "--workers", "0"]
    films = str(world.data.parent / "films")
    assert main(["extract", "--videos", films, *words, "--data", str(world.data / "other")]) == 2
    assert "points 'keyframes' is for encoders of single pictures" in capsys.readouterr().err


def test_verify_finds_the_rows_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(world.data.parent / "weights"))
    assert main(["verify", "--data", str(world.data)]) == 0
