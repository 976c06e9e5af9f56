"""Labels and choices by every family of encoders: the mean of the prompts against the mean of the rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from core.commands import main
from core.store import Store
from core.types import Float32Array
from extractor.encoders import BUILT_IN, load_again, starter
from extractor.encoders.base import Encoder
from extractor.encoders.convert import converted
from extractor.media.write import Encoding, write_video
from extractor.world.plain_films import PlainFilm, PlainScene, plain_frames
from index.snapshot import Snapshot
from server.library import ServedLibrary
from server.tagging import LOGIT_SCALE
from tests.extractor.encoders import tiny_s3d
from tests.extractor.encoders.models import (
    TINY,
    add_model,
    clip2video_state,
    coca_folder,
    in_half,
    tiny_state,
    videoclip_file,
    videoclip_state,
)
from tests.server.conftest import in_thread
from tests.server.worlds import until
from tests.training import coca_begun
from tests.training.begun import motion_released, released

FILMS = {"right.mp4": ("red", "moves to the right", 4.0), "short.mp4": ("green", "falls", 0.4)}
LABELS = ["a red circle", "rain", "🐈", "a dog"]
TEMPLATES = ["a video of {}", "{} at night", "a photo of the large {}"]
CHOICES = ["a red circle moves to the right", "a green ring falls", "somebody cooks"]
NEAR = 2e-3  # of the largest score, or of 1: stores keep float16


def _open_clip(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    add_model(patch, folder, "tiny", TINY)
    torch.save(tiny_state(3), folder / "tiny.pt")
    return ["open_clip:tiny", "--weights", str(folder / "tiny.pt")]


def _clip2video(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    torch.save(in_half(clip2video_state(9)), folder / "pytorch_model.bin.2")
    return ["clip2video", "--weights", str(folder / "pytorch_model.bin.2")]


def _videococa(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    return [f"videococa:local-dir:{coca_folder(folder / 'coca')}"]


def _s3d(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    patch.setenv("CINEDEX_S3D_WORDS", str(tiny_s3d.word_list(folder / "words.json")))
    return ["s3d", "--weights", str(tiny_s3d.file(folder / "s3d_howto100m.pth", 4))]


def _videoclip(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    file = folder / "videoclip.safetensors"
    converted(videoclip_file(folder / "checkpoint_best.pt", videoclip_state(5)), file)
    s3d = tiny_s3d.file(folder / "s3d_howto100m.pth", 3)
    return ["videoclip", "--weights", str(file), "--s3d-weights", str(s3d)]


def _starter(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    patch.setattr(starter, "SHIPPED", folder)
    released(folder)
    return ["starter"]


def _starter_motion(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    return [f"starter-motion:local-dir:{motion_released(folder / 'shipped')}"]


def _starter_coca(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    patch.setattr(starter, "SHIPPED", folder)
    coca_begun.released(folder)
    return ["starter-coca"]


FAMILIES: dict[str, Callable[[Path, pytest.MonkeyPatch], list[str]]] = {  # one line a family
    "toy": lambda folder, patch: ["toy:rgb"],
    "open_clip": _open_clip,
    "clip2video": _clip2video,
    "videococa": _videococa,
    "s3d": _s3d,
    "videoclip": _videoclip,
    "starter": _starter,
    "starter-motion": _starter_motion,
    "starter-coca": _starter_coca,
}
PLAIN = ("s3d", "videoclip")  # scores are inner products of rows of any length
READS_WORD_PIECES = ("videoclip",)


@dataclass(frozen=True)
class World:
    """A library of one family, its encoder, and the clip rows of each video."""

    data: Path
    http: httpx.Client
    encoder: Encoder
    rows: dict[str, Float32Array]

    def mean(self, rows: Float32Array) -> Float32Array:
        """Of unit vectors again one of length 1, as the authors of CLIP have it."""
        mean: Float32Array = rows.mean(axis=0)
        is_plain = self.encoder.spec.name in PLAIN
        return mean if is_plain else np.asarray(mean / np.linalg.norm(mean), np.float32)

    def scores(self, label: str, templates: list[str]) -> dict[str, float]:
        """The mean of the prompts against the mean of the rows."""
        prompts = [template.replace("{}", label) for template in templates]
        with torch.inference_mode():
            text = self.mean(self.encoder.texts(prompts).numpy())
        return {id: float(self.mean(rows) @ text) for id, rows in self.rows.items()}

    def shares(self, scores: dict[str, float]) -> dict[str, float]:
        values = np.array([*scores.values()]) * getattr(self.encoder, "logit_scale", LOGIT_SCALE)
        weights = np.exp(values - values.max())
        return dict(zip(scores, (weights / weights.sum()).tolist(), strict=True))


@pytest.fixture(scope="module", params=FAMILIES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tagged")
    (folder / "films").mkdir()
    for name, (colour, motion, seconds) in FILMS.items():
        film = PlainFilm((PlainScene(colour, "circle", "dark grey", motion, seconds),))
        pictures = plain_frames(film, Fraction(10), 80, 60)
        write_video(folder / "films" / name, pictures, Encoding(fps=Fraction(10)))
    data = folder / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(folder / "weights"))
        if request.param in READS_WORD_PIECES:
            patch.setenv("CINEDEX_VOCAB", str(request.getfixturevalue("vocabulary")))
        how = ["--encoder", *FAMILIES[request.param](folder, patch), "--workers", "0"]
        how += ["--clip-seconds", "2", "--stride-seconds", "1", "--fps", "2"]
        assert main(["extract", "--videos", str(folder / "films"), *how, "--data", str(data), "--quiet"]) == 0
        assert main(["index", "build", "--data", str(data), "--quiet"]) == 0
        (root,) = (path.parent for path in data.glob("*/store.json"))
        store = Store.open(root)
        snapshot = Snapshot.open(store)
        ids = [source.id for source in store.log.last().live()]
        rows = {id: snapshot.vectors(id, "clip")[1].astype(np.float32) for id in ids}
        with in_thread(ServedLibrary.of_data(data)) as http:
            until(lambda: http.get("/readyz").status_code == 200, 60)
            yield World(data, http, load_again(store.spec), rows)


def tagged(world: World, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, dict[str, Any]]:
    """What the command says of each video: label → score and probability."""
    capsys.readouterr()
    assert main(["tag", *flags, "--data", str(world.data), "--json", "--top", "9"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {line["video_id"]: {tag["label"]: tag for tag in line["labels"]} for line in found}


def require(world: World, found: dict[str, dict[str, Any]], labels: list[str], templates: list[str]) -> None:
    """The plain scores, the same by HTTP, and shares by the encoder's own scale."""
    scores = {label: world.scores(label, templates) for label in labels}
    assert found.keys() == world.rows.keys()
    for id, tags in found.items():
        mine = {label: scores[label][id] for label in labels}
        near = NEAR * max(1, *map(abs, mine.values()))
        assert {label: tag["score"] for label, tag in tags.items()} == pytest.approx(mine, abs=near)
        shares = world.shares({label: tag["score"] for label, tag in tags.items()})
        assert {label: tag["probability"] for label, tag in tags.items()} == pytest.approx(shares, abs=1e-3)
        answer = world.http.post("/tag", json={"video_id": id, "labels": labels, "templates": templates})
        assert answer.json()["labels"] == [*tags.values()]


def test_every_family_that_is_built_in_is_here() -> None:
    assert FAMILIES.keys() == set(BUILT_IN)


def test_labels_are_told_apart_by_the_mean_of_their_prompts(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    told = [flag for template in TEMPLATES for flag in ("--template", template)]
    found = tagged(world, capsys, "--labels", str(tmp_path / "labels.txt"), *told)
    require(world, found, LABELS, TEMPLATES)


def test_a_choice_is_the_best_score_of_the_sentences(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tagged(world, capsys, *(flag for choice in CHOICES for flag in ("--choice", choice)))
    require(world, found, CHOICES, ["{}"])
    for id, tags in found.items():
        assert next(iter(tags)) == max(CHOICES, key=lambda choice: tags[choice]["score"]), id
