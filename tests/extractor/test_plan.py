"""Planned decoding gives bit for bit what a decoding of everything gives, and decodes less."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.stream import VideoStream

from core.errors import VideoError
from core.types import Sampling
from extractor.media.clock import Shown
from extractor.media.picture import Pixels
from extractor.media.plan import Plan, UnmetError, plan
from extractor.media.points import Choice
from extractor.media.scan import Scan
from extractor.media.timeline import Timeline, survey
from extractor.media.write import Encoding, write_video
from extractor.work import Way
from tests.extractor.planes import MODES, SHOTS, read
from tests.extractor.shelf import Shelf, age
from tests.extractor.test_real_media import LONG

F = Fraction
SECONDS, FPS = 12, F(25)
X264, X265 = "x264-params", "x265-params"
QUIET = "pools=1:frame-threads=1:log-level=none"


def moving(count: int, size: int = 96) -> Iterator[Pixels]:
    """A texture that wanders, turns brighter and changes at once now and then: all kinds of pictures."""
    random = np.random.default_rng(3)
    textures = [
        np.kron(random.integers(0, 200, (64, 64, 3), np.uint8), np.ones((4, 4, 1), np.uint8)) for _ in "abc"
    ]
    for number in range(count):
        texture = textures[number // 90 % 3]
        x, y = int(60 + 50 * np.sin(number / 9)), int(60 + 50 * np.cos(number / 7))
        yield texture[y : y + size, x : x + size] + np.uint8(number % 50)


@dataclass(frozen=True)
class Film:
    suffix: str
    encoding: Encoding
    way: str = "planned"
    times: tuple[Fraction, ...] | None = None


def x264(params: str, gop: int = 50, bframes: int = 3) -> Encoding:
    return Encoding("h264", gop=gop, bframes=bframes, options=((X264, f"threads=1:log=-1:{params}"),))


def x265(params: str) -> Encoding:
    return Encoding("hevc", gop=50, bframes=4, options=((X265, f"{QUIET}:{params}"),))


def uneven(longest: Fraction) -> tuple[Fraction, ...]:
    random, times = Random(5), [F(0)]
    while len(times) < SECONDS * FPS:
        times.append(times[-1] + random.choice([F(1, 100), F(1, 25), F(3, 25), longest]))
    return tuple(times)


FILMS = {
    "no b-frames": Film(".mp4", x264("", bframes=0)),
    "b-pyramid": Film(".mp4", x264("b-pyramid=normal:b-adapt=0:bframes=5")),
    "open gop mp4": Film(".mp4", x264("open-gop=1:b-adapt=0")),
    "open gop ts": Film(".ts", x264("open-gop=1:b-adapt=0")),
    "frame-coded interlaced": Film(".mp4", x264("interlaced=1")),
    "uneven times": Film(".mp4", x264("b-adapt=0"), times=uneven(F(2, 5))),
    "hevc uneven": Film(".mp4", x265("b-adapt=0"), times=uneven(F(1, 10))),
    "hevc with long gaps": Film(".mp4", x265("b-adapt=0"), way="full", times=uneven(F(2, 5))),
    "vp9 uneven": Film(".webm", Encoding("vp9", gop=50), times=uneven(F(2, 5))),
    "av1 uneven": Film(".mp4", Encoding("av1", gop=50), times=uneven(F(2, 5))),
    "begins late": Film(".mkv", x264(""), times=tuple(F(3) + n / FPS for n in range(300))),
    "intra refresh": Film(".mp4", x264("intra-refresh=1"), way="retried full planned"),
    "one long gop": Film(".mp4", x264("scenecut=0", gop=10_000)),
    "hevc open": Film(".mp4", x265("open-gop=1:b-adapt=0")),
    "hevc closed ts": Film(".ts", x265("open-gop=0")),
    "hevc layers": Film(".mkv", x265("temporal-layers=1:b-adapt=0:b-pyramid=1")),
    "vp8 alt-ref": Film(
        ".webm",
        Encoding(
            "vp8", gop=50, options=(("auto-alt-ref", "1"), ("lag-in-frames", "16"), ("deadline", "good"))
        ),
    ),
    "vp9 alt-ref": Film(
        ".webm",
        Encoding(
            "vp9", gop=50, options=(("auto-alt-ref", "1"), ("lag-in-frames", "16"), ("deadline", "good"))
        ),
    ),
    "av1": Film(".mp4", Encoding("av1", gop=50)),
    "av1 webm": Film(".webm", Encoding("av1", gop=50)),
    "mpeg-2 ts": Film(".ts", Encoding("mpeg2video", gop=15, bframes=2, time_base=F(1, 25))),
    "mpeg-2 program stream": Film(
        ".mpg", Encoding("mpeg2video", gop=15, bframes=2, time_base=F(1, 25)), way="full"
    ),
    "mpeg-4": Film(".mp4", Encoding("mpeg4", gop=50, bframes=2, time_base=F(1, 25))),
    "mpeg-4 in avi": Film(".avi", Encoding("mpeg4", gop=50, bframes=2, time_base=F(1, 25)), way="full"),
    "pictures alone": Film(
        ".mov", Encoding("mjpeg", options=(("strict", "unofficial"),), time_base=F(1, 25))
    ),
}


@pytest.fixture(scope="module", params=FILMS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Film]:
    film = FILMS[request.param]
    path = tmp_path_factory.mktemp("film") / f"film{film.suffix}"
    write_video(path, moving(int(SECONDS * FPS)), film.encoding, film.times)
    return path, film


def test_the_same_pictures_come_out_in_every_mode(film: tuple[Path, Film]) -> None:
    path, made = film
    ways = []
    for name, sampling in MODES.items():
        whole, facts, _ = read(path, sampling, "pictures")
        planned, its_facts, way = read(path, sampling, "planned")
        assert planned == whole, name
        assert its_facts == facts, name
        ways += [way] if len(whole) < 100 else []  # a plan for most of the pictures need not be
    assert set(ways) == set(made.way.split())


def test_shots_are_looked_for_in_all_pictures(film: tuple[Path, Film]) -> None:
    whole, facts, _ = read(film[0], SHOTS, "pictures")
    assert read(film[0], SHOTS, "planned") == (whole, facts, "full")


EDITED = {
    "h264": x264("b-pyramid=normal:b-adapt=0:scenecut=0"),
    "hevc": x265("b-adapt=0:scenecut=0"),
    "vp9": Encoding("vp9", gop=50),
    "av1": Encoding("av1", gop=50),
}


@pytest.mark.parametrize("codec", EDITED)
def test_an_edit_list_that_begins_in_the_middle_is_kept(tmp_path: Path, codec: str) -> None:
    path, skipped = tmp_path / "edited.mp4", 80
    write_video(path, moving(300), replace(EDITED[codec], time_base=F(1, 12_800)))
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12  # version, flags and count; then length, media time and rate
    length, begin = struct.unpack_from(">Ii", data, entry)
    struct.pack_into(">Ii", data, entry, length - skipped * 40, begin + skipped * 512)
    path.write_bytes(data)
    for name, sampling in MODES.items():
        whole, facts, _ = read(path, sampling, "pictures")
        assert read(path, sampling, "planned") == (whole, facts, "planned"), name
        assert facts.seconds == pytest.approx(12 - skipped / 25, abs=0.2)


def coded(encoding: Encoding, folder: Path, frames: Iterable[Pixels]) -> list[Packet[VideoStream]]:
    """Packets of a stream that says its parameters in them."""
    write_video(folder / "part.ts", frames, encoding)
    with av.open(str(folder / "part.ts")) as container:
        return [packet for packet in container.demux(container.streams.video[0]) if packet.size]


def without_sets(data: bytes, sets: Container[int], shift: int) -> bytes:
    units = [unit for unit in re.split(b"\0*\0\0\1", data) if unit]
    return b"".join(b"\0\0\0\1" + unit for unit in units if unit[0] >> shift & (31, 63)[shift] not in sets)


@pytest.mark.parametrize(
    ("name", "parts", "sets"),
    [
        (
            "hevc",
            [x265(f"bframes=2:scenecut=0:{how}") for how in ("qp=18", "qp=38:no-signhide=1")],
            (32, 33, 34),
        ),
        (
            "hevc",
            [x265(f"bframes=2:scenecut=0:{how}") for how in ("qp=22", "qp=22:scaling-list=default")],
            (32, 33, 34),
        ),
        (
            "h264",
            [x264(f"cabac=0:scenecut=0:{how}", bframes=0) for how in ("ref=1", "ref=4:8x8dct=1")],
            (7, 8),
        ),
    ],
)
def test_parameters_that_are_said_once_are_not_passed_over(
    tmp_path: Path, name: str, parts: list[Encoding], sets: tuple[int, ...]
) -> None:
    frames, path, base = list(moving(500)), tmp_path / "spliced.ts", 90_000 // 25
    first, second = (
        coded(part, tmp_path, some) for part, some in zip(parts, (frames[:200], frames[200:]), strict=True)
    )
    with av.open(str(path), "w") as container:
        stream = cast(
            VideoStream, container.add_stream({"hevc": "libx265", "h264": "libx264"}[name], rate=25)
        )
        stream.width = stream.height = 96
        stream.time_base = F(1, 90_000)
        for part, begin in ((first, 0), (second, 200)):
            zero = min(packet.pts or 0 for packet in part)
            for number, packet in enumerate(part):
                data = bytes(packet)
                made = Packet(without_sets(data, sets, name == "hevc") if number else data)
                assert packet.pts is not None and packet.dts is not None
                made.pts, made.dts = packet.pts - zero + begin * base, packet.dts - zero + begin * base
                made.time_base, made.is_keyframe, made.stream = F(1, 90_000), packet.is_keyframe, stream
                container.mux(made)
    for fps in (0.1, 0.2, 0.5):
        whole, facts, _ = read(path, Sampling(fps=fps), "pictures")
        assert read(path, Sampling(fps=fps), "planned")[:2] == (whole, facts)


def test_what_is_too_large_to_hold_is_read_twice(
    film: tuple[Path, Film], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, facts, _ = read(film[0], MODES["8 uniform"], "pictures")
    monkeypatch.setattr("extractor.media.timeline.HOLD_BYTES", 1000)
    assert read(film[0], MODES["8 uniform"], "planned") == (whole, facts, film[1].way.split()[0])


def surveyed(
    path: Path, change: Callable[[Timeline], Timeline], sampling: Sampling
) -> tuple[Plan | None, Any]:
    """The plan for a file of which something else is said, and what its decoding gives."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        seen = survey((packet for packet in container.demux(stream) if packet.size), stream)
        found = plan(change(seen.timeline), Choice(sampling), stream, F(0))
        if found is None or seen.held is None:
            return None, None
        try:
            return found, [frame.pts for frame in found.decode(seen.held, stream)]
        except UnmetError as error:
            return found, str(error)


