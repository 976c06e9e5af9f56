"""Whatever is done to a file, reading it ends, in pictures or in a VideoError, and takes no more memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from extractor.media.write import Encoding, write_video
from extractor.work import WAYS
from tests.extractor.drawn import numbered
from tests.extractor.fuzz import DIFFERS, EXCUSED, MOST_BYTES

ROOT = Path(__file__).parents[2]
LIMIT_S = 60  # for a file, not for all of them
MOST_EXCUSED = 0.02  # of what can be read, see `EXCUSED`
WARM = 400  # files, after which a process has all that it keeps
MOST_LEAK_MIB = 32
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


@dataclass(frozen=True)
class Told:
    """What was said of one seed."""

    name: str
    peak_mib: int
    resident_mib: int
    open_files: int
    said: str

    @classmethod
    def of(cls, line: str) -> Told:
        _, name, peak, _, _, resident, _, files, _, said = line.split(maxsplit=9)
        return cls(name, int(peak), int(resident), int(files), said)


def small(media: Path) -> list[Path]:
    """Real videos that are whole, and quick to read: others only take longer, or end at once."""
    rows = map(json.loads, (media / "videos.jsonl").read_text().splitlines())
    good = (row["file"] for row in rows if row["status"] == "ok" and row["bytes"] < MOST_BYTES)
    return sorted(media / "videos" / name for name in good)


def check(folder: Path, files: list[Path], first: int, count: int) -> list[Told]:
    """Read files damaged by `count` seeds in a process of their own."""
    sys.stdout.write(f"seeds {first} to {first + count - 1}\n")
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
    found = [Told.of(line) for line in lines]
    assert found[-1].peak_mib - found[min(10, count - 1)].peak_mib < MOST_GROWTH_MIB, lines
    read = [each.said for each in found if each.said.startswith(WAYS)]
    excused = [said for said in read if said.split()[1] in EXCUSED]
    sys.stdout.write(f"{len(excused)} of {len(read)} differ where no decoding is to be trusted\n")
    assert not [line for line in lines if f" {DIFFERS} " in line]
    assert len(excused) <= MOST_EXCUSED * len(read), excused
    return found


def test_damaged_files_of_many_containers_end_in_pictures_or_a_refusal(
    tmp_path: Path, made: list[Path]
) -> None:
    check(tmp_path, made, 1, 60)


@pytest.mark.slow
def test_many_damaged_files_of_many_containers_end_so(tmp_path: Path, made: list[Path]) -> None:
    check(tmp_path, made, 1_000, 250)


@pytest.mark.slow
def test_many_damaged_real_files_end_so(tmp_path: Path, media: Path) -> None:
    check(tmp_path, small(media), 2_000, 250)


@pytest.mark.slow
def test_neither_memory_nor_descriptors_grow_over_two_thousand_files(
    tmp_path: Path, made: list[Path]
) -> None:
    found = check(tmp_path, made, 10_000, 2_000)
    warm, last = found[WARM:], found[-WARM:]
    assert len({each.open_files for each in warm}) == 1
    grown = max(each.resident_mib for each in last) - max(each.resident_mib for each in warm[:WARM])
    assert grown < MOST_LEAK_MIB, f"{grown} MiB"
