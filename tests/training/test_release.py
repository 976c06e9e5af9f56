"""What ships of a training: whole, small, and with the vectors of its mean weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from extractor.encoders import load
from extractor.encoders.contract import check
from extractor.world.render import render
from tests.training.begun import TINY, begun
from training.gallery import still_gallery
from training.model import input_of, make, texts
from training.release import main, release
from training.starter import Training


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Training]:
    folder = tmp_path_factory.mktemp("training")
    return folder, begun(folder)


@pytest.fixture(scope="module")
def out(training: tuple[Path, Training], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released") / "starter"
    assert main([str(training[0]), "--out", str(folder)]) == 0
    return folder


def test_what_was_released_makes_the_vectors_of_the_mean_weights(
    training: tuple[Path, Training], out: Path
) -> None:
    encoder = load(f"open_clip:local-dir:{out}")
    mean = training[1].state.mean
    model = make(TINY.config(training[1].model.vocab_size), 1)
    model.load_state_dict({k.removeprefix("clip."): v for k, v in mean.items() if k.startswith("clip.")})
    shown = still_gallery("test", 3, 12)
    pixels = np.stack([render(each.scene, [0.5], TINY.side)[0] for each in shown])
    with torch.inference_mode():
        model.eval()
        tokens = training[1].tokenizer([each.text for each in shown], TINY.context)
        pairs = [
            (
                encoder.features(torch.from_numpy(pixels)),
                model.encode_image(input_of(pixels, torch.device("cpu"))),
            ),
            (encoder.texts([each.text for each in shown]), texts(model, tokens)),
        ]
    for ours, meant in pairs:
        assert float(torch.cosine_similarity(ours, meant).min()) >= 0.9999
        assert float(torch.cosine_similarity(ours[:-1], meant[1:]).min()) < 0.9999  # not all alike


def test_it_keeps_the_contract(out: Path) -> None:
    check(lambda: load(f"open_clip:local-dir:{out}"))


def test_it_is_in_halves_and_says_how_it_was_made(out: Path, training: tuple[Path, Training]) -> None:
    held = load_file(out / "open_clip_model.safetensors")
    assert {str(value.dtype) for value in held.values() if value.ndim > 1} == {"torch.float16"}
    with safe_open(out / "open_clip_model.safetensors", "pt") as file:
        facts = file.metadata()
    assert (facts["steps"], facts["seed"], json.loads(facts["recipe"])["batch"]) == (
        "4 of 4",
        "0",
        TINY.batch,
    )
    assert (out / "bpe.txt.gz").read_bytes() == (training[0] / "bpe.txt.gz").read_bytes()
    text = json.loads((out / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    assert text["tokenizer_kwargs"] == {"bpe_path": "bpe.txt.gz"}


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _other_width(folder: Path) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["context_length"] += 1
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def _no_training(folder: Path) -> None:
    save_file({"weight": torch.ones(1)}, folder / "state.safetensors")


def _cut_short(folder: Path) -> None:
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without("bpe.txt.gz"), "is no folder of a training: it has no bpe.txt.gz."),
        (_without("state.safetensors"), "is no folder of a training: it has no state.safetensors."),
        (_other_width, "state.safetensors does not fit open_clip_config.json: size mismatch for positional_"),
        (_no_training, "is no training's state: it has no mean.clip.… with a recipe and a step."),
        (_cut_short, "state.safetensors is no safetensors file, or a damaged one: "),
    ],
    ids=["vocabulary", "state", "config", "weights", "short"],
)
def test_what_is_no_training_is_refused_and_leaves_nothing(
    spoil: Callable[[Path], None],
    says: str,
    training: tuple[Path, Training],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "training"
    folder.mkdir()
    for path in training[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spoil(folder)
    with pytest.raises(SystemExit):
        main([str(folder), "--out", str(tmp_path / "out" / "starter")])
    assert says in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_write_that_fails_leaves_nothing(
    training: tuple[Path, Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("training.release.save_file", full)
    with pytest.raises(OSError, match="the disk is full"):
        release(training[0], tmp_path / "out" / "starter")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_is_there_is_left_as_it_is(
    training: tuple[Path, Training], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (out / "open_clip_model.safetensors").stat()
    with pytest.raises(SystemExit):
        main([str(training[0]), "--out", str(out)])
    assert f"{out} is there already; remove it, or name another folder." in capsys.readouterr().err
    assert (out / "open_clip_model.safetensors").stat() == before
