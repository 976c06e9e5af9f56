"""Plots are real SVGs whose points lie where their values say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.plots import Axis, plot, write_plot

SVG = "{http://www.w3.org/2000/svg}"
ACROSS, UP = Axis("videos"), Axis("CPU seconds")


def circles(text: str) -> list[tuple[float, float]]:
    found = ElementTree.fromstring(text).iter(f"{SVG}circle")
    return [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in found]


def texts(text: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(text).iter(f"{SVG}text")]


def test_points_lie_in_proportion_to_their_values() -> None:
    (x0, y0), (x1, y1), (x2, y2) = circles(plot("A", ACROSS, UP, {"all": [(0, 0), (5, 1), (10, 2)]}))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and x0 < x2
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2) and y0 > y2, "more is further up"


def test_tenfold_steps_of_a_log_axis_are_of_one_length() -> None:
    points = [(10.0**n, 10.0**-n) for n in range(4)]
    found = circles(plot("A", Axis("videos", is_log=True), Axis("s", is_log=True), {"all": points}))
    steps = {round(b[0] - a[0]) for a, b in pairwise(found)}
    assert len(steps) == 1 and steps.pop() > 0


def test_title_units_and_names_are_written_whatever_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "plots" / "one.svg"
    write_plot(path, "a < b & c", ACROSS, UP, {"all": [(1, 1), (2, 30)], "<decoding>": [(1, 1)]})
    said = texts(path.read_text(encoding="utf-8"))
    assert {"a < b & c", "videos", "CPU seconds", "all", "<decoding>"} <= set(said)
    assert "30" in said, "the highest tick holds the highest value"


def test_no_point_lies_outside() -> None:
    for points in ([(0.003, 7e5)], [(1, 0)], [(900, 1.0), (90_000, 12_345.0)]):
        for is_log in (False, True) if min(map(min, points)) > 0 else (False,):
            axes = Axis("x", is_log), Axis("y", is_log)
            for x, y in circles(plot("A", *axes, {"all": points})):
                assert 0 <= x <= 640 and 0 <= y <= 360