def all_keys(timeline: Timeline) -> Timeline:
    return replace(timeline, is_key=np.ones_like(timeline.is_key))


def as_it_is(timeline: Timeline) -> Timeline:
    return timeline


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "plain.mp4"
    write_video(path, moving(300), x264("scenecut=0", bframes=0))
    return path


def test_no_more_packets_are_decoded_than_from_the_keyframe_to_the_picture(plain: Path) -> None:
    found, pts = surveyed(plain, as_it_is, Sampling(fps=0.2))
    assert found is not None
    decoded = [number for number, act in enumerate(found.acts) if act]
    assert decoded == [0, *range(100, 126), 250]  # a keyframe every 50, a wanted picture every 125
    assert [row.frame for row in found.rows] == [0, 125, 250]
    assert pts == list(found.pts)


def test_where_every_picture_is_wanted_or_times_are_missing_there_is_no_plan(plain: Path) -> None:
    assert surveyed(plain, as_it_is, Sampling(fps=25.0))[0] is None
    changes: tuple[dict[str, Any], ...] = (
        {"is_told": False},
        {"is_sound": False},
        {"is_key": np.zeros(300, bool)},
    )
    for change in changes:
        assert surveyed(plain, partial(changed, change), Sampling())[0] is None


def changed(by: dict[str, Any], timeline: Timeline) -> Timeline:
    return replace(timeline, **by)


