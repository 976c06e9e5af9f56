"""Whatever is done to a file, reading it ends, in pictures or in a VideoError, and takes no more memory."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from extractor.media.write import Encoding, write_video
from tests.extractor.drawn import numbered
from tests.extractor.fuzz import MOST_BYTES

ROOT = Path(__file__).parents[2]
LIMIT_S = 60  # for a file, not for all of them
MOST_GROWTH_MIB = 400  # between a run's tenth file and its last: codecs' buffers for larger pictures
RARE = {
    "a.flv": Encoding("flv", audio=(Fraction(1), Fraction(2)), audio_codec="aac"),
    "a.ts": Encoding(bframes=2, audio=(Fraction(1), Fraction(2))),
    "a.mpg": Encoding("mpeg2video", time_base=Fraction(1, 25), audio=(Fraction(0), Fraction(2))),
    "a.avi": Encoding("mpeg4", time_base=Fraction(1, 25)),
    "a.mkv": Encoding(),
    "a.mp4": Encoding(bframes=2),
    "a.webm": Encoding("vp9"),
    "a.mxf": Encoding("mpeg2video", time_base=Fraction(1, 25)),
    "a.nut": Encoding("mpeg4", time_base=Fraction(1, 25)),
    "a.asf": Encoding("mpeg4", time_base=Fraction(1, 25)),
    "a.mjpeg": Encoding("mjpeg", time_base=Fraction(1, 25), options=(("strict", "-1"),)),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("made")
    for name, encoding in RARE.items():
        write_video(folder / name, numbered(50), encoding, [Fraction(n, 25) for n in range(50)])
    return sorted(folder.iterdir())


def check(folder: Path, files: list[Path], first: int, count: int) -> None:
    """Read files damaged by `count` seeds in a process of their own."""
    arguments = [str(folder), str(first), str(count), str(LIMIT_S), *map(str, files)]
    told = subprocess.run(
        [sys.executable, "-m", "tests.extractor.fuzz", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    lines = told.stdout.splitlines()
    assert told.returncode == 0, (lines[-1], told.stderr[-2000:])  # the last line holds the seed
    assert len(lines) == count
    used = [int(line.split()[2]) for line in lines]
    assert used[-1] - used[min(10, count - 1)] < MOST_GROWTH_MIB, lines


def test_damaged_files_of_many_containers_end_in_pictures_or_a_refusal(
    tmp_path: Path, made: list[Path]
) -> None:
    check(tmp_path, made, 1, 60)


@pytest.mark.slow
def test_many_damaged_files_of_many_containers_end_so(tmp_path: Path, made: list[Path]) -> None:
    check(tmp_path, made, 1_000, 250)


@pytest.mark.slow
def test_many_damaged_real_files_end_so(tmp_path: Path, media: Path) -> None:
    files = sorted((media / "videos").iterdir())
    check(tmp_path, [path for path in files if 0 < path.stat().st_size < MOST_BYTES], 2_000, 250)
