"""One line of the table: what was measured, what was found, and whether that is enough."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """From least to most, both enough."""

    least: float
    most: float = float("inf")

    def __str__(self) -> str:
        return f"≥ {self.least:.4g}" if self.most == float("inf") else f"{self.least:.4g}–{self.most:.4g}"


@dataclass(frozen=True, slots=True)
class Line:
    """A figure, of so many answers."""

    measure: str
    figure: float
    of: int
    bar: Bar | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return "no bar"
        return "pass" if self.bar.least <= self.figure <= self.bar.most else "miss"


def held(measure: str, figure: float, of: int, least: float, objection: str = "") -> Line:
    """To a bar, unless something speaks against it."""
    return Line(measure, figure, of, None if objection else Bar(least), objection)
