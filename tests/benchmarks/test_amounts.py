"""A row of the table says how much was measured, which `--quick` makes less."""

from __future__ import annotations

from benchmarks.bars import BARS
from benchmarks.bench import figure


def test_a_row_says_what_was_measured_and_not_what_is_asked_at_most() -> None:
    long = figure("memory_long", 0.5, hours=1, packets=216_000)
    assert long.cells[0].endswith(", a film of 1 h and 216,000 packets")
    assert figure("memory_many", 0.5, videos=500).cells[0].endswith(", 500 tiny videos")


def test_every_row_can_be_said() -> None:
    for name in BARS:
        what = figure(name, 1.0, hours=1, packets=216_000, videos=500).cells[0]
        assert "{" not in what and "10,000" not in what and "10 hours" not in what
