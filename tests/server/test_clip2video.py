"""CLIP2Video from its authors' file to answers, by the published choice of pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from core.commands import main
from core.types import Float32Array, Sampling
from extractor.encoders import load
from extractor.encoders.base import unit
from extractor.encoders.clip2video import Clip2Video
from extractor.media.reader import Reader
from server.library import ServedLibrary
from tests.extractor.encoders.models import clip2video_state, in_half
from tests.server.conftest import in_thread
from tests.server.ranked import FILMS, NEAR, filmed, require_ranked
from tests.server.worlds import until

SPECIAL = "<|startoftext|> a red circle moves <|endoftext|> to the right"  # taken for the marks themselves
TEXTS = ["a red circle moves to the right", "rain", "", "🐈", "狗在草地上跑", SPECIAL, "word " * 90]
PRESET = "clip2video-msvd"


@dataclass(frozen=True)
class World:
    """A served library, what made it, and the published scores of its videos, by name."""

    http: httpx.Client
    encoder: Clip2Video
    names: list[str]
    halves: tuple[Float32Array, Float32Array]  # global and aligned, of each video

    def scores(self, text: str, w: float) -> dict[str, float]:
        """By the authors' formula, less the scale that all have in common."""
        row = self.encoder.texts([text])
        sides = [unit(half)[0].numpy() for half in row.chunk(2, dim=1)]
        whole, aligned = (half @ side for half, side in zip(self.halves, sides, strict=True))
        return dict(zip(self.names, (w * whole + (1 - w) * aligned).tolist(), strict=True))

    def found(self, query: Any, **fields: Any) -> dict[str, float]:
        answer = self.http.post("/search", json={"query": query, "level": "video", **fields})
        assert answer.status_code == 200, answer.text
        return {each["path"].rpartition("/")[2]: each["score"] for each in answer.json()["results"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("clip2video")
    filmed(folder / "films")
    file = folder / "pytorch_model.bin.2"
    torch.save(in_half(clip2video_state(9)), file)
    data = ["--data", str(folder / "data"), "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(folder / "weights"))
        how = ["--encoder", "clip2video", "--weights", str(file), "--preset", PRESET, "--workers", "0"]
        assert main(["extract", "--videos", str(folder / "films"), *how, *data]) == 0
        file.unlink()  # what is registered is enough
        assert main(["index", "build", *data]) == 0
        encoder = load("clip2video", weights=next((folder / "weights").glob("*/weights.safetensors")))
        assert isinstance(encoder, Clip2Video)
        with in_thread(ServedLibrary.of_data(folder / "data")) as http:
            until(lambda: http.get("/readyz").status_code == 200, 60)
            yield World(http, encoder, [*FILMS], plain_halves(encoder, folder / "films"))


@torch.inference_mode()
def plain_halves(encoder: Clip2Video, folder: Path) -> tuple[Float32Array, Float32Array]:
    """Of each video by itself, filled up with pictures of zeros, as the authors' code makes them."""
    model, look = encoder._model, encoder.spec.look
    rows: list[tuple[Tensor, Tensor]] = []
    for name in FILMS:
        with Reader(folder / name) as reader:
            shown = [picture.pixels for picture in reader.pictures(Sampling(preset=PRESET), look)]
        values, mask = torch.zeros(12, 3, look.size, look.size), torch.zeros(1, 12)
        values[: len(shown)] = encoder.tower.prepared(torch.from_numpy(np.stack(shown)))
        mask[0, : len(shown)] = 1
        rows.append(model.halves(model.clip.encode_image(values)[None], mask))
    whole, aligned = (torch.cat(each).numpy() for each in zip(*rows, strict=True))
    return whole, aligned


# Each file is whole: none has too few pictures for the choice, sound, or another shape than the encoder's.


@pytest.mark.parametrize("text", TEXTS, ids=["words", "word", "empty", "emoji", "chinese", "special", "long"])
def test_a_search_ranks_as_the_plain_scores_do(world: World, text: str) -> None:
    if text:
        require_ranked(world.found(text, limit=10), world.scores(text, 0.5))
    else:
        assert world.http.post("/search", json={"query": text}).status_code == 400


@pytest.mark.parametrize("w", [0, 0.25, 1])
def test_a_query_chooses_the_share_of_its_halves(world: World, w: float) -> None:
    text = TEXTS[0]
    found = world.found(text, encoder_options={"w": w})
    require_ranked(found, world.scores(text, w))
    assert found != pytest.approx(world.scores(text, 0.5), abs=NEAR)
    body = {"query": text, "level": "video", "encoder_options": {"w": w}}
    (batched,) = world.http.post("/search/batch", json={"requests": [body]}).json()["answers"]
    assert [each["score"] for each in batched["results"]] == [*found.values()]


def test_the_share_holds_for_all_parts_and_for_what_is_stored(world: World) -> None:
    ids = {each["path"]: each["video_id"] for each in world.http.get("/videos").json()["videos"]}
    query = [{"video_id": ids["films/portrait.mp4"]}, {"text": "rain", "weight": 0.5}]
    found = world.found(query, encoder_options={"w": 0.25}, include=["scores"])
    assert "portrait.mp4" not in found and len(found) == len(FILMS) - 1
    assert found != world.found(query)


def test_a_share_that_cannot_be_is_refused_in_a_sentence(world: World) -> None:
    said = {}
    for name, value in (("w", 2), ("w", "much"), ("x", 1)):
        answer = world.http.post("/search", json={"query": "rain", "encoder_options": {name: value}})
        assert answer.status_code == 400
        said[name, value] = answer.json()["error"]["message"]
    assert said == {
        ("w", 2): "encoder_options.w: 2 must be a number from 0 to 1.",
        ("w", "much"): "encoder_options.w: 'much' must be a number from 0 to 1.",
        ("x", 1): (
            "encoder_options.x: the encoder clip2video has no such option; it has w, a number from 0 to 1."
        ),
    }


def test_cinedex_search_chooses_it_by_a_flag(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["search", TEXTS[0], "--server", str(world.http.base_url), "--level", "video", "--json"]
    assert main([*line, "--option", "w=0.25"]) == 0
    answer = json.loads(capsys.readouterr().out)
    found = {each["path"].rpartition("/")[2]: each["score"] for each in answer["results"]}
    assert found == world.found(TEXTS[0], encoder_options={"w": 0.25})
    for option, says in (
        ("w", "option 'w' must be NAME=VALUE, as w=0.7."),
        ("=1", "option '=1' must be NAME=VALUE, as w=0.7."),
        ("w=nan", "'nan' must be a number from 0 to 1."),
        ("x=true", "has no such option; it has w, a number from 0 to 1."),
    ):
        assert main([*line, "--option", option]) != 0
        said = capsys.readouterr()
        assert says in said.err and said.err.count("\n") == 1 and not said.out
