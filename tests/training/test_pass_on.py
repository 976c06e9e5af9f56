"""Motion goes on with another starter, if that sees pictures as its own did."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import EncoderError
from extractor.encoders.hub import SAFE
from extractor.encoders.starter_motion import FILE, opened
from tests.training.begun import motion_released
from training.pass_on import main

ALIKE, OTHER = "text_projection", "visual.conv1.weight"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return motion_released(tmp_path_factory.mktemp("shipped"))


@pytest.fixture(autouse=True)
def _weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))


def changed(shipped: Path, folder: Path, name: str) -> Path:
    """A starter that differs in one tensor."""
    shutil.copytree(shipped / "starter", folder)
    held = load_file(folder / SAFE)
    held[name] = held[name] + 0.25
    save_file(held, folder / SAFE, {"format": "pt"})
    return folder


def line(shipped: Path, was: Path, now: Path, out: Path) -> list[str]:
    return [str(shipped / "starter-motion" / FILE), "--was", str(was), "--now", str(now), "--out", str(out)]


def test_the_same_pictures_and_other_texts_take_it_over(shipped: Path, tmp_path: Path) -> None:
    was, now = shipped / "starter", changed(shipped, tmp_path / "now", ALIKE)
    mine = shipped / "starter-motion" / FILE
    with pytest.raises(EncoderError):
        opened("starter-motion", now, mine)
    assert main(line(shipped, was, now, tmp_path / "passed.safetensors")) == 0
    opened("starter-motion", now, tmp_path / "passed.safetensors")
    before, after = load_file(mine), load_file(tmp_path / "passed.safetensors")
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_other_pictures_or_a_file_of_another_starter_are_refused(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    was, out = shipped / "starter", tmp_path / "passed.safetensors"
    other = changed(shipped, tmp_path / "other", OTHER)
    for first, second, says in (
        (was, other, "train the motion anew"),
        (other, was, "was trained on the starter"),
    ):
        with pytest.raises(SystemExit):
            main(line(shipped, first, second, out))
        assert says in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize(("data", "says"), [(None, "which is not there."), (b"junk", "is no checkpoint")])
def test_a_file_that_is_none_is_one_sentence(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes | None, says: str
) -> None:
    file, starter, out = tmp_path / "motion.safetensors", shipped / "starter", tmp_path / "passed.safetensors"
    if data:
        file.write_bytes(data)
    with pytest.raises(SystemExit):
        main([str(file), "--was", str(starter), "--now", str(starter), "--out", str(out)])
    assert says in capsys.readouterr().err and not out.exists()