def jump(number: int, by_s: float) -> Callable[[Timeline], Timeline]:
    def change(timeline: Timeline) -> Timeline:
        pts = timeline.pts.copy()
        pts[number:] += round(by_s * 512 * 25)
        return replace(timeline, pts=pts)

    return change


def alone(number: int, by_s: float) -> Callable[[Timeline], Timeline]:
    def change(timeline: Timeline) -> Timeline:
        pts = timeline.pts.copy()
        pts[number] += round(by_s * 512 * 25)
        return replace(timeline, pts=pts)

    return change


@pytest.mark.parametrize(
    "change", [jump(100, -1.1), jump(130, -3.5), alone(70, 5.3), alone(70, -1.7), alone(299, -4.3)]
)
def test_wrong_times_are_left_to_the_clock(plain: Path, change: Callable[[Timeline], Timeline]) -> None:
    assert surveyed(plain, change, Sampling())[0] is None


def test_a_keyframe_that_is_none_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, moving(100), Encoding("mpeg4", gop=50, time_base=F(1, 25)))
    found, told = surveyed(path, all_keys, Sampling())
    assert found and told == "a keyframe is none"


def test_a_picture_that_does_not_come_out_is_noticed(plain: Path) -> None:
    def change(timeline: Timeline) -> Timeline:
        is_key = timeline.is_key.copy()
        is_key[60] = True
        return replace(timeline, is_key=is_key)

    found, told = surveyed(plain, change, Sampling(fps=0.4))
    assert found and told in ("a picture did not come out", "a keyframe is none")


