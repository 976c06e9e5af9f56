"""Decoded pictures told apart by all of their bytes, in place of what an encoder sees of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from av.video.frame import VideoFrame

from core.types import Facts, Look, Sampling
from extractor.media.picture import Pixels
from extractor.media.reader import Anew, Reader
from extractor.work import Way

Found = list[tuple[float, float, int]]  # a picture's times and the CRC of its planes
MODES = {
    "1 fps": Sampling(),
    "0.2 fps": Sampling(fps=0.2),
    "7 fps": Sampling(fps=7.0),
    "8 uniform": Sampling(points="uniform", count=8),
    "keyframes": Sampling(points="keyframes"),
    "msvd": Sampling(preset="clip2video-msvd"),
    "msrvtt": Sampling(preset="clip2video-msrvtt"),
}
SHOTS = Sampling(points="shots")  # all pictures are looked at


def crc(frame: VideoFrame) -> int:
    """Of the planes as they were decoded, without what pads their lines."""
    try:
        return zlib.crc32(frame.to_ndarray().tobytes())
    except (AssertionError, ValueError):  # an odd width, or a format that numpy has no shape for
        return zlib.crc32(frame.reformat(format="rgb48le", threads=1).to_ndarray().tobytes())


@contextmanager
def whole_pictures() -> Iterator[None]:
    """In here a reader's pictures are the CRCs of what was decoded."""

    def seen(self: object, frame: VideoFrame, also: Any = None) -> Pixels:
        return np.array([crc(frame)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("extractor.media.picture.Lens.__call__", seen)
        yield


def read(path: Path, sampling: Sampling, how: Literal["pictures", "planned"]) -> tuple[Found, Facts, Way]:
    """What is kept of a file; what the container lost on the way is left out of its facts."""
    found: Found = []
    with whole_pictures(), Reader(path) as reader:
        for picture in getattr(reader, how)(sampling, Look(size=32)):
            if isinstance(picture, Anew):
                found.clear()
            else:
                found.append((picture.t, picture.end, int(picture.pixels[0])))
        return found, replace(reader.facts, rotation=0, lost_packets=0), reader.way
