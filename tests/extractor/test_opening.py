"""What is let through to FFmpeg, and what odd files do to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import cast

import av
import pytest
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

from core.errors import VideoError
from core.types import Look, Sampling
from extractor.media import opening, reader, sniff
from extractor.media.reader import Picture, Reader
from extractor.media.write import Encoding, write_video
from tests.extractor.drawn import number_of, numbered

F = Fraction


def read(path: Path, fps: float = 25.0) -> list[Picture]:
    with Reader(path) as opened:
        return list(opened.pictures(Sampling(fps=fps, clip_seconds=1 / fps), Look(size=32)))


def jpegs(folder: Path, count: int) -> list[bytes]:
    found = []
    for number, pixels in enumerate(numbered(count)):
        path = folder / f"{number}.jpg"
        Image.fromarray(pixels).save(path, quality=95)
        found.append(path.read_bytes())
    return found


def told_of(container: InputContainer) -> list[object]:
    told: list[object] = [container.format.name, container.start_time, container.duration, container.metadata]
    for stream in container.streams.video:
        codec = stream.codec_context
        told += [stream.start_time, stream.duration, stream.frames, stream.average_rate, stream.guessed_rate]
        told += [codec.width, codec.height, codec.pix_fmt, codec.profile, codec.reorder_depth]
    return told


@pytest.mark.parametrize("name", ["film.mp4", "film.mov", "film.mkv", "film.ts", "film.avi"])
@pytest.mark.parametrize("bframes", [0, 3])
def test_what_opening_does_not_look_at_changes_nothing_that_it_tells(
    tmp_path: Path, name: str, bframes: int
) -> None:
    path = tmp_path / name
    write_video(path, numbered(12), Encoding(bframes=bframes))
    with opening.open_container(path, sniff.refuse(path)) as ours, av.open(str(path)) as plain:
        assert told_of(ours) == told_of(plain)


def test_pictures_are_as_large_as_they_say_themselves_whatever_their_box_says(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, numbered(12), Encoding(bframes=3))
    with Reader(path) as opened:
        width, height = opened.facts.width, opened.facts.height
    data = bytearray(path.read_bytes())
    at = data.index(b"avc1\0\0\0\0\0\0\0\1") + 28
    assert data[at : at + 4] == width.to_bytes(2) + height.to_bytes(2)
    data[at : at + 4] = (16).to_bytes(2) + (16).to_bytes(2)
    path.write_bytes(data)
    with Reader(path) as opened:
        assert (opened.facts.width, opened.facts.height) == (width, height)


@pytest.mark.parametrize(
    ("head", "is_mov"),
    [
        (b"\0\0\0\x20ftypisom", True),
        (b"\0\0\0\x14ftypjp2 ", False),
        (b"\0\0\0\x14ftypqt  \0\0\0\0moov\0\0\0\0hdlr\0\0\0\0mhlrMPEG", False),
        (b"\x1aE\xdf\xa3", False),
        (b"", False),
    ],
)
def test_what_ffmpeg_is_sure_to_take_for_an_mp4_is_known(head: bytes, is_mov: bool) -> None:
    assert sniff.is_mov(head) == is_mov


@pytest.mark.parametrize("count", [2, 40])
def test_a_raw_mjpeg_is_a_video(tmp_path: Path, count: int) -> None:
    path = tmp_path / "film.mjpeg"
    path.write_bytes(b"".join(jpegs(tmp_path, count)))
    assert [number_of(each.pixels) for each in read(path)] == list(range(count))


def test_a_photo_in_several_parts_is_still(tmp_path: Path) -> None:
    one, two = jpegs(tmp_path, 2)
    index = b"\xff\xe2\x00\x08MPF\0\0\0"
    small = tmp_path / "small.jpg"
    Image.new("RGB", (16, 16)).save(small)
    photos = {
        "alone": one,
        "cut": one[: len(one) // 2],
        "without a suffix of its kind": one + b"\0" * 40,
        "two eyes": one[:2] + index + one[2:] + two,
        "with brightness behind": one + small.read_bytes(),
        "with a film behind": one + b"\0\0\0\x18ftypmp42",
        "film.jpg": one + two,
    }
    for name, data in photos.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(VideoError, match=r"is a picture \(JPEG\)") as caught, Reader(tmp_path / name):
            pass
        assert caught.value.why == "still", name


@pytest.mark.parametrize(
    ("format_", "codec"), [("smjpeg", "mjpeg"), ("roq", "roqvideo"), ("mpjpeg", "mjpeg")]
)
def test_pictures_in_rare_containers_are_read(tmp_path: Path, format_: str, codec: str) -> None:
    path = tmp_path / f"film.{format_}"
    with av.open(str(path), "w", format=format_) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=30))
        stream.width = stream.height = 128
        stream.pix_fmt = "yuvj444p" if format_ == "roq" else "yuvj420p"
        for pixels in numbered(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))
    pictures = read(path, 100.0)
    assert [number_of(each.pixels) for each in pictures] == list(range(30))


def test_what_was_decoded_before_the_container_goes_wrong_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "film.apng"
    first, *others = (Image.fromarray(pixels) for pixels in numbered(12))
    first.save(path, "png", save_all=True, append_images=others, duration=40)
    data = bytearray(path.read_bytes())
    parts = data.split(b"fcTL")
    tag = len(b"fcTL".join(parts[:6]))  # the sixth picture's; no tag at all is "not yet implemented"
    data[tag : tag + 4] = bytes(4)
    path.write_bytes(data)
    with Reader(path) as opened:
        found = list(opened.pictures(Sampling(fps=25, clip_seconds=1 / 25), Look(size=32)))
        assert opened.facts.lost_packets
    assert [number_of(each.pixels) for each in found][:4] == list(range(4))


@pytest.mark.parametrize(
    ("suffix", "codec", "end"), [(".mkv", "h264", 40), (".mkv", "h264", 100), (".flv", "flv", 208)]
)
def test_a_header_that_is_cut_off_is_damage(tmp_path: Path, suffix: str, codec: str, end: int) -> None:
    path = tmp_path / f"cut{suffix}"
    write_video(path, numbered(12), Encoding(codec, time_base=F(1, 25)), [F(n, 25) for n in range(12)])
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(VideoError, match=r"cannot be opened: it is damaged, cut short"), Reader(path):
        pass


def test_no_format_that_names_other_files_is_let_through() -> None:
    allowed = opening.FORMATS.split(",")
    assert len(set(allowed)) == len(allowed)
    naming = (
        "hls dash concat imf sdp rtsp rtp sap lavfi vobsub webm_dash_manifest mlv image2 image2pipe tty data"
    )
    assert not set(allowed) & {*naming.split()}
    assert not [name for name in allowed if name.endswith("_pipe")]


@pytest.mark.parametrize("suffix", [".flv", ".ts", ".mpg"])
def test_a_stream_that_appears_mid_file_does_no_harm(tmp_path: Path, suffix: str) -> None:
    codec = {".flv": "flv", ".ts": "h264", ".mpg": "mpeg2video"}[suffix]
    alone, sounding = tmp_path / f"alone{suffix}", tmp_path / f"sounding{suffix}"
    sound = Encoding(
        codec, time_base=F(1, 25), audio=(F(0), F(2)), audio_codec="aac" if suffix == ".flv" else ""
    )
    write_video(alone, numbered(200), Encoding(codec, time_base=F(1, 25)), [F(n, 25) for n in range(200)])
    write_video(sounding, numbered(50), sound, [F(n, 25) for n in range(50)])
    both = tmp_path / f"both{suffix}"
    both.write_bytes(alone.read_bytes() + sounding.read_bytes()[13 if suffix == ".flv" else 0 :])
    numbers = [number_of(each.pixels) for each in read(both, 5.0)]
    assert numbers[:40] == list(range(0, 200, 5))
    assert suffix == ".ts" or len(numbers) == 50  # there the second's pictures are a stream of their own


def nested(kind: bytes, depth: int) -> bytes:
    return b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + (b"\0\0\0\0" + kind) * depth


@pytest.mark.parametrize("kind", [b"moov", b"trak", b"stsd"])
def test_boxes_nested_without_end_are_just_a_damaged_file(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "nested.mp4"
    path.write_bytes(nested(kind, 5_000))
    with pytest.raises(VideoError, match="damaged, cut short") as caught, Reader(path):
        pass
    assert caught.value.why == ""


def test_a_file_full_of_empty_boxes_is_not_walked_to_its_end() -> None:
    data = BytesIO(b"\0\0\0\x08free" * 300_000)
    assert sum(1 for _ in sniff._boxes(data, 0, 2_400_000)) == 200_000


def test_what_fails_while_opening_leaves_nothing_open(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[av.container.InputContainer] = []

    def kept(path: Path, head: bytes, decoder: str) -> av.container.InputContainer:
        opened.append(opening.open_container(path, head, decoder))
        return opened[-1]

    def fails(*_: object) -> Iterator[None]:
        raise OSError("the disk went away")

    monkeypatch.setattr(reader, "open_container", kept)
    for name in ("choose_stream", "look_ahead", "time_zero", "_facts"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="went away"):
            patch.setattr(reader, name, fails)
            with Reader(videos / "red.mp4"):
                pass
        with pytest.raises(AssertionError, match="not open"), closing(opened[-1]):
            next(opened[-1].demux())
    assert len(opened) == 4


def test_a_head_alone_says_whether_it_was_meant_to_be_a_video(tmp_path: Path) -> None:
    for suffix in (".mjpeg", ".mlv", ".mkv"):
        assert sniff.is_known_video(tmp_path / f"x{suffix}", b"?" * 100)
    assert not sniff.is_known_video(tmp_path / "x.pdf", b"%PDF" * 25)
