"""Thresholds: between what is there and what is not, from films of validation scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.types import Kind
from extractor.encoders import load, thresholds
from training.thresholds import Found, main, measured, threshold_of


def test_it_lies_between_what_is_there_and_what_is_not() -> None:
    found = threshold_of(np.array([0.5, 0.8, 0.7], np.float32), np.array([0.1, 0.3, 0.2], np.float32))
    assert found == Found(0.4, 1.0, 1.0, 1.0)


def test_where_they_mix_as_many_of_both_are_right() -> None:
    chance = np.random.default_rng(1)
    right, wrong = chance.normal(0.6, 0.1, 500), chance.normal(0.4, 0.1, 900)
    found = threshold_of(right.astype(np.float32), wrong.astype(np.float32))
    assert found.threshold == pytest.approx(0.5, abs=0.02)
    assert found.told == pytest.approx(found.refused, abs=0.02) and found.told == pytest.approx(
        0.84, abs=0.03
    )
    assert found.area == pytest.approx(0.92, abs=0.02)


def test_scores_that_tell_nothing_are_told_as_that() -> None:
    same = np.full(7, 0.2, np.float32)
    assert threshold_of(same, same) == Found(0.2, 1.0, 0.0, 0.5)


@pytest.mark.parametrize("shared", [0.559, 0.5591, 0.5595, 0.4])
def test_a_last_digit_does_not_move_it(shared: float) -> None:
    """Many sentences may have one score, but for what its sums were rounded to on the way."""
    digits = [np.nextafter(np.float32(shared), np.float32(side)) for side in (0, 1)]
    right = np.array([0.3, shared, *[0.8] * 8], np.float32)
    found = [
        threshold_of(right, np.array([0.3, *few, 0.9], np.float32))
        for few in (
            [shared] * 60,
            [digits[0]] * 60,
            [digits[1]] * 60,
            [*[digits[0]] * 30, *[digits[1]] * 30],
        )
    ]
    assert shared < found[0].threshold < 0.8
    told = {(each.threshold, each.told, each.refused) for each in found}  # the area is of ties too
    assert told == {(found[0].threshold, 0.8, 61 / 62)}


def test_they_are_told_and_written_and_follow_from_the_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "thresholds.json"
    asked = ["--encoder", "toy", "--seconds", "24", "--out", str(out), "--seed"]
    assert main([*asked, "3"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["frame", "clip"]
    written = thresholds.of_folder(tmp_path)
    assert written == {line["kind"]: line["threshold"] for line in lines}
    again, other = ({kind: each.threshold for kind, each in _toys(seed, 24).items()} for seed in (3, 4))
    assert again == written != other
    assert main([*asked, "3", "--middle", "3.5"]) == 0
    assert thresholds.of_folder(tmp_path) == {**written, "middle": 3.5}
    with pytest.raises(SystemExit):
        main([*asked, "3", "--middle", "0"])
    assert "'0' is not above 0" in capsys.readouterr().err


def test_colours_alone_tell_something() -> None:
    """The toy encoder knows no shapes, but most everyday sentences name no colour."""
    found = _toys(3, 120)["frame"]
    assert found.area > 0.6 and min(found.told, found.refused) > 0.6


def _toys(seed: int, seconds: float) -> dict[Kind, Found]:
    return measured(load("toy"), seed, seconds)


def test_an_encoder_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--encoder", "nothing"])
    assert "There is no encoder family 'nothing'" in capsys.readouterr().err
