"""However long a film and however many videos: memory and descriptors stay what they are."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.packet import Packet

from core.store import Store
from core.types import Float32Array, Kind
from extractor.encoders import s3d
from extractor.encoders.convert import converted
from extractor.media.write import Encoding, write_video
from tests.extractor.encoders import tiny_s3d
from tests.extractor.encoders.models import (
    clip2video_state,
    coca_folder,
    in_half,
    videoclip_file,
    videoclip_state,
)
from tests.extractor.shelf import Rows, Shelf, age, outcome, vectors
from tests.extractor.test_cli import run_command
from tests.extractor.watched import Held, watch

HOURS, TINY, MIXED = 10, 10_000, 2_000
MINUTES, PERIOD_S = 40, 10
FEW = 10  # times fewer
MORE_BYTES = 96 << 20  # rows and small pictures until they are committed
LONG_BYTES = 192 << 20  # a million packets: FFmpeg's own list of them, ours, and what is worked out of it
LEAK_BYTES = 16 << 20


def extracted(shelf: Shelf, *flags: str) -> Held:
    process = run_command(shelf, "--workers=1", "--decoders=1", "--allow-failed", *flags)
    held = watch(process)
    assert process.returncode == 0
    seconds = shelf.report()["seconds"]
    sys.stdout.write(f"\n{held}; cpu {seconds['cpu']:.1f} s of {seconds['wall']:.1f} s\n")
    return held


def assert_like(many: Held, few: Held, more_bytes: int) -> None:
    for role in ("command", "worker", "decoder"):
        before, after = few.most[role], many.most[role]
        assert after.memory_bytes < before.memory_bytes + more_bytes, role
        assert after.descriptors <= before.descriptors + 2, role


def fill(shelf: Shelf, videos: list[Path], count: int) -> None:
    """So many files, all different: each ends with a box that says which it is."""
    datas = [video.read_bytes() for video in videos]
    for number in range(count):
        video, data = videos[number % len(videos)], datas[number % len(videos)]
        path = shelf.films / f"{number // 1000}" / f"{number:05}{video.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data + struct.pack(">I4sQ", 16, b"free", number))
        age(path)


def lengthy(path: Path, seconds: int) -> None:
    """Thirty pictures a second, of few bytes each: the packets of ten seconds again and again."""
    part, rate = path.with_name("part.mkv"), 30
    how = Encoding(fps=Fraction(rate), gop=300, options=(("x264-params", "threads=1:log=-1:scenecut=0"),))
    write_video(part, (np.full((36, 64, 3), n % 256, np.uint8) for n in range(10 * rate)), how)
    with av.open(str(part)) as source, av.open(str(path), "w") as container:
        template = source.streams.video[0]
        stream = container.add_stream_from_template(template)
        stream.time_base = Fraction(1, rate)
        packets = [(bytes(packet), packet.is_keyframe) for packet in source.demux(template) if packet.size]
        for number in range(seconds * rate):
            data, is_key = packets[number % len(packets)]
            packet = Packet(data)
            packet.pts = packet.dts = number
            packet.duration, packet.time_base = 1, Fraction(1, rate)
            packet.is_keyframe, packet.stream = is_key, stream
            container.mux(packet)
    part.unlink()
    age(path)


@pytest.mark.slow
@pytest.mark.parametrize("points", ["--fps=0.1", "--points=uniform"])
def test_a_film_of_ten_hours_takes_little_more_memory_than_one_of_one(tmp_path: Path, points: str) -> None:
    held = []
    for hours in (HOURS // FEW, HOURS):
        shelf = Shelf(tmp_path / str(hours))
        shelf.films.mkdir(parents=True)
        lengthy(shelf.films / "long.mp4", hours * 3600)
        held.append(extracted(shelf, points, *(["--count=1000"] if "uniform" in points else [])))
        assert shelf.report()["rows"]["frame"] == (1000 if "uniform" in points else hours * 360)
        assert shelf.report()["decoded"]["planned"] == 1
    assert_like(held[1], held[0], LONG_BYTES)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of forty minutes."""
    path = tmp_path_factory.mktemp("lengthy") / "long.mp4"
    lengthy(path, MINUTES * 60)
    return path


def held_of(shelf: Shelf, kind: Kind) -> Rows:
    """Of the one film: starts, ends and the vectors' bytes."""
    (root,) = (path.parent for path in (shelf.folder / "data").glob("*/store.json"))
    (found,) = (each for (_, of), each in vectors(Store.open(root)).items() if of == kind)
    return found


def rows_of(shelf: Shelf, kind: Kind) -> Float32Array:
    """Of the one film, in order of time."""
    starts, _, held = held_of(shelf, kind)
    assert starts == sorted(starts)
    return np.frombuffer(held, np.float16).reshape(len(starts), -1).astype(np.float32)


def assert_repeats(rows: Float32Array, period: int) -> None:
    """As the film does, and not before."""
    most = np.abs(rows).max()
    assert np.abs(rows[period:] - rows[:-period]).max() <= 2e-3 * most
    assert np.abs(rows[1:] - rows[:-1]).max() > 1e-2 * most


