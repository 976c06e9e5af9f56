"""Lines on a grid as an SVG, readable on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product
from math import ceil, floor, log10
from pathlib import Path

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 20, 44, 56
_COLOURS = ("#2f7ed8", "#d9822b", "#3a9d5d", "#b0539c")  # each stands out from white and from black
_STEPS = (1, 2, 5)
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """What it shows, with its unit; `is_log`: tenfold steps of equal length."""

    label: str
    is_log: bool = False


def write_plot(path: Path, title: str, across: Axis, up: Axis, lines: Mapping[str, Points]) -> None:
    """One line for each name; a file that any browser shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plot(title, across, up, lines), encoding="utf-8")


def plot(title: str, across: Axis, up: Axis, lines: Mapping[str, Points]) -> str:
    """The text of it."""
    every = [point for points in lines.values() for point in points]
    x = _Scale.of(across, [x for x, _ in every], _LEFT, _WIDTH - _RIGHT)
    y = _Scale.of(up, [y for _, y in every], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12" fill="#808080">',
        f"<title>{escape(title)}</title>",
        *_grid(x, y),
        _text(_LEFT, 20, title, "start", 'font-weight="bold" font-size="14"'),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, across.label, "middle"),
        _text(14, (_TOP + _HEIGHT - _BOTTOM) / 2, up.label, "middle", turn=True),
    ]
    for number, (name, points) in enumerate(lines.items()):
        parts += _line(name, points, x, y, number)
    return "\n".join([*parts, "</svg>\n"])


@dataclass(frozen=True, slots=True)
class _Scale:
    ticks: tuple[float, ...]
    first: float  # pixel of the first tick
    last: float
    is_log: bool

    @classmethod
    def of(cls, axis: Axis, values: Sequence[float], first: float, last: float) -> _Scale:
        if axis.is_log:
            low, high = floor(log10(min(values))), ceil(log10(max(values)))
            return cls(tuple(10.0**n for n in range(low, max(high, low + 1) + 1)), first, last, True)
        step = _step(max(values) / 5)
        count = max(1, ceil(max(values) / step))
        return cls(tuple(n * step for n in range(count + 1)), first, last, False)

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high, v = self.ticks[0], self.ticks[-1], value
        if self.is_log:
            low, high, v = log10(low), log10(high), log10(value)
        return self.first + (v - low) / (high - low) * (self.last - self.first)


def _step(least: float) -> float:
    """The next 1, 2 or 5 of some power of ten."""
    if least <= 0:
        return 1.0
    power = floor(log10(least))
    return min(step for n, p in product(_STEPS, (power, power + 1)) if (step := n * 10.0**p) >= least * 0.999)


def _grid(x: _Scale, y: _Scale) -> list[str]:
    stroke = 'stroke="#808080" stroke-opacity="0.3"'
    found = []
    for tick in x.ticks:
        at = x.at(tick)
        found.append(f'<line x1="{at:.1f}" y1="{y.first}" x2="{at:.1f}" y2="{y.last}" {stroke}/>')
        found.append(_text(at, y.first + 18, f"{tick:,g}", "middle"))
    for tick in y.ticks:
        at = y.at(tick)
        found.append(f'<line x1="{x.first}" y1="{at:.1f}" x2="{x.last}" y2="{at:.1f}" {stroke}/>')
        found.append(_text(x.first - 8, at + 4, f"{tick:,g}", "end"))
    return found


def _line(name: str, points: Points, x: _Scale, y: _Scale, number: int) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    at = [(x.at(a), y.at(b)) for a, b in points]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in at)
    found = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    found += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in at]
    return [*found, _text(_LEFT + 12, _TOP + 16 + 16 * number, name, "start", f'fill="{colour}"')]


def _text(x: float, y: float, text: str, anchor: str, more: str = "", *, turn: bool = False) -> str:
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
    more = f" {more}" if more else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}{turned}>{escape(text)}</text>'
