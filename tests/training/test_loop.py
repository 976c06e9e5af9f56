"""The loop of every trainer: when it tells, keeps and probes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.begun import TINY
from training.loop import Every, run, step
from training.starter import prepared

RECIPE = replace(TINY, steps=7)


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_it_tells_keeps_and_probes_when_it_should(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = prepared(tmp_path, RECIPE)
    kept: list[tuple[int, int]] = []

    def probe() -> dict[str, float]:
        kept.append((training.state.step, prepared(tmp_path, RECIPE).state.step))
        return {"figure": 0.5}

    run(training, tmp_path, float("inf"), probe, Every(told=2, saved=3, probed=4))
    found = lines(tmp_path)
    assert [line["step"] for line in found if "loss" in line] == [2, 4, 6]
    assert [line for line in found if "loss" not in line] == [{"step": n, "figure": 0.5} for n in (4, 7)]
    assert kept == [(4, 3), (7, 7)]  # at the fourth step that of the third was in the file
    assert prepared(tmp_path, RECIPE).state.step == 7
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == found


def test_a_loss_is_the_mean_since_the_last_one_that_was_told(tmp_path: Path) -> None:
    training = prepared(tmp_path, RECIPE)
    losses = [step(prepared(tmp_path, RECIPE), 0)]  # what a first step finds, here as there
    run(training, tmp_path, float("inf"), dict, Every(told=1))
    found = [line["loss"] for line in lines(tmp_path) if "loss" in line]
    assert len(found) == 7 and found[0] == pytest.approx(losses[0], rel=1e-2)
    (tmp_path / "log.jsonl").unlink()
    again = prepared(tmp_path / "again", RECIPE)
    run(again, tmp_path, float("inf"), dict, Every(told=7))
    assert [line["loss"] for line in lines(tmp_path) if "loss" in line] == [
        pytest.approx(sum(found) / 7, rel=0.05)
    ]


def test_when_its_time_is_over_it_keeps_what_it_has(tmp_path: Path) -> None:
    run(prepared(tmp_path, RECIPE), tmp_path, 0.0, dict, Every())
    assert prepared(tmp_path, RECIPE).state.step == 0 and (tmp_path / "state.safetensors").is_file()
    assert not (tmp_path / "log.jsonl").exists()