@pytest.mark.slow
def test_forty_minutes_by_videococa_have_a_row_each_second_and_each_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film: Path
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    shelf = Shelf(tmp_path)
    shelf.put(film)
    shelf.extract(f"--encoder=videococa:local-dir:{coca_folder(tmp_path / 'model')}", "--precision=fp32")
    frames, clips = rows_of(shelf, "frame"), rows_of(shelf, "clip")
    assert (len(frames), len(clips)) == (MINUTES * 60, (MINUTES * 60 - 8) // 4 + 1)
    assert_repeats(frames, PERIOD_S)
    assert_repeats(clips, 2 * PERIOD_S // 4)


@pytest.mark.slow
def test_forty_minutes_by_clip2video_have_their_rows_and_by_a_preset_one_clip_of_twelve_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film: Path
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    weights = tmp_path / "pytorch_model.bin.2"
    torch.save(in_half(clip2video_state(9)), weights)
    how = ("--encoder=clip2video", f"--weights={weights}", "--precision=fp32")
    grid, chosen = Shelf(tmp_path / "grid"), Shelf(tmp_path / "preset")
    for shelf in (grid, chosen):
        shelf.put(film)
    grid.extract(*how)
    frames, clips = rows_of(grid, "frame"), rows_of(grid, "clip")
    assert (len(frames), len(clips)) == (MINUTES * 90, (MINUTES * 60 - 8) // 4 + 1)
    assert_repeats(frames, 3 * PERIOD_S // 2)
    assert_repeats(clips, 2 * PERIOD_S // 4)
    chosen.extract(*how, "--preset=clip2video-msvd")
    starts, ends, _ = held_of(chosen, "clip")
    assert (len(starts), len(ends), starts[0]) == (1, 1, 0)
    assert ends[0] == pytest.approx(MINUTES * 60)
    starts, _, _ = held_of(chosen, "frame")
    assert starts == pytest.approx(np.linspace(0, MINUTES * 60, 12).tolist(), abs=1)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # S3D at 30 pictures a second
def test_forty_minutes_by_s3d_have_a_row_each_second_and_each_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film: Path
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(s3d, "LOOK", replace(s3d.LOOK, size=64))  # the net takes any size; length is tried
    shelf, weights = Shelf(tmp_path), tiny_s3d.file(tmp_path / "s3d_howto100m.pth", 3)
    shelf.put(film)
    shelf.extract("--encoder=s3d", f"--weights={weights}", "--precision=fp32")
    frames, clips = rows_of(shelf, "frame"), rows_of(shelf, "clip")
    assert (len(frames), len(clips)) == (MINUTES * 60, (MINUTES * 60 - 8) // 4 + 1)
    assert_repeats(frames, PERIOD_S)
    assert_repeats(clips, 2 * PERIOD_S // 4)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # S3D at 30 pictures a second
def test_forty_minutes_by_videoclip_have_a_row_each_second_among_others_and_each_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocabulary: Path, film: Path
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("CINEDEX_VOCAB", str(vocabulary))
    shelf, weights = Shelf(tmp_path), tmp_path / "videoclip.safetensors"
    shelf.put(film)
    converted(videoclip_file(tmp_path / "checkpoint_best.pt", videoclip_state(5)), weights)
    seconds = tiny_s3d.file(tmp_path / "s3d_howto100m.pth", 3)
    how = (f"--weights={weights}", f"--s3d-weights={seconds}", "--precision=fp32")
    shelf.extract("--encoder=videoclip", *how)
    frames, clips = rows_of(shelf, "frame"), rows_of(shelf, "clip")
    assert (len(frames), len(clips)) == (MINUTES * 60, (MINUTES * 60 - 32) // 16 + 1)
    # Both ends are in one run alone, all others in two, which begin every 16 seconds.
    assert_repeats(frames[16:-16], 8 * PERIOD_S)
    assert_repeats(clips, 8 * PERIOD_S // 16)


@pytest.mark.slow
def test_ten_thousand_tiny_videos_take_little_more_memory_than_some_hundreds(tmp_path: Path) -> None:
    small = []
    for number, (width, height) in enumerate([(64, 64), (160, 90), (320, 180)]):
        pictures = (np.full((height, width, 3), 80 * n, np.uint8) for n in range(1 + number % 2))
        small.append(tmp_path / f"{number}.mp4")
        write_video(small[-1], pictures, Encoding(fps=Fraction(1)))
    held = []
    for count in (TINY // FEW, TINY):
        shelf = Shelf(tmp_path / str(count))
        fill(shelf, small, count)
        held.append(extracted(shelf))
        assert outcome(shelf.report()) == {"done": count}
    assert_like(held[1], held[0], MORE_BYTES)


@pytest.mark.slow
def test_two_thousand_files_of_many_kinds_leave_nothing_behind(
    tmp_path: Path, videos: Path, broken: Path
) -> None:
    whole = [videos / name for name in ("late.mp4", "short.webm", "vfr.mkv", "with-sound.mkv", "rotated.mp4")]
    cut = [tmp_path / f"cut{path.suffix}" for path in whole]
    for path, source in zip(cut, whole, strict=True):
        path.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    bad = [broken / name for name in ("text.mp4", "zeros.mp4", "encrypted.mp4")]
    held = []
    for count in (MIXED // FEW, MIXED):
        shelf = Shelf(tmp_path / str(count))
        fill(shelf, [*whole, *cut, *bad], count)
        held.append(extracted(shelf, "--no-thumbs"))
        assert sum(outcome(shelf.report()).values()) == count
    assert_like(held[1], held[0], LEAK_BYTES)
