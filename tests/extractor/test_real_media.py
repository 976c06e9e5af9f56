"""The reader on real files of all codecs and containers, a quarter of them broken."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.errors import VideoError
from core.types import Facts, Look, Sampling
from extractor.media.packets import Losses, VideoPacket, decode
from extractor.media.reader import Picture, Reader

LOOK = Look(size=32)
LONG = "long_1080p"  # minutes of black: only their beginnings are read
LONG_PICTURES = 10
ANIMATION = "mp4parse__alpha_video_fixed.avif"  # whose first stream is a picture

# What our reading says otherwise than videos.jsonl, and why.
RECOVERED = {  # damaged files that give pictures when bad packets are passed over one by one
    "media3__sample_with_invalid_nalu.mp4": 1,
    "mp4parse__no_timescale.mp4": 12,
}
# Whose table says how long something else is: sound, subtitles, what a header promises and the file lacks.
OTHER_LENGTH = {
    "filetype__fixture.mpg",
    "filetype__fixture2.mkv",
    "media3__edit_list_positive_shift.mp4",
    "media3__sample_scte35.ts",
    "media3__sample_with_pgs_subtitles.mkv",
    "mediabunny__annex-b.mp4",
}
TEXTS = {"filetype__fixture-json.webp"}  # 19 bytes of JSON: no picture that fails, but no video


@cache
def truth(media: Path) -> dict[str, dict[str, Any]]:
    lines = (media / "videos.jsonl").read_text().splitlines()
    return {row["file"]: row for row in map(json.loads, lines)}


DECODED: Counter[str] = Counter()  # pictures that came out of the decoder, by file


def counted(packets: Iterable[VideoPacket], stream: VideoStream, losses: Losses) -> Iterator[VideoFrame]:
    for frame in decode(packets, stream, losses):
        DECODED[Path(stream.container.name).name] += 1
        yield frame


@cache
def read(path: Path) -> tuple[list[Picture], Facts] | VideoError:
    """At 2 fps."""
    try:
        with pytest.MonkeyPatch.context() as patch, Reader(path) as reader:
            patch.setattr("extractor.media.reader.decode", counted)
            pictures = reader.pictures(Sampling(fps=2.0), LOOK)
            return list(islice(pictures, LONG_PICTURES if LONG in path.name else None)), reader.facts
    except VideoError as error:
        return error


def times_until(path: Path, end: float) -> list[float]:
    """When each picture begins, every one of them, up to the first after `end`."""
    times: list[float] = []
    with Reader(path) as reader:
        pictures = reader.pictures(Sampling(fps=1000.0, clip_seconds=0.1), LOOK)
        while (picture := next(pictures, None)) and (not times or times[-1] <= end):
            times.append(picture.t)
    return times


def expected_status(row: dict[str, Any]) -> str:
    if row["still"]:
        return "still"
    if row["status"] == "no_video" or row["file"] in TEXTS:
        return "not_video"
    return "ok" if row["status"] == "ok" or row["file"] in RECOVERED else "failed"


def test_every_file_is_read_or_refused_as_it_should_be(media: Path) -> None:
    wrong = {}
    for name, row in truth(media).items():
        found = read(media / "videos" / name)
        status = (found.why or "failed") if isinstance(found, VideoError) else "ok"
        if status != expected_status(row):
            wrong[name] = (status, expected_status(row), found)
    assert wrong == {}
    assert len(truth(media)) == 253


def test_every_refusal_is_one_sentence_about_the_file(media: Path) -> None:
    for name in truth(media):
        found = read(media / "videos" / name)
        if isinstance(found, VideoError):
            says = str(found).removeprefix(name)
            assert re.fullmatch(r" (is|has|cannot) [^\n]*[a-z0-9)]\.", says), (name, says)
            assert not re.search(r"0x[0-9a-f]|Errno|avcodec|avformat", says), (name, says)


def test_encrypted_files_are_called_so(media: Path) -> None:
    encrypted = [name for name in truth(media) if re.search("clearkey|encrypted|cbcs_video", name)]
    assert len(encrypted) == 5
    for name in encrypted:
        assert str(read(media / "videos" / name)) == f"{name} is encrypted."


def good(media: Path) -> list[tuple[dict[str, Any], list[Picture], Facts]]:
    found = []
    for name, row in truth(media).items():
        held = read(media / "videos" / name)
        if row["status"] == "ok" and not isinstance(held, VideoError):
            found.append((row, *held))
    return found


def test_zero_first_time_turn_and_size_are_those_of_the_file(media: Path) -> None:
    for row, pictures, facts in good(media):
        assert facts.zero_s == pytest.approx(row["zero_s"], abs=1e-6), row["file"]
        assert pictures[0].t == pytest.approx(row["first_shown_s"], abs=1e-6), row["file"]
        assert facts.rotation == -row["rotation"][0] % 360, row["file"]
        assert (facts.width, facts.height, facts.codec) == (row["w"], row["h"], row["codec"])
        assert facts.lost_packets == 0, row["file"]
    assert len(good(media)) == 158  # of 173; the others are stills and covers


def test_every_picture_is_decoded_and_the_last_one_ends_with_the_video(media: Path) -> None:
    for row, _, facts in good(media):
        name = row["file"]
        if LONG in name or name == ANIMATION:  # of the latter the table has the still picture before it
            continue
        assert DECODED[name] == row["frames_decoded"], name
        if row["duration"] is not None and name not in OTHER_LENGTH:
            assert facts.seconds == pytest.approx(row["first_shown_s"] + row["duration"], abs=0.6), name


def test_damaged_packets_are_passed_over_and_counted(media: Path) -> None:
    for name, lost in RECOVERED.items():
        found = read(media / "videos" / name)
        assert not isinstance(found, VideoError)
        assert found[1].lost_packets == lost


def test_an_animation_whose_first_stream_is_a_picture_is_read(media: Path) -> None:
    found = read(media / "videos" / ANIMATION)
    assert not isinstance(found, VideoError)
    assert [p.t for p in found[0]] == [0.0, 0.48, 1.0, 1.48]


def test_times_that_step_back_are_put_in_order(media: Path) -> None:
    """AVI has decoding times only; out of order they would leave out and repeat pictures."""
    times = times_until(media / "videos" / "media3__sample-with-large-length.avi", 10.0)
    assert times == [pytest.approx(n / 30) for n in (2, 3, 5, *range(6, 60))]


def test_rows_are_in_order_and_end_with_the_video(media: Path) -> None:
    for row, pictures, facts in good(media):
        assert [p.t for p in pictures] == sorted({p.t for p in pictures}), row["file"]
        assert all(p.t < p.end for p in pictures), row["file"]
        if LONG not in row["file"]:
            assert facts.seconds - 0.5 < pictures[-1].end <= facts.seconds, row["file"]


def test_our_times_are_those_of_a_player(media: Path) -> None:
    """Chromium leaves out pictures when it is late; it never shows one at another time. It does not show the
    first pictures of two of the files at all (see the media's README)."""
    compared = 0
    for row in truth(media).values():
        if theirs := row.get("player_times_s"):
            zero = row["zero_s"]
            ours = times_until(media / "videos" / row["file"], max(theirs) - zero)
            for t in theirs:
                assert min(abs(t - zero - each) for each in ours) <= 1.5e-6, (row["file"], t)
            compared += 1
    assert compared == 114
