"""A stranger's file as pictures, within bounds; to be called in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from core.errors import VideoError
from core.query import Frames
from core.types import Facts, Look, Sampling
from extractor.media.opening import choose_stream, open_container
from extractor.media.photo import is_photo, photo
from extractor.media.reader import Picture, Reader
from extractor.media.sniff import shown_name

_HELD_BYTES = 64 << 20  # of pictures: all of a file's go to whoever asked at once


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a file's pictures may be, and how long they may go on."""

    pixels: int
    seconds: float


def frames_of(
    paths: Sequence[Path], look: Look, sampling: Sampling | None, bounds: Bounds
) -> list[Frames | VideoError]:
    """Of each file. sampling: None takes photos alone."""
    return [_frames_or_why(path, look, sampling, bounds) for path in paths]


def _frames_or_why(path: Path, look: Look, sampling: Sampling | None, bounds: Bounds) -> Frames | VideoError:
    name = shown_name(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
        if is_photo(head):
            return Frames(photo(path, look, bounds.pixels)[None], look)
        if sampling is None:
            return VideoError(f"{name} is no JPEG, PNG or WebP.")
        return _video(path, look, sampling, bounds)
    except VideoError as error:
        if isinstance(error.__cause__, MemoryError):
            raise
        return error
    except OSError as error:
        return VideoError(f"{name} cannot be read: {error.strerror or error}.")


def _video(path: Path, look: Look, sampling: Sampling, bounds: Bounds) -> Frames:
    held: list[Picture] = []
    most = max(1, _HELD_BYTES // prod(look.shape))
    with Reader(path) as reader:
        _require_bounds(path, reader.name, reader.facts, bounds)
        for found in reader.planned(sampling, look):
            if not isinstance(found, Picture):
                held.clear()
                continue
            held.append(found)
            if found.t >= bounds.seconds:  # headers are often wrong
                raise _too_long(reader.name, bounds)
            if len(held) > most:
                raise VideoError(f"{reader.name} gives more than {most} pictures.")
    times = tuple((picture.t, picture.end, picture.shot) for picture in held)
    return Frames(np.stack([picture.pixels for picture in held]), look, times, sampling)


def _require_bounds(path: Path, name: str, facts: Facts, bounds: Bounds) -> None:
    if facts.seconds > bounds.seconds and _reaches(path, bounds.seconds):
        raise _too_long(name, bounds)
    if facts.width * facts.height > bounds.pixels:
        size = f"{facts.width} × {facts.height}"
        raise VideoError(f"{name} has pictures of more than {bounds.pixels / 1e6:g} megapixels ({size}).")


def _reaches(path: Path, seconds: float) -> bool:
    """Whether there are pictures of so many seconds; of a file that was cut short its header says so too."""
    with open_container(path, b"") as container:
        stream = choose_stream(container, path)
        first = math.inf
        for packet in container.demux(stream):
            if packet.pts is None or packet.time_base is None:
                continue
            t = float(packet.pts * packet.time_base)
            first = min(first, t)
            if t - first >= seconds:
                return True
    return False


def _too_long(name: str, bounds: Bounds) -> VideoError:
    return VideoError(f"{name} is longer than {bounds.seconds:g} s.")
