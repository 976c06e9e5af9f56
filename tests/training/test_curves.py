"""Curves: of what the log says, the last word counting."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.curves import curves, main, picture

LOG = [
    {"step": 20, "loss": 3.0, "cpu_s": 1.0},
    {"step": 40, "loss": 2.0, "cpu_s": 2.0},
    {"step": 40, "shape": 0.5},
    {"step": 40, "loss": 1.5, "cpu_s": 1.0},  # it went on from step 20
]


def test_a_step_that_was_taken_twice_counts_once() -> None:
    found = curves(json.dumps(line) for line in LOG)
    assert found == {"loss": [(20, 3.0), (40, 1.5)], "shape": [(40, 0.5)]}


def test_each_figure_has_a_panel_with_its_line() -> None:
    drawn = picture({"loss": [(20, 3.0), (40, 1.5)], "shape": [(40, 0.5)]})
    assert drawn.size == (640, 180)
    is_line = (np.asarray(drawn) == (47, 126, 216)).all(axis=2)
    blue = [int(is_line[:, :320].sum()), int(is_line[:, 320:].sum())]
    assert blue[0] > 100 and blue[1] >= 1


def test_they_lie_beside_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LOG))
    assert main([str(tmp_path)]) == 0
    with Image.open(tmp_path / "curves.png") as drawn:
        assert drawn.format == "PNG"
    assert capsys.readouterr().out == f"{tmp_path}/curves.png\n"
