"""Whether a track says itself what else a look at its first pictures tells."""

from __future__ import annotations

from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from random import Random

import av
import pytest
from av.container import InputContainer

from extractor.media import opening, sniff
from extractor.media.avc import tells_order
from extractor.media.opening import choose_stream
from extractor.media.picture import stretch
from extractor.media.write import Encoding, write_video
from tests.extractor.drawn import numbered

INTERLACED = ("x264-params", "interlaced=1")


@pytest.mark.parametrize(
    ("name", "encoding", "is_told"),
    [
        ("film.mp4", Encoding(bframes=3), True),
        ("film.mov", Encoding(bframes=1), True),
        ("film.mp4", Encoding(bframes=3, options=(("profile", "main"),)), True),
        ("film.mp4", Encoding(), False),
        ("film.mp4", Encoding(bframes=3, sar=Fraction(4, 3)), False),
        ("film.mp4", Encoding(bframes=3, options=(INTERLACED,)), False),
        ("film.mp4", Encoding("hevc", bframes=3), False),
        ("film.mkv", Encoding(bframes=3), False),
    ],
    ids=["mp4", "mov", "main profile", "in order", "wide elements", "of fields", "hevc", "mkv"],
)
def test_only_a_track_that_says_it_all_is_not_looked_at(
    tmp_path: Path, name: str, encoding: Encoding, is_told: bool
) -> None:
    path = tmp_path / name
    write_video(path, numbered(12), encoding)
    data = path.read_bytes()
    assert (sniff.is_mov(data) and tells_order(data)) == is_told
    with opening.open_container(path, sniff.refuse(path)) as container:
        looked = choose_stream(container, path).codec_context.pix_fmt
    assert (looked is None) == is_told


def test_two_tracks_of_pictures_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, numbered(12), Encoding(bframes=3))
    data = path.read_bytes()
    assert tells_order(data)
    assert not tells_order(data + b"\0\0\0\0\0\0\0\0vide") and not tells_order(data + data)


def test_no_damage_of_what_is_said_takes_long_or_fails(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, numbered(12), Encoding(bframes=3))
    data = path.read_bytes()
    at, random = data.index(b"avcC"), Random(7)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(random.choice((1, 4, 16))):
            damaged[at + 4 + random.randrange(40)] = random.choice((0, 255, random.randrange(256)))
        tells_order(bytes(damaged))
    for cut in range(at, at + 30):  # before the last number
        assert not tells_order(data[:cut])
    assert not tells_order(data[: at + 9] + bytes(1000))


def test_real_files_that_are_not_looked_at_are_decoded_as_if_they_had_been(media: Path) -> None:
    count = 0
    for path in sorted((media / "videos").iterdir()):
        head = path.read_bytes()[: sniff.HEAD_BYTES]
        if not (sniff.is_mov(head) and tells_order(sniff.small(path))):
            continue
        try:
            looked = av.open(str(path))
        except av.error.FFmpegError:
            continue
        with looked, opening.open_container(path, head) as told:
            assert decoded(told) == decoded(looked), path.name
        count += 1
    assert count >= 15


def decoded(container: InputContainer) -> list[tuple[object, ...]]:
    """What is shown when, as far as there is no damage, and what is said of it beforehand."""
    stream = container.streams.video[0]
    said = (
        stream.start_time,
        stream.duration,
        stream.average_rate,
        stream.guessed_rate,
        stream.codec_context.width,
    )
    found: list[tuple[object, ...]] = [said, (stretch(stream.sample_aspect_ratio),)]
    try:
        for frame in container.decode(stream):
            pixels = sha256(frame.to_ndarray().tobytes()).digest()
            found.append((frame.pts, frame.dts, frame.duration, frame.colorspace, frame.color_range, pixels))
    except av.error.FFmpegError as error:
        found.append((error.strerror,))
    return found
