"""Rows for people: columns beneath each other, in characters that their terminal has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

GAP = "  "
Pad = Callable[[str, int], str]  # str.ljust, str.rjust


def aligned(rows: Sequence[Sequence[str]], pads: Sequence[Pad], encoding: str) -> str:
    """A line a row, the first columns padded."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(len(pads))]
    shown = "".join(GAP.join(_padded(row, pads, widths)).rstrip() + "\n" for row in rows)
    return writable(shown, encoding)


def _padded(row: Sequence[str], pads: Sequence[Pad], widths: Sequence[int]) -> list[str]:
    first = [pad(cell, width) for pad, cell, width in zip(pads, row, widths, strict=False)]
    return [*first, *row[len(first) :]]


def writable(text: str, encoding: str) -> str:
    """What an encoding has no characters for is shown otherwise."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("–", "-").encode(encoding, "replace").decode(encoding)
    return text


def clock(seconds: float) -> str:
    """mm:ss.mmm; more than an hour is more than 60 minutes."""
    sign, ms = "-" if seconds < 0 else "", round(abs(seconds) * 1000)
    return f"{sign}{ms // 60_000:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
