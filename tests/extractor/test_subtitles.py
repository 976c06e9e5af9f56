from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from core.types import Line, Look, Sampling
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from extractor.world.plain_films import plain_frames
from tests.conftest import FPS, shapes
from tests.extractor.subtitled import Track, write_subtitled

SAID = [(0, 1000, "one"), (1500, 2500, "two <i>tags</i>"), (3000, 4000, "three, {\\an8}fields, and & more")]
PLAIN = ((0.0, 1.0, "one"), (1.5, 2.5, "two tags"), (3.0, 4.0, "three, fields, and & more"))


def lines_of(path: Path) -> tuple[Line, ...]:
    with Reader(path) as reader:
        assert reader.lines == ()  # nobody has read them yet
        assert list(reader.pictures(Sampling(), Look(32)))
    return reader.lines


@pytest.mark.parametrize(
    ("name", "codec", "film"),
    [
        ("a.mkv", "subrip", "red.mp4"),
        ("a.mkv", "webvtt", "red.mp4"),
        ("a.mkv", "ass", "red.mp4"),
        ("a.mp4", "mov_text", "red.mp4"),
        ("a.mov", "mov_text", "red.mp4"),
        ("a.webm", "webvtt", "short.webm"),
    ],
)
def test_text_tracks_are_read_beside_the_pictures(
    tmp_path: Path, videos: Path, name: str, codec: str, film: str
) -> None:
    tracks = [Track(codec, SAID, "eng"), Track(codec, [(0, 500, "eins")], "ger"), Track(codec, SAID, "eng")]
    found = lines_of(write_subtitled(tmp_path / name, videos / film, tracks))
    assert found[:1] == (Line(0.0, 0.5, "eins", found[0].language),)
    assert found[1:] == tuple(Line(*line, "eng") for line in PLAIN)


def test_pictures_are_the_same_with_tracks_and_without(tmp_path: Path, videos: Path) -> None:
    path = write_subtitled(tmp_path / "a.mkv", videos / "red-then-blue.mp4", [Track("subrip", SAID)])
    with Reader(path) as with_tracks, Reader(videos / "red-then-blue.mp4") as without:
        pairs = zip(*(r.pictures(Sampling(fps=5), Look(32)) for r in (with_tracks, without)), strict=True)
        for one, other in pairs:
            assert one.t == pytest.approx(other.t, abs=1e-3)  # Matroska's times are whole milliseconds
            assert (one.pixels == other.pixels).all()


def test_lines_lie_on_the_time_line_of_the_pictures(tmp_path: Path) -> None:
    film = tmp_path / "late.mkv"
    times = [Fraction(3, 2) + n / FPS for n in range(40)]
    write_video(film, plain_frames(shapes("red"), FPS, 160, 90), Encoding(fps=FPS), times=times)
    path = write_subtitled(
        tmp_path / "a.mkv", film, [Track("subrip", [(1000, 2000, "cut"), (2500, 3000, "x")])]
    )
    assert lines_of(path) == (Line(0.0, 0.5, "cut"), Line(1.0, 1.5, "x"))


def test_shapes_that_ass_draws_are_no_words(tmp_path: Path, videos: Path) -> None:
    said = [(0, 1000, "{\\p1}m 0 0 l 100 0{\\p0}"), (0, 1000, "{\\pos(1,2)}words\\Nin rows")]
    path = write_subtitled(tmp_path / "a.mkv", videos / "red.mp4", [Track("ass", said)])
    assert [line.text for line in lines_of(path)] == ["words in rows"]


def test_a_second_reading_tells_the_same_once(tmp_path: Path, videos: Path) -> None:
    path = write_subtitled(tmp_path / "a.mkv", videos / "red.mp4", [Track("subrip", SAID)])
    with Reader(path) as reader:
        for _ in range(2):
            assert list(reader.pictures(Sampling(), Look(32)))
            assert len(reader.lines) == 3


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("media3__sample_with_srt.mkv", 1, Line(0.0, 1.234, "This is the first subtitle.", "eng")),
        ("media3__sample_with_vtt_subtitles.mkv", 1, Line(0.0, 1.234, "This is the first subtitle.")),
        ("media3__sample_with_ssa_subtitles.mkv", 1, Line(0.0, 0.433, "This is the first subtitle.")),
        (
            "torchcodec__nasa_13013.mp4",
            4,
            Line(0.21, 4.26, "NAR: This is the optical and science segment of the Webb", "eng"),
        ),
        ("media3__sample_with_pgs_subtitles.mkv", 0, None),  # pictures of text
    ],
)
def test_tracks_of_real_files_are_read(media: Path, name: str, count: int, first: Line | None) -> None:
    found = lines_of(media / "videos" / name)
    assert len(found) == count
    assert next(iter(found), None) == first
