"""One command for each encoder that ships."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

from training.coca import CocaRecipe
from training.recipe import Recipe

ROOT = Path(__file__).parents[2]
STARTER = ("starter", "release", "starter", "release", "starter", "release", "thresholds")


def planned(into: Path, encoder: str) -> list[list[str]]:
    """The words of each training that is still to come, from its name on."""
    told = subprocess.run(
        ["make", "--no-print-directory", "-n", "-f", "training/Makefile", encoder, f"INTO={into}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = [line.partition(" -m ")[2].split() for line in told.splitlines() if " -m " in line]
    assert all(find_spec(name) for name, *_ in lines)
    return [[name.removeprefix("training."), *words] for name, *words in lines]


def names(lines: list[list[str]]) -> tuple[str, ...]:
    return tuple(line[0] for line in lines)


def test_a_starter_is_made_from_nothing(tmp_path: Path) -> None:
    lines = planned(tmp_path, "starter")
    assert names(lines) == STARTER
    assert lines[0][-1] == f"{Recipe().steps}"
    assert "--texts-only" in lines[4] and f"{tmp_path}/runs/second" in lines[4]
    assert lines[-1][-1] == f"{tmp_path}/starter/thresholds.json"


def test_the_others_are_made_over_it(tmp_path: Path) -> None:
    motion = planned(tmp_path, "starter-motion")
    assert sorted(names(motion)) == sorted((*STARTER[:-1], "motion", "pass_on", "motion", "thresholds"))
    assert motion[-2][-3:] == [f"{tmp_path}/runs/choices", "--steps", "1000"]
    coca = planned(tmp_path, "starter-coca")
    assert names(coca) == (*STARTER[:-1], "coca", "release", "thresholds")
    assert coca[-3][-1] == f"{CocaRecipe().steps}"


def test_it_goes_on_with_what_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "runs/first").mkdir(parents=True)
    assert names(planned(tmp_path, "starter")) == STARTER[2:]
    (tmp_path / "runs/second").mkdir()
    (tmp_path / "starter").mkdir()
    assert names(planned(tmp_path, "starter-motion")) == ("motion", "pass_on", "motion", "thresholds")
    assert names(planned(tmp_path, "starter-coca")) == ("coca", "release", "thresholds")
    (tmp_path / "starter/thresholds.json").touch()
    assert planned(tmp_path, "starter") == []
