"""Damages files by a seed and reads them: `python -m tests.extractor.fuzz FOLDER FIRST COUNT LIMIT FILE…`.

Writes a line for each seed before it is read and one after, so that whoever waits knows which one it was.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import sys
from hashlib import sha256
from pathlib import Path
from random import Random

from av.video.frame import VideoFrame

from core.errors import VideoError
from core.types import Look, Sampling
from extractor.media.opening import choose_stream, open_container
from extractor.media.packets import Losses, decode, read
from extractor.media.reader import Anew, Reader
from extractor.media.subtitles import Tracks

Seen = tuple[float, float, bytes]  # t, end and pixels of a picture
SAMPLINGS = (
    Sampling(fps=5.0),
    Sampling(fps=1.0),
    Sampling(points="uniform", count=4),
    Sampling(points="keyframes"),
)
# What is planned is the same as all of a full decoding, or differs; that is excused only where the full one
# itself is none to go by: it lost something or says that a picture is damaged, or its pictures hang on what
# the decoder's memory happened to hold, so that they are others as soon as earlier ones are kept.
SAME, DIFFERS, DAMAGED, UNSETTLED = "same", "differs", "damaged", "unsettled"
EXCUSED = DAMAGED, UNSETTLED
MOST_BYTES = 300_000  # of a file that is worth damaging: larger ones only take longer


def damaged(files: list[Path], seed: int) -> tuple[str, bytes]:
    """A file's name and its bytes with some flipped, cut off, cut out, repeated or taken from others."""
    random = Random(seed)
    path = random.choice(files)
    data = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 1, 2, 4))):
        random.choice((_flip, _flip, _flip_head, _cut, _drop, _repeat, _splice))(random, data, files)
    return path.name, bytes(data)


def _flip(random: Random, data: bytearray, files: list[Path]) -> None:
    for _ in range(random.choice((1, 8, 64, 512)) if data else 0):
        data[random.randrange(len(data))] = random.choice((0, 255, random.randrange(256)))


def _flip_head(random: Random, data: bytearray, files: list[Path]) -> None:
    for _ in range(random.choice((1, 4, 16)) if data else 0):
        data[random.randrange(min(len(data), 2048))] = random.randrange(256)


def _cut(random: Random, data: bytearray, _: list[Path]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _drop(random: Random, data: bytearray, _: list[Path]) -> None:
    start = random.randrange(len(data) + 1)
    del data[start : start + random.choice((1, 188, 4096))]


def _repeat(random: Random, data: bytearray, _: list[Path]) -> None:
    start = random.randrange(len(data) + 1)
    data[start:start] = data[start : start + random.choice((1, 188, 4096, len(data)))]


def _splice(random: Random, data: bytearray, files: list[Path]) -> None:
    other = random.choice(files).read_bytes()
    start = random.randrange(len(data) + 1)
    data[start:] = other[random.randrange(len(other) + 1) :]


def outcome(path: Path, sampling: Sampling) -> str:
    """What came of reading a file, decoding all of it and as planned; all but a VideoError is raised."""
    told, whole, has_losses = _read(path, sampling, is_planned=False)
    way, found, _ = _read(path, sampling, is_planned=True)
    # Until when the last one is shown may hang on damage that a plan passes over.
    is_same = [each[::2] for each in found] == [each[::2] for each in whole]
    is_same = is_same and [each[1] for each in found[:-1]] == [each[1] for each in whole[:-1]]
    verdict = SAME if is_same else DAMAGED if has_losses else _excuse(path)
    return f"{way} {verdict} {told}"


def _excuse(path: Path) -> str:
    """Why a decoding of everything, which lost nothing, may still not be what another gives."""
    damage, pictures = _decoded(path, is_kept=False)
    if damage:
        return DAMAGED
    return DIFFERS if pictures == _decoded(path, is_kept=True)[1] else UNSETTLED


def _decoded(path: Path, *, is_kept: bool) -> tuple[int, list[bytes]]:
    """How many pictures are said to be damaged, and all; `is_kept`: none gives its memory to a later one."""
    kept, damage, found = list[VideoFrame](), 0, list[bytes]()
    with open_container(path, b"") as container:
        stream = choose_stream(container, path)
        losses = Losses()
        for frame in decode(read(container, stream, losses, Tracks(container)), stream, losses):
            damage += frame.is_corrupt
            found.append(sha256(frame.to_ndarray().tobytes()).digest())
            if is_kept:
                kept.append(frame)
    return damage, found


def _read(path: Path, sampling: Sampling, *, is_planned: bool) -> tuple[str, list[Seen], bool]:
    found: list[Seen] = []
    try:
        with Reader(path) as reader:
            last = -1.0
            pictures = reader.planned if is_planned else reader.pictures
            for picture in pictures(sampling, Look(size=32)):
                if isinstance(picture, Anew):
                    found, last = [], -1.0
                    continue
                assert last < picture.t <= picture.end, (last, picture.t, picture.end)
                found.append((picture.t, picture.end, picture.pixels.tobytes()))
                last = picture.t
            if is_planned:
                return reader.way, found, False
            lost = reader.facts.lost_packets
            return f"{len(found)} pictures, {lost} lost", found, lost > 0
    except VideoError as error:
        return f"{error.why or 'failed'}: {error}", [], True


def main(folder: Path, first: int, count: int, limit_s: int, files: list[Path]) -> None:
    for seed in range(first, first + count):
        name, data = damaged(files, seed)
        path = folder / name
        path.write_bytes(data)
        sys.stdout.write(f"{seed} {name} ")
        sys.stdout.flush()
        faulthandler.dump_traceback_later(limit_s, exit=True)
        said = outcome(path, SAMPLINGS[seed % len(SAMPLINGS)])
        faulthandler.cancel_dump_traceback_later()
        path.unlink()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sys.stdout.write(f"{peak} MiB peak {resident_mib(os.getpid())} MiB {open_files()} files {said}\n")


def resident_mib(process: int) -> int:
    """What a process has in memory now."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def open_files() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    first, count, limit_s = map(int, sys.argv[2:5])
    main(Path(sys.argv[1]), first, count, limit_s, [Path(name) for name in sys.argv[5:]])
