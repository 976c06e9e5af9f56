"""Timed text as people write it: SubRip, WebVTT and Whisper's JSON, whatever is wrong with some of it."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import islice, pairwise
from math import isfinite
from typing import Any

from core.lines import sorted_lines
from core.types import Line

MOST_LINES = 100_000  # of a file: a day of speech has a fourth of that
MOST_CHARACTERS = 4_000  # of a line
LEAST_S = 2.0  # how long a line stays that says no end, or one before its start
_LATEST_S = 1e7
_ARROW = "-->"
_TIME = r"(-?)(?:(\d{1,4}):)?(\d{1,2}):([0-5]?\d)(?:[,.:](\d{1,9}))?"
_TIMING = re.compile(rf"^\s*{_TIME}\s*--+>\s*{_TIME}(?:\s|$)")
_NUMBER = re.compile(r"^\s*\d+\s*$")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
_ESCAPES = re.compile(r"\\[Nnh]")
_ENDS = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Timed:
    """The lines of a file or track, by time, and how much of it made no sense."""

    lines: tuple[Line, ...] = ()
    bad: int = 0


def parse(data: bytes, kind: str, language: str = "") -> Timed:
    """What a file of kind "srt", "vtt" or "json" says."""
    text = decoded(data)
    if kind == "json":
        return _collected(_segments(text, language))
    return _collected(_cues(text, language, is_vtt=kind == "vtt"))


def decoded(data: bytes) -> str:
    """By UTF-8; by UTF-16 where its mark or many zeros say so; what is neither by Windows' Latin letters."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    if not data.startswith(BOM_UTF8) and (order := _utf16_order(data[:4096])):
        return data.decode(order, errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _utf16_order(head: bytes) -> str:
    odd, even = head[1::2].count(0), head[::2].count(0)
    if max(odd, even) * 4 < len(head):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def plain(text: str) -> str:
    """Without markup, on one line."""
    bare = unescape(_TAG.sub("", _ESCAPES.sub(" ", text)))
    shown = " ".join(bare.replace("\0", "").split())[:MOST_CHARACTERS]
    return shown.encode(errors="replace").decode()  # JSON may hold half a surrogate pair


def line_of(start: float, end: float, text: str, language: str = "") -> Line | None:
    """The line, if it says anything at any time: cut where time begins, given an end where it has none."""
    if not (isfinite(start) and isfinite(end) and start < _LATEST_S and end < _LATEST_S):
        return None
    end = end if end > start else start + LEAST_S
    shown = plain(text)
    return Line(max(start, 0.0), end, shown, language) if shown and end > 0 else None


def _collected(found: Iterator[Line | None]) -> Timed:
    held = list(islice(found, MOST_LINES))
    bad = held.count(None) + sum(1 for _ in found)
    return Timed(sorted_lines(line for line in held if line is not None), bad)


def _cues(text: str, language: str, *, is_vtt: bool) -> Iterator[Line | None]:
    """Each arrow begins a cue, so that one that is broken spoils no other; None stands for that."""
    rows = _ENDS.split(text)
    arrows = [number for number, row in enumerate(rows) if _ARROW in row]
    for at, following in pairwise([*arrows, len(rows)]):
        said = rows[at + 1 : following]
        if following < len(rows):
            said = _without_name(said)
        if is_vtt and "" in (stripped := [row.strip() for row in said]):
            said = said[: stripped.index("")]  # behind it may be notes and styles
        timing = _TIMING.match(rows[at])
        if timing is None:
            yield None
        elif any(map(str.strip, said)):
            groups = timing.groups()
            yield line_of(_seconds(groups[:5]), _seconds(groups[5:]), "\n".join(said), language)


def _without_name(rows: list[str]) -> list[str]:
    """Less the number or name that stands right before the next cue."""
    if not rows:
        return rows
    is_name = _NUMBER.match(rows[-1]) or (len(rows) > 1 and not rows[-2].strip())
    return rows[:-1] if is_name else rows


def _seconds(groups: tuple[str | None, ...]) -> float:
    sign, hours, minutes, seconds, fraction = groups
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    found_s = whole + float(f"0.{fraction or 0}")
    return -found_s if sign else found_s


def _segments(text: str, language: str) -> Iterator[Line | None]:
    try:
        held: Any = json.loads(text)
    except (ValueError, RecursionError):
        yield None
        return
    if isinstance(held, dict):
        said = held.get("language")
        language = language or (said if isinstance(said, str) and len(said) <= 35 else "")
        held = held.get("segments")
    for each in held if isinstance(held, list) else ():
        yield _segment(each, language)


def _segment(held: Any, language: str) -> Line | None:
    if not isinstance(held, dict):
        return None
    start, end, text = (held.get(name) for name in ("start", "end", "text"))
    if not isinstance(start, int | float) or not isinstance(end, int | float) or not isinstance(text, str):
        return None
    try:
        return line_of(float(start), float(end), text, language)
    except OverflowError:
        return None
