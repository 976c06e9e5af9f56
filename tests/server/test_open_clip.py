"""A model of open_clip's from a checkpoint to answers: ranks as the plain matrix of scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from core.commands import main
from core.types import Float32Array, Sampling
from extractor.encoders import load
from extractor.encoders.base import Encoder, unit
from extractor.media.reader import Reader
from server.library import ServedLibrary
from tests.extractor.encoders.models import TINY, add_model, lively, tiny_state
from tests.server.conftest import in_thread
from tests.server.ranked import FILMS, filmed, require_ranked
from tests.server.worlds import until

TEXTS = ["a red circle", "rain", "🐈", "狗在跑", "<|endoftext|> rain <start_of_text>", "word " * 90]
SAMPLING = Sampling(fps=2.0, clip_seconds=2.0, stride_seconds=1.0)


@dataclass(frozen=True)
class World:
    """A library, what made it, and each film's clips, made by itself."""

    http: httpx.Client
    encoder: Encoder
    clips: dict[str, Float32Array]

    def scores(self, text: str) -> dict[str, float]:
        """Of the best clip of each film."""
        (row,) = self.encoder.texts([text]).numpy()
        return {name: float((clips @ row).max()) for name, clips in self.clips.items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("open_clip")
    filmed(folder / "films")
    torch.save(lively(tiny_state(3), 3), folder / "tiny.pt")
    data = ["--data", str(folder / "data"), "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(folder / "weights"))
        add_model(patch, folder, "tiny", TINY)
        how = ["--encoder", "open_clip:tiny", "--weights", str(folder / "tiny.pt"), "--precision", "fp32"]
        how += ["--fps", "2", "--clip-seconds", "2", "--stride-seconds", "1", "--workers", "0"]
        assert main(["extract", "--videos", str(folder / "films"), *how, *data]) == 0
        encoder = load("open_clip:tiny", weights=folder / "tiny.pt")
        (folder / "tiny.pt").unlink()  # what is registered is enough
        assert main(["index", "build", *data]) == 0
        with in_thread(ServedLibrary.of_data(folder / "data")) as http:
            until(lambda: http.get("/readyz").status_code == 200)
            yield World(
                http, encoder, {name: plain_clips(encoder, folder / "films" / name) for name in FILMS}
            )


@torch.inference_mode()
def plain_clips(encoder: Encoder, path: Path) -> Float32Array:
    """Four pictures every second one, the mean of their vectors."""
    with Reader(path) as reader:
        shown = [picture.pixels for picture in reader.pictures(SAMPLING, encoder.spec.look)]
    rows = encoder.features(torch.from_numpy(np.stack(shown)))
    starts = range(0, max(len(rows) - 4, 0) + 1, 2)
    clips: Float32Array = unit(torch.stack([rows[start : start + 4].mean(dim=0) for start in starts])).numpy()
    return clips


@pytest.mark.parametrize("text", TEXTS, ids=["words", "word", "emoji", "chinese", "special", "long"])
@pytest.mark.parametrize("exact", [False, True])
def test_a_search_ranks_as_the_plain_scores_do(world: World, text: str, exact: bool) -> None:
    body = {"query": text, "level": "video", "exact": exact}
    answer = world.http.post("/search", json=body)
    assert answer.status_code == 200, answer.text
    found = {each["path"].rpartition("/")[2]: each["score"] for each in answer.json()["results"]}
    require_ranked(found, world.scores(text))
    assert answer.json()["query_truncated"] == (text == TEXTS[-1])
