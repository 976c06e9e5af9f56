"""The reader: at each time the picture that a player shows, at its exact time; and what is refused."""

from __future__ import annotations

import ast
import ctypes
import os
import re
import shutil
import struct
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random

import av
import pytest

from core.errors import VideoError
from core.types import Look, Sampling
from extractor.media.opening import open_container
from extractor.media.reader import Picture, Reader
from extractor.media.write import Encoding, write_video
from tests.extractor.drawn import number_of, numbered

F = Fraction
NOUGHT = F(0)
LOOK = Look(size=32)
ROOT = Path(__file__).parents[2]


def read(path: Path, fps: float = 1.0) -> list[Picture]:
    with Reader(path) as reader:
        return list(reader.pictures(Sampling(fps=fps, clip_seconds=1 / fps), LOOK))


@dataclass(frozen=True)
class Made:
    """A file to write: its pictures' times, and FFmpeg's time of our zero where it is known beforehand."""

    suffix: str
    encoding: Encoding
    times: list[Fraction]
    zero: Fraction | None = None


def even(count: int, fps: Fraction, start: Fraction = NOUGHT) -> list[Fraction]:
    return [start + n / fps for n in range(count)]


def uneven(count: int, step: Fraction, start: Fraction = NOUGHT) -> list[Fraction]:
    """Gaps of 5 ms to 1.5 s, in whole steps."""
    random = Random(7)
    times = [start]
    for _ in range(count - 1):
        times.append(times[-1] + random.choice([F(5, 1000), F(1, 25), F(1, 10), F(3, 2)]) // step * step)
    return times


MS, TS = F(1, 1000), F(1, 90_000)
PCM = "pcm_s16le"
CASES = {
    "mp4": Made(".mp4", Encoding(), even(120, F(25)), F(0)),
    "mp4 ntsc with b-frames": Made(".mp4", Encoding(bframes=3), even(120, F(30_000, 1001)), F(0)),
    "mp4 vfr": Made(".mp4", Encoding(bframes=2), uneven(60, TS), F(0)),
    "mp4 late": Made(".mp4", Encoding(bframes=2), even(50, F(25), F(10)), F(0)),
    "mp4 sound earlier": Made(".mp4", Encoding(audio=(F(0), F(4))), even(50, F(25), F(3, 2)), F(0)),
    "mp4 hevc": Made(".mp4", Encoding("hevc", bframes=3), even(60, F(25)), F(0)),
    "mp4 av1": Made(".mp4", Encoding("av1"), even(60, F(25)), F(0)),
    "mov vfr": Made(".mov", Encoding(), uneven(60, TS, F(1, 4)), F(0)),
    "mkv vfr": Made(".mkv", Encoding(bframes=2), uneven(60, MS), F(0)),
    "mkv late": Made(".mkv", Encoding(), even(60, F(25), F(2)), F(2)),
    "mkv sound earlier": Made(
        ".mkv", Encoding(audio=(F(1, 2), F(4)), audio_codec=PCM), even(60, F(25), F(1)), F(1, 2)
    ),
    "mkv sound later": Made(
        ".mkv", Encoding(bframes=2, audio=(F(3), F(5)), audio_codec=PCM), even(60, F(25), F(1)), F(1)
    ),
    "webm vp9 vfr": Made(".webm", Encoding("vp9"), uneven(60, MS), F(0)),
    "webm vp8": Made(".webm", Encoding("vp8"), even(60, F(25)), F(0)),
    "ts": Made(".ts", Encoding(bframes=2), even(60, F(25), F(7))),
    "ts sound earlier": Made(".ts", Encoding(bframes=2, audio=(F(1), F(4))), even(60, F(25), F(2))),
    "ts vfr": Made(".ts", Encoding(bframes=2), uneven(60, TS)),
    "ts mpeg-2": Made(".ts", Encoding("mpeg2video", bframes=2, time_base=F(1, 25)), even(60, F(25))),
    "avi": Made(".avi", Encoding("mpeg4", time_base=F(1, 25)), even(60, F(25)), F(0)),
}


def first_times(path: Path) -> dict[str, Fraction]:
    """The earliest packet time of each kind of stream, as the file says it."""
    found: dict[str, Fraction] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None:
                t = packet.pts * packet.time_base
                found[packet.stream.type] = min(t, found.get(packet.stream.type, t))
    return found


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    case = CASES[request.param]
    path = tmp_path_factory.mktemp("made") / f"made{case.suffix}"
    write_video(path, numbered(len(case.times)), case.encoding, case.times)
    return path, case


@pytest.mark.parametrize("fps", [1.0, 3.0, 10.0, 29.97, 100.0, 0.3])
def test_the_picture_at_a_time_is_the_one_a_player_shows_then(made: tuple[Path, Made], fps: float) -> None:
    path, case = made
    said = first_times(path)
    zero = min(said.values()) if case.zero is None else case.zero
    times = [t - case.times[0] + said["video"] - zero for t in case.times]
    if case.zero is not None:  # the file holds what was asked for
        assert times == [t - zero for t in case.times]
    pictures = read(path, fps)
    step = 1 / F(repr(fps))
    seen = [max(0, bisect_right(times, n * step) - 1) for n in range(int(times[-1] / step) + 1)]
    # a last grid point may still lie in the time of the last picture, which only the file knows
    expected = list(dict.fromkeys(seen))
    numbers = [number_of(picture.pixels) for picture in pictures]
    assert numbers[: len(expected)] == expected
    assert numbers[len(expected) :] in ([], [len(times) - 1])
    assert [picture.t for picture in pictures] == [float(times[number]) for number in numbers]


def test_rows_last_to_the_next_or_for_a_step_but_not_over_the_end(made: tuple[Path, Made]) -> None:
    path, case = made
    with Reader(path) as reader:
        pictures = list(reader.pictures(Sampling(fps=2.0), LOOK))
        seconds = reader.facts.seconds
    for row, following in pairwise(pictures):
        assert row.end == pytest.approx(min(max(following.t, row.t + 0.5), seconds), abs=1e-12)
    last = pictures[-1]
    after = number_of(last.pixels) + 1
    gone = pictures[0].t + float(case.times[after] - case.times[0]) if after < len(case.times) else seconds
    assert last.end == pytest.approx(min(max(gone, last.t + 0.5), seconds), abs=1e-9)


def test_the_zero_of_a_file_is_a_fact(made: tuple[Path, Made]) -> None:
    path, case = made
    with Reader(path) as reader:
        assert reader.facts.zero_s == float(
            min(first_times(path).values()) if case.zero is None else case.zero
        )


def test_facts_come_from_the_container_without_decoding(videos: Path) -> None:
    with Reader(videos / "rotated.mp4") as reader:
        facts = reader.facts
    assert (facts.width, facts.height, facts.codec, facts.frame_rate) == (160, 90, "h264", "10")
    assert facts.seconds == 4.0
    assert facts.size == (videos / "rotated.mp4").stat().st_size


def test_facts_after_reading_hold_the_rotation(videos: Path) -> None:
    with Reader(videos / "rotated.mp4") as reader:
        list(reader.pictures(Sampling(), LOOK))
        assert reader.facts.rotation == 90


def test_pictures_can_be_read_twice(videos: Path) -> None:
    with Reader(videos / "with-sound.mkv") as reader:
        first, second = ([p.t for p in reader.pictures(Sampling(), LOOK)] for _ in range(2))
    assert first == second == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("codec", ["h264", "av1", "vp9"])
def test_pictures_that_an_edit_list_takes_away_are_not_shown(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "cut.mp4"
    write_video(path, numbered(60), Encoding(codec, gop=30), even(60, F(25)))
    cut_at_start(path, F(10, 25))
    pictures = read(path, 25.0)
    assert [number_of(picture.pixels) for picture in pictures] == list(range(10, 60))
    assert [picture.t for picture in pictures] == [n / 25 for n in range(50)]


def cut_at_start(path: Path, seconds: Fraction) -> None:
    """Let the edit list of an mp4 begin later."""
    data = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", data, data.index(b"mdhd") + 4 + 12)[0]
    at = data.index(b"elst") + 4 + 8 + 4
    struct.pack_into(">i", data, at, struct.unpack_from(">i", data, at)[0] + int(seconds * scale))
    path.write_bytes(data)


def damage(path: Path, start: float, end: float) -> None:
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * start), int(len(data) * end)
    data[first:last] = bytes(Random(3).randbytes(last - first))
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "h264"), (".mkv", "h264"), (".webm", "vp9"), (".ts", "h264")]
)
def test_a_damaged_middle_costs_its_pictures_only(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"damaged{suffix}"
    write_video(path, numbered(200), Encoding(codec, gop=10), even(200, F(25)))
    damage(path, 0.4, 0.5)
    with Reader(path) as reader:
        pictures = list(reader.pictures(Sampling(fps=5.0), LOOK))
        if suffix == ".mp4":  # it alone still finds the packets; the others look for the next sound place
            assert reader.facts.lost_packets > 0
    good = [picture for picture in pictures if picture.t < 2.5 or picture.t > 5.0]
    assert len(good) >= 20
    for picture in good:
        assert number_of(picture.pixels) == pytest.approx(picture.t * 25, abs=1e-6)


def test_times_never_step_back_or_repeat(made: tuple[Path, Made]) -> None:
    times = [picture.t for picture in read(made[0], 30.0)]
    assert times == sorted(set(times))


SAYS = {
    "empty.mp4": ("", "empty.mp4 is empty (0 bytes)."),
    "text.mp4": ("not_video", "text.mp4 is text, not a video."),
    "truncated.mp4": ("", "truncated.mp4 cannot be opened: it is damaged, cut short or of an unknown kind."),
    "zeros.mp4": ("", "zeros.mp4 cannot be opened: it is damaged, cut short or of an unknown kind."),
    "sound.m4a": ("not_video", "sound.m4a has only sound, no video."),
    "encrypted.mp4": ("", "encrypted.mp4 is encrypted."),
    "picture.png": ("still", "picture.png is a picture (PNG), not a video."),
    "absent.mp4": ("", "absent.mp4 cannot be read: No such file or directory."),
    **{
        name: (
            "not_video",
            f"{name} is a playlist: it names other files and is not opened; give those files.",
        )
        for name in ("playlist.m3u8", "concat.txt", "playlist.mp4")
    },
}


@pytest.mark.parametrize("name", SAYS)
def test_what_is_no_video_is_refused_in_one_sentence(broken: Path, name: str) -> None:
    with pytest.raises(VideoError) as caught, Reader(broken / name):
        pass
    assert (caught.value.why, str(caught.value)) == SAYS[name]


def test_a_picture_that_is_a_gif_is_still_and_an_animation_is_not(tmp_path: Path) -> None:
    for count in (1, 2):
        with av.open(str(tmp_path / f"{count}.gif"), "w") as container:
            stream = container.add_stream("gif", rate=10)
            stream.width = stream.height = 128
            stream.pix_fmt = "rgb8"
            for pixels in numbered(count):
                container.mux(
                    stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="rgb8"))
                )
            container.mux(stream.encode(None))
    with pytest.raises(VideoError) as caught, Reader(tmp_path / "1.gif"):
        pass
    assert caught.value.why == "still"
    assert [number_of(picture.pixels) for picture in read(tmp_path / "2.gif", 10.0)] == [0, 1]


