"""VideoCLIP from its authors' files to answers: search, where texts are, which seconds are about what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from core.commands import main
from core.types import Float32Array
from extractor.encoders import load
from extractor.encoders.convert import converted
from extractor.encoders.videoclip import VideoClip
from extractor.media.reader import Reader
from server import segmenting
from server.library import ServedLibrary
from tests.extractor.encoders import tiny_s3d
from tests.extractor.encoders.models import videoclip_file, videoclip_state
from tests.server import ranked
from tests.server.conftest import in_thread
from tests.server.ranked import NEAR, filmed
from tests.server.sent import base64_of, picture
from tests.server.worlds import until

TEXTS = ["a red circle moves to the right", "rain", "🐈", "狗在草地上跑", "[SEP] rain", "word " * 90]
LONG = "long.mp4"
SAMPLING = ["--clip-seconds", "6", "--stride-seconds", "3"]
FILMS = {name: film for name, film in ranked.FILMS.items() if name != "left.mp4"}
FILMS |= {
    "portrait.mp4": ("blue", "square", "rises", 2.0, 90, 160),
    LONG: ("purple", "circle", "goes round", 34.0, 160, 90),
}


@dataclass(frozen=True)
class World:
    """A served library, what made it, and each film's features, a second each."""

    folder: Path
    http: httpx.Client
    encoder: VideoClip
    features: dict[str, Tensor]
    ids: dict[str, str]

    def score(self, text: str) -> dict[str, float]:
        """Of the best clip of each film, by the plain product of the authors' vectors."""
        row = self.encoder.texts([text])[0]
        return {name: float((self.clips(name) @ row).max()) for name in FILMS}

    def clips(self, name: str) -> Tensor:
        held = self.features[name]
        starts = range(0, max(len(held) - 6, 0) + 1, 3)
        index = [np.arange(start, min(start + 6, len(held))) for start in starts]
        if index[-1][-1] < len(held) - 1:
            index.append(np.arange(len(held) - 6, len(held)))
        return self.encoder.clips(held, index)

    def seconds(self, name: str) -> Float32Array:
        """The mean state of each second, over runs of 32 every 16."""
        held = self.features[name]
        sums, counts = torch.zeros(len(held), self.encoder.spec.dim), torch.zeros(len(held), 1)
        for start in range(0, max(len(held) - 17, 0) + 1, 16):
            run = np.arange(start, min(start + 32, len(held)))
            sums[run] += self.encoder.frames(held, [run])
            counts[run] += 1
        return (sums / counts).numpy()

    def found(self, query: Any, **fields: Any) -> dict[str, float]:
        answer = self.http.post("/search", json={"query": query, "level": "video", **fields})
        assert answer.status_code == 200, answer.text
        return {each["path"].rpartition("/")[2]: each["score"] for each in answer.json()["results"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, vocabulary: Path) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("videoclip")
    filmed(folder / "films", FILMS)
    files = folder / "videoclip.safetensors", tiny_s3d.file(folder / "s3d_howto100m.pth", 3)
    converted(videoclip_file(folder / "checkpoint_best.pt", videoclip_state(5)), files[0])
    data = ["--data", str(folder / "data"), "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(folder / "weights"))
        patch.setenv("CINEDEX_VOCAB", str(vocabulary))
        how = ["--encoder", "videoclip", "--weights", str(files[0]), "--s3d-weights", str(files[1])]
        how += ["--workers", "0", "--precision", "fp32", *SAMPLING]
        assert main(["extract", "--videos", str(folder / "films"), *how, *data]) == 0
        patch.delenv("CINEDEX_VOCAB")  # what is registered is enough
        encoder = load("videoclip", weights=files[0], s3d_weights=files[1])
        assert isinstance(encoder, VideoClip)
        for file in files:
            file.unlink()
        assert main(["index", "build", *data]) == 0
        with in_thread(ServedLibrary.of_data(folder / "data")) as http:
            until(lambda: http.get("/readyz").status_code == 200)
            listed = http.get("/videos").json()["videos"]
            ids = {each["path"].rpartition("/")[2]: each["video_id"] for each in listed}
            yield World(folder, http, encoder, features(encoder, folder / "films"), ids)


@torch.inference_mode()
def features(encoder: VideoClip, folder: Path) -> dict[str, Tensor]:
    """Of each film by itself, a second at a time."""
    found = {}
    for name in FILMS:
        with Reader(folder / name) as reader:
            shown = [picture.pixels for picture in reader.pictures(encoder.spec.sampling, encoder.spec.look)]
        found[name] = torch.cat([encoder.features(torch.from_numpy(second.copy())) for second in shown])
    return found


def require_ranked(found: dict[str, float], scores: dict[str, float]) -> None:
    """Within what a store keeps of the largest."""
    ranked.require_ranked(found, scores, NEAR * max(map(abs, scores.values())))


@pytest.mark.parametrize("text", TEXTS, ids=["words", "word", "emoji", "chinese", "special", "long"])
def test_a_search_ranks_as_the_plain_products_do(world: World, text: str) -> None:
    with torch.inference_mode():
        scores = world.score(text)
    require_ranked(world.found(text, limit=10), scores)
    require_ranked(world.found(text, limit=10, exact=True), scores)


def test_scores_keep_the_lengths_of_rows(world: World) -> None:
    lengths = torch.cat([world.clips(name) for name in FILMS]).norm(dim=1)
    assert float(lengths.std() / lengths.mean()) > 1e-2 and float(lengths.min()) > 2
    assert max(map(abs, world.found(TEXTS[0]).values())) > 1.1  # no cosine is


@pytest.mark.parametrize("name", FILMS)
def test_every_film_has_its_seconds_and_clips(world: World, name: str) -> None:
    held = world.http.get(f"/videos/{world.ids[name]}").json()
    assert held["rows"] == {"frame": len(world.features[name]), "clip": len(world.clips(name))}
    assert len(world.features[name]) == max(1, int(FILMS[name][3]))


@pytest.mark.parametrize("name", [LONG, "right.mp4", "one.mp4"])
def test_where_texts_are_is_told_by_what_seconds_are_among_others(world: World, name: str) -> None:
    body = {"video_id": world.ids[name], "texts": TEXTS[:2]}
    answer = world.http.post("/locate", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    with torch.inference_mode():
        expected = (world.encoder.texts(TEXTS[:2]).numpy() @ world.seconds(name).T).tolist()
    assert found["level"] == "frame" and found["times"] == [*range(len(expected[0]))]
    near = NEAR * float(np.abs(expected).max())
    assert found["scores"] == [pytest.approx(mine, abs=near) for mine in expected]
    for mine, ranges in zip(found["scores"], found["ranges"], strict=True):
        best = max(mine)
        assert ranges[0]["score"] == pytest.approx(best)
        assert ranges[0]["start"] <= mine.index(best) < ranges[0]["end"]


def test_labels_and_steps_sort_the_same_seconds(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    lines = world.folder / "lines.txt"
    lines.write_text("\n".join(TEXTS[:3]))
    with torch.inference_mode():
        texts = world.encoder.texts(TEXTS[:3]).numpy()
        scores = texts @ world.seconds(LONG).T
    data = ["--data", str(world.folder / "data"), "--json"]
    assert main(["segment", f"films/{LONG}", "--labels", str(lines), *data]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["min_score"] == pytest.approx(segmenting.background(texts), rel=1e-3)
    bar = float(np.median(scores.max(axis=0)))
    assert main(["segment", f"films/{LONG}", "--labels", str(lines), f"--min-score={bar}", *data]) == 0
    found = json.loads(capsys.readouterr().out)
    sorted_ = [TEXTS[number] if number >= 0 else "" for number in segmenting.labelled(scores, bar)]
    told = [""] * len(sorted_)
    for each in found["segments"]:
        for second in range(int(each["start"]), int(each["end"])):
            told[second] = each["label"]
    best = np.sort(scores, axis=0)
    is_sure = (np.abs(best[-1] - bar) > NEAR * best.max()) & (best[-1] - best[-2] > NEAR * best.max())
    assert is_sure.mean() > 0.5
    assert [a for a, sure in zip(told, is_sure, strict=True) if sure] == [
        a for a, sure in zip(sorted_, is_sure, strict=True) if sure
    ]
    assert main(["segment", world.ids[LONG], "--steps", str(lines), *data]) == 0
    steps = json.loads(capsys.readouterr().out)["segments"]
    assert [each["label"] for each in steps] == TEXTS[:3]
    assert [each["start"] for each in steps] == segmenting.in_order(segmenting.shares(scores)).tolist()
    assert all(one["end"] <= other["start"] for one, other in pairwise(steps))


def test_a_choice_between_sentences_is_by_their_products(world: World) -> None:
    body = {"video_id": world.ids["right.mp4"], "labels": TEXTS[:5], "templates": ["{}"]}
    found = world.http.post("/tag", json=body).json()["labels"]
    with torch.inference_mode():
        scores = (world.encoder.texts(TEXTS[:5]) @ world.clips("right.mp4").mean(dim=0)).double()
    shares = torch.softmax(scores, dim=0)
    near = NEAR * float(scores.abs().max())
    assert {each["label"]: each["score"] for each in found} == pytest.approx(
        dict(zip(TEXTS[:5], scores.tolist(), strict=True)), abs=near
    )
    assert {each["label"]: each["probability"] for each in found} == pytest.approx(
        dict(zip(TEXTS, shares.tolist(), strict=False)), abs=2 * near
    )
    told = torch.softmax(torch.tensor([each["score"] for each in found], dtype=torch.float64), dim=0)
    assert [each["probability"] for each in found] == pytest.approx(told.tolist(), rel=1e-3, abs=1e-9)
    assert found[0]["label"] == TEXTS[int(shares.argmax())]


def test_a_stored_film_is_a_question_too_and_a_picture_is_none(world: World) -> None:
    sent = base64_of(picture("red"))
    answer = world.http.post("/search", json={"query": [{"image": sent}]})
    assert answer.status_code == 409, answer.text
    assert "query[0].image: the encoder looks at runs of pictures" in answer.json()["error"]["message"]
    found = world.found([{"video_id": world.ids["portrait.mp4"]}])
    assert "portrait.mp4" not in found and len(found) == len(FILMS) - 1


@pytest.mark.slow  # each of some rows needs 32 seconds around it
def test_stored_rows_are_found_again_in_the_file(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(world.folder / "weights"))
        assert main(["verify", "--sample", "8", "--json", "--data", str(world.folder / "data")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cosine"]["worst"] > 0.999 and found["compared"]["frame"] > 0


def test_clips_that_it_would_not_see_whole_are_refused(
    world: World, vocabulary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = [next((world.folder / "weights").glob(f"{hash}/*.safetensors")) for hash in hashes(world)]
    flags = ["--encoder", "videoclip", "--weights", str(weights[0]), "--s3d-weights", str(weights[1])]
    flags += ["--videos", str(world.folder / "films"), "--data", str(tmp_path / "data"), "--workers", "0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(world.folder / "weights"))
        assert main(["extract", *flags, "--clip-seconds", "40"]) == 2
        said = capsys.readouterr().err
        assert main(["extract", *flags, "--skip-still", "0.02"]) == 2
    assert "skip-still 0.02 leaves out points, by whose number videoclip knows" in capsys.readouterr().err
    assert "clip-seconds 40 make clips of 40 points, of which videoclip sees 32 at most." in said
    assert not (tmp_path / "data").exists()


def hashes(world: World) -> list[str]:
    spec = world.encoder.spec
    return [spec.weights, dict(spec.options)["s3d"]]