def test_a_choice_among_the_pictures_that_matter_is_the_choice_among_all() -> None:
    random = Random(11)
    for _ in range(400):
        times = sorted({F(random.randrange(0, 40_000), random.choice([1000, 90, 1001])) for _ in range(60)})
        end = times[-1] + F(1, 25)
        samplings = [Sampling(fps=random.choice([0.1, 1.0, 3.0, 29.97])), Sampling(points="keyframes")]
        choices = [Choice(each) for each in samplings]
        count = random.randrange(1, 30)
        choices.append(Choice(Sampling(points="uniform", count=count), Scan(tuple(times), end, F(0))))
        keys = {t for t in times if random.random() < 0.2}
        shown = [Shown(t, t, number, is_key=t in keys) for number, t in enumerate(times)]
        for choice in choices:
            near = choice.near(np.array(times, np.float64), np.array([t in keys for t in times]))
            some = (shown[number] for number in near)
            assert list(choice(some, partial(F, end))) == list(choice(iter(shown), partial(F, end)))


def test_an_extraction_starts_a_file_anew_where_its_plan_does_not_hold(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.films.mkdir()
    write_video(shelf.films / "film.mp4", moving(300), FILMS["intra refresh"].encoding)
    age(shelf.films / "film.mp4")
    report = shelf.extract()
    assert report["decoded"] == {"planned": 0, "retried": 1, "full": 0}
    assert report["rows"]["frame"] == 12


SMALL_BYTES = 100_000


def same_of_real_files(media: Path, modes: Mapping[str, Sampling], most_bytes: int) -> Counter[Way]:
    ways: Counter[Way] = Counter()
    for path in sorted((media / "videos").iterdir()):
        if path.suffix == ".jsonl" or LONG in path.name or path.stat().st_size > most_bytes:
            continue
        for mode, sampling in modes.items():
            try:
                whole, facts, _ = read(path, sampling, "pictures")
            except VideoError as error:
                with pytest.raises(VideoError, match=re.escape(str(error))):
                    read(path, sampling, "planned")
                break
            planned, its_facts, way = read(path, sampling, "planned")
            assert (planned, its_facts) == (whole, facts), (path.name, mode)
            ways[way] += 1
    return ways


def test_small_real_files_give_the_same_pictures(media: Path) -> None:
    modes = {name: MODES[name] for name in ("1 fps", "8 uniform", "keyframes")}
    ways = same_of_real_files(media, modes, SMALL_BYTES)
    assert ways["planned"] > ways["full"]


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_every_real_file_gives_the_same_pictures_in_every_mode(media: Path) -> None:
    ways = same_of_real_files(media, {**MODES, "shots": SHOTS}, 1 << 40)
    assert ways["planned"] > 700 and ways["retried"] < 10, ways