def test_an_unreadable_file_is_refused(tmp_path: Path, videos: Path) -> None:
    with pytest.raises(VideoError, match="is not a plain file"), Reader(tmp_path):
        pass
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match=r"pipe\.mp4 is not a plain file"), Reader(tmp_path / "pipe.mp4"):
        pass


def test_tags_in_no_known_spelling_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "tagged.mkv"
    write_video(path, numbered(10), Encoding())
    path.write_bytes(path.read_bytes().replace(b"Lavf", b"\xff\xfe\xfd\xfc"))
    assert len(read(path, 25.0)) == 10


@pytest.mark.parametrize("name", [b"concat:a|b.mp4", b"http:x.mp4", b"caf\xe9.mp4", b"%03d.mp4", b"-i.mp4"])
def test_any_file_name_is_just_a_name(tmp_path: Path, videos: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    shutil.copy(videos / "red.mp4", path)
    assert len(read(path)) == 10


class Watch:
    """Says whether anyone opens a file (inotify)."""

    IN_OPEN, IN_NONBLOCK = 0x20, 0o4000

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(self.IN_NONBLOCK)
        assert libc.inotify_add_watch(self._descriptor, os.fsencode(path), self.IN_OPEN) >= 0

    def was_opened(self) -> bool:
        try:
            return bool(os.read(self._descriptor, 4096))
        except BlockingIOError:
            return False
        finally:
            os.close(self._descriptor)


LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "dash": '<?xml version="1.0"?>\n<MPD type="static"><Period><BaseURL>{}</BaseURL></Period></MPD>\n',
    "hls behind a binary start": "\0\0\0\0#EXTM3U\n#EXTINF:10,\n{}\n",
}


