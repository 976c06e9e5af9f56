"""What a benchmark says, and what its exit status tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import Bar, Figure, exit_code, table, told, write_json

RATIO = Bar("ours to theirs", 2.0, 3.0)
TIME = Bar("how long", 1.0, 0.5, "lower", "s")
TOLD = Bar("only told")
ONLY_GOAL = Bar("nothing is asked of it", None, 1.0, "lower")


def test_the_median_counts_and_the_spread_is_shown() -> None:
    figure = Figure("ratio", (1.0, 2.5, 9.0), RATIO)
    assert figure.value == 2.5 and figure.passes
    assert table([figure]).splitlines()[-1] == "| ours to theirs | ≥ 2 | ≥ 3 | 2.5 × | 1–9 | pass |"


@pytest.mark.parametrize(
    ("value", "bar", "code", "verdict"),
    [
        (1.9, RATIO, 1, "MISSED"),
        (3.0, RATIO, 0, "goal"),
        (1.1, TIME, 1, "MISSED"),
        (0.8, TIME, 0, "pass"),
        (0.5, TIME, 0, "goal"),
        (7.0, TOLD, 0, ""),
        (7.0, ONLY_GOAL, 0, ""),
        (0.7, ONLY_GOAL, 0, "goal"),
    ],
)
def test_the_exit_status_tells_whether_all_reach_what_they_must(
    value: float, bar: Bar, code: int, verdict: str
) -> None:
    figure = Figure("one", (value,), bar)
    assert exit_code([figure, Figure("two", (5.0,), RATIO)]) == code
    assert figure.cells[-1] == verdict


def test_the_json_holds_value_and_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = [Figure("ratio", (2.0, 4.0), RATIO, "a note"), Figure("told", (1.0,), TOLD)]
    for figure in figures:
        told(figure)
    write_json(tmp_path / "found.json", figures)
    held = json.loads((tmp_path / "found.json").read_text())
    assert held["ratio"].items() >= {"value": 3.0, "pass": 2.0, "goal": 3.0, "better": "higher"}.items()
    assert held["told"]["pass"] is None
    assert "a note" in capsys.readouterr().out
