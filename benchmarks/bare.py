"""Bare decoding: the packets that a file's own plan needs, and nothing done with the pictures.

Which packets those are is found out beforehand and not counted. Opening and demuxing are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from av.video.stream import VideoStream

from core.types import Look, Sampling
from extractor.media import packets, reader
from extractor.media.opening import choose_stream, open_container
from extractor.media.packets import Losses, VideoPacket
from extractor.media.plan import Plan, plan
from extractor.media.reader import Picture, Reader
from extractor.media.subtitles import Tracks

_LOOK = Look(size=32)


@dataclass(frozen=True, slots=True)
class Needed:
    """What is decoded of a file for so many pictures: what its plan says, or all."""

    path: Path
    plan: Plan | None
    pictures: int
    is_void: bool = False  # it was planned in a way that did not hold


class _Made(Exception):
    """A plan was made, and nothing else is wanted."""


@contextmanager
def _seen(see: Callable[[Plan | None], None]) -> Iterator[None]:
    """Shows each plan that a reader makes."""

    def made(*given: Any, **named: Any) -> Plan | None:
        found = plan(*given, **named)
        see(found)
        return found

    with patch.object(reader, "plan", made):
        yield


def needed(path: Path, sampling: Sampling) -> Needed:
    """By the plan that the product itself made, where that turns out to hold."""
    plans: list[Plan | None] = []
    count = 0
    with _seen(plans.append), Reader(path) as opened:
        for found in opened.planned(sampling, _LOOK):
            count = count + 1 if isinstance(found, Picture) else 0
        way = opened.way
    any_plan = any(plans)
    is_void = any_plan and (way == "full" or plans[0] is not plans[-1])
    return Needed(path, None if way == "full" else plans[-1], count, is_void)


def planning(path: Path, sampling: Sampling) -> None:
    """Read a file until it is known how its pictures are come by, and no further."""

    def stop(_: Plan | None) -> None:
        raise _Made

    with _seen(stop), Reader(path) as opened:
        try:
            next(opened.planned(sampling, _LOOK), None)
        except _Made:
            return


def decode(file: Needed) -> int:
    """Only these packets, by one thread; how many pictures came out."""
    return _read(file.path, lambda given, stream: _frames(file, given, stream))


def demux(path: Path) -> int:
    """All packets, which nobody decodes."""
    return _read(path, lambda given, _: given)


def _frames(file: Needed, given: Iterator[VideoPacket], stream: VideoStream) -> Iterator[object]:
    if file.plan:
        return file.plan.decode(given, stream)
    return packets.decode(given, stream, Losses())


def _read(path: Path, act: Callable[[Iterator[VideoPacket], VideoStream], Iterator[object]]) -> int:
    with open_container(path, b"") as container:
        stream = choose_stream(container, path)
        return sum(1 for _ in act(packets.read(container, stream, Losses(), Tracks(container)), stream))


def decode_all(files: Sequence[Needed]) -> int:
    """One after another; how many pictures came out."""
    return sum(map(decode, files))
