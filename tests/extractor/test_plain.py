"""Values on their way from a process that is not trusted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from core.errors import Error, UsageError, VideoError
from core.query import Frames
from core.types import Look, Sampling
from extractor.media.cut import Clip
from extractor.media.isolated import LostError
from extractor.media.plain import NotPlainError, read, written
from extractor.media.sniff import Still


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, "ü", b"\0\xff", [], (), [1, ("a", b"b", [None])], [float("inf")], 1 << 70],
    ids=str,
)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    found = read(written(value))
    assert found == value and type(found) is type(value)


def test_pictures_come_back_as_they_were_and_can_be_written_into() -> None:
    pixels = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)[:, ::-1]
    times = ((0.0, np.float64(1.5), 0.0), (1.5, 2.0, 0.0))
    photo, film = read(
        written(
            [Frames(pixels[:1], Look(4)), Frames(pixels, Look(4, std=(0.5, 0.5, 0.5)), times, Sampling())]
        )
    )
    assert (photo.pixels == pixels[:1]).all() and (film.pixels == pixels).all()
    assert (photo.look, photo.sampling, photo.times) == (Look(4), None, ())
    assert (film.look, film.sampling, film.times) == (Look(4, std=(0.5, 0.5, 0.5)), Sampling(), times)
    film.pixels[0] = 7
    assert read(written(Clip(1.5, 16, 9, True))) == Clip(1.5, 16, 9, True)


@pytest.mark.parametrize(
    ("error", "as_what"),
    [
        (VideoError("film.mp4 is cut."), VideoError),
        (Still("a.gif stands still."), VideoError),
        (LostError("gone.", is_chance=True), VideoError),
        (UsageError("t: too late.", "t"), UsageError),
        (Error("no."), Error),
        (PermissionError(13, "no", "film.mp4"), PermissionError),
        (OSError("odd"), OSError),
    ],
    ids=repr,
)
def test_errors_come_back_as_the_nearest_that_everybody_knows(
    error: Exception, as_what: type[Exception]
) -> None:
    found = read(written(error))
    assert type(found) is as_what and str(found) == str(error)
    assert getattr(found, "field", None) == getattr(error, "field", None)


def head(held: Any, raw: bytes = b"") -> bytes:
    text = json.dumps(held).encode()
    return len(text).to_bytes(8, "big") + text + raw


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 40,
        head({"bytes": 4}, b"abc"),
        head({"bytes": 3}, b"abcd"),
        head({"bytes": -1}, b"abc"),
        head({"array": "|O", "shape": [1]}, b"12345678"),
        head({"array": "|u1", "shape": [1 << 62, 4]}, b"abc"),
        head({"array": "|u1", "shape": [-1]}, b"abc"),
        head({"array": "|u1", "shape": "ab"}, b"abc"),
        head({"record": "Path", "fields": {}}),
        head({"record": "Look", "fields": {"size": 4, "more": 1}}),
        head({"record": "Look", "fields": {"size": 4, "hdr": "none such"}}),
        head({"error": "SystemExit", "args": []}),
        head({"error": "VideoError", "args": [{"tuple": []}]}),
        head({"tuple": 4}),
        head([{}]),
        (9_000).to_bytes(8, "big") + b"[" * 9_000,
    ],
)
def test_whatever_else_is_said_is_one_error(data: bytes) -> None:
    with pytest.raises(NotPlainError):
        read(data)
