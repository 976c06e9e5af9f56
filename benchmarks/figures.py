"""What a benchmark found, beside its bars: for people, for machines, and for docs/performance.md."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a measure must reach and what is wanted of it; None: it is only told."""

    what: str
    least: float | None = None
    goal: float | None = None
    better: Better = "higher"
    unit: str = "×"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure: a value of each interleaved pair, or a single one."""

    name: str
    values: tuple[float, ...]
    bar: Bar
    note: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def passes(self) -> bool:
        return self._reaches(self.bar.least)

    def _reaches(self, bar: float | None) -> bool:
        if bar is None:
            return True
        return self.value >= bar if self.bar.better == "higher" else self.value <= bar

    @property
    def cells(self) -> tuple[str, ...]:
        """As a row: what, pass, goal, median, spread, verdict."""
        sign = "≥" if self.bar.better == "higher" else "≤"
        bars = [
            f"{sign} {_short(bar)}" if bar is not None else "told" for bar in (self.bar.least, self.bar.goal)
        ]
        spread = f"{_short(min(self.values))}–{_short(max(self.values))}" if len(self.values) > 1 else ""
        return (self.bar.what, *bars, f"{_short(self.value)} {self.bar.unit}".strip(), spread, self._verdict)

    @property
    def _verdict(self) -> str:
        if not self.passes:
            return "MISSED"
        if self.bar.goal is not None and self._reaches(self.bar.goal):
            return "goal"
        return "pass" if self.bar.least is not None else ""


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.5g}" if 0.99 <= value < 1 else f"{value:.3g}"


def told(figure: Figure) -> None:
    """One line to stdout."""
    what, least, goal, value, spread, verdict = figure.cells
    line = f"{figure.name:28} {value:>12}  {spread:>14}   pass {least}, goal {goal}  {verdict}"
    sys.stdout.write(f"{line.rstrip()}   {what}{': ' if figure.note else ''}{figure.note}\n")
    sys.stdout.flush()


def table(figures: Iterable[Figure]) -> str:
    """All of them as a table of markdown."""
    rows = [
        ("measure", "pass", "goal", "median", "spread", ""),
        ("---",) * 6,
        *(each.cells for each in figures),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write_json(path: Path, figures: Sequence[Figure]) -> None:
    """`{measure: {"value", "pass", "goal", "better"}}`; pass and goal are the bars, null where none is."""
    held = {
        each.name: {
            "value": each.value,
            "pass": each.bar.least,
            "goal": each.bar.goal,
            "better": each.bar.better,
            "values": list(each.values),
            "unit": each.bar.unit,
            "note": each.note,
        }
        for each in figures
    }
    path.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")


def exit_code(figures: Iterable[Figure]) -> int:
    """1 where any misses what it must reach."""
    return 0 if all(each.passes for each in figures) else 1


def shown(figures: Sequence[Figure], json_file: Path | None) -> int:
    """Each told and, where a file is named, written there; what to exit with."""
    for figure in figures:
        told(figure)
    if json_file:
        write_json(json_file, figures)
    return exit_code(figures)