@pytest.mark.parametrize("suffix", [".m3u8", ".mp4", ".ffconcat", ".mpd"])
@pytest.mark.parametrize("kind", LISTS)
def test_nothing_of_a_file_that_a_list_names_is_read(
    tmp_path: Path, videos: Path, kind: str, suffix: str
) -> None:
    target = tmp_path / "target.mp4"
    shutil.copy(videos / "red.mp4", target)
    (tmp_path / f"list{suffix}").write_text(LISTS[kind].format(target.name))
    watch = Watch(target)
    with pytest.raises(VideoError), Reader(tmp_path / f"list{suffix}"):
        pass
    assert not watch.was_opened()


@pytest.mark.parametrize("kind", ["hls", "concat", "dash"])
def test_the_formats_that_are_let_through_would_refuse_a_list_too(
    tmp_path: Path, videos: Path, kind: str
) -> None:
    target = tmp_path / "target.mp4"
    shutil.copy(videos / "red.mp4", target)
    (tmp_path / "list.m3u8").write_text(LISTS[kind].format(target.name))
    watch = Watch(target)
    with pytest.raises(VideoError):
        open_container(tmp_path / "list.m3u8", b"")
    assert not watch.was_opened()


def test_the_watch_sees_an_open(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    watch = Watch(tmp_path / "x")
    (tmp_path / "x").read_bytes()
    assert watch.was_opened()


def test_no_code_of_ours_touches_the_log_of_ffmpeg(tmp_path: Path) -> None:
    """Python callbacks for FFmpeg's log together with threads in a decoder lock up on corrupt files."""
    for package in ("core", "extractor", "index", "server", "client"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                named = (
                    ast.unparse(node) if isinstance(node, ast.Attribute | ast.Import | ast.ImportFrom) else ""
                )
                assert not re.search(r"\bav\.logging\b|from av import .*logging", named), path
    path = tmp_path / "corrupt.mp4"
    write_video(path, numbered(100), Encoding(gop=10), even(100, F(25)))
    damage(path, 0.3, 0.6)
    assert read(path)
    assert av.logging.get_level() is None


def test_files_are_decoded_without_threads(videos: Path) -> None:
    with Reader(videos / "red.mp4") as reader:
        codec = reader._at_start().stream.codec_context
        assert (codec.thread_type.name, codec.thread_count) == ("NONE", 1)
