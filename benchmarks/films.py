"""The films that are measured: made once into a folder, since coding takes far longer than reading."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b
from itertools import islice, repeat
from pathlib import Path

import av
import numpy as np

from benchmarks import footage
from extractor.media.picture import Pixels
from extractor.media.write import Encoding, write_video

FPS = Fraction(30)
GOP = 60
_FIRST = (
    30  # frames of the first GOP: else every tenth second would be a keyframe, which costs next to nothing
)
_MP4, _SEED = ".mp4", 7
SPARSE_FPS = 60
_BASES = 20  # tiny videos that are coded; the others hold the same packets
_WAYS = {
    "h264": Encoding("h264", FPS, GOP, bframes=3, crf=23),
    "hevc": Encoding("hevc", FPS, GOP, bframes=3, crf=26, options=(("preset", "superfast"),)),
    "vp9": Encoding("vp9", FPS, GOP, crf=34, options=(("deadline", "good"), ("cpu-used", "5"), ("b", "0"))),
    "av1": Encoding("av1", FPS, GOP, crf=35, options=(("preset", "9"),)),
}
_MOST_LINES = 1080  # that footage is made for; larger pictures are made of its


@dataclass(frozen=True)
class Films:
    """In `folder`, of these real clips or else drawn."""

    folder: Path
    clips: Sequence[Path] = ()
    _lively: list[Path] = field(default_factory=list)

    def film(self, codec: str, lines: int, seconds: int) -> Path:
        """A film of that codec, height and length."""
        path = self.folder / f"{codec}-{lines}p-{seconds}s-{self._of}{_MP4}"
        if not path.exists():
            self._say(path)
            frames = self._footage(lines)
            counts = [count for count in (_FIRST, seconds * int(FPS) - _FIRST) if count]
            parts = [path.with_stem(f"{path.stem}-{number}") for number in range(len(counts))]
            for part, count in zip(parts, counts, strict=True):
                self._write(part, islice(frames, count), _WAYS[codec])
            _remux(parts, path)
            for part in parts:
                part.unlink()
        return path

    def sparse(self, seconds: int) -> Path:
        """A still picture, 60 times a second: as many packets as can be, with next to nothing in them."""
        path = self.folder / f"sparse-{seconds}s{_MP4}"
        if not path.exists():
            self._say(path)
            picture = np.full((90, 160, 3), 90, np.uint8)
            self._write(
                path, repeat(picture, seconds * SPARSE_FPS), Encoding("h264", Fraction(SPARSE_FPS), GOP)
            )
        return path

    def longer(self, path: Path, times: int) -> Path:
        """The same film so many times in a row, without coding it again."""
        long = path.with_stem(f"{path.stem}-x{times}")
        if not long.exists():
            self._say(long)
            _remux([path] * times, long)
        return long

    def copies(self, path: Path, count: int) -> list[Path]:
        """The same film so many times, each of other bytes."""
        found = [path.with_stem(f"{path.stem}-copy{number}") for number in range(count)]
        for number, copy in enumerate(found):
            if not copy.exists():
                _remux([path], copy, comment=f"number {number}")
        return found

    def tiny(self, count: int) -> list[Path]:
        """So many videos of a second, no two of the same bytes."""
        found = [self._tiny / f"{number % 100:02}" / f"{number}{_MP4}" for number in range(count)]
        bases = self._bases()
        if not found[-1].exists():
            self._say(found[-1])
        for number, path in enumerate(found):
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                _remux([bases[number % len(bases)]], path, comment=f"number {number}")
        return found

    def tiny_long(self, count: int) -> Path:
        """The pictures of so many of them in one video."""
        long = self._tiny / f"long-{count}{_MP4}"
        bases = self._bases()
        if not long.exists():
            _remux([bases[number % len(bases)] for number in range(count)], long)
        return long

    @property
    def _tiny(self) -> Path:
        return self.folder / f"tiny-{self._of}"

    def _bases(self) -> list[Path]:
        found = [self._tiny / f"base-{number}{_MP4}" for number in range(_BASES)]
        if not found[-1].exists():
            self._tiny.mkdir(parents=True, exist_ok=True)
            self._say(found[-1])
            source = self._footage(180)
            how = Encoding("h264", FPS, int(FPS), bframes=3, crf=23)
            for base in found:
                self._write(base, islice(source, int(FPS)), how)
        return found

    def still(self, count: int) -> list[Path]:
        """Videos of one picture, each another: what warms a decoder and fills a batch."""
        folder = self.folder / "still"
        folder.mkdir(parents=True, exist_ok=True)
        found = [folder / f"{number}{_MP4}" for number in range(count)]
        for number, path in enumerate(found):
            if not path.exists():
                picture = np.full((180, 320, 3), 40 + 5 * number, np.uint8)
                self._write(path, iter([picture]), Encoding("h264", FPS))
        return found

    @property
    def _of(self) -> str:
        if not self.clips:
            return "drawn"
        names = "\n".join(f"{clip.name} {clip.stat().st_size}" for clip in self.clips)
        return blake2b(names.encode(), digest_size=4).hexdigest()

    def _footage(self, lines: int) -> Iterator[Pixels]:
        if lines > _MOST_LINES:  # what is seen in it does not matter then
            times = lines // _MOST_LINES
            return (frame.repeat(times, 0).repeat(times, 1) for frame in self._footage(_MOST_LINES))
        width = lines * 16 // 9
        if self.clips and not self._lively:
            self._lively.extend(footage.lively(self.clips))
        if self._lively:
            return footage.real(self._lively, width, lines)
        return footage.drawn(_SEED, width, lines)

    def _write(self, path: Path, frames: Iterator[Pixels], how: Encoding) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"draft-{path.name}")
        os.environ.setdefault("SVT_LOG", "1")  # else it tells all that it is
        write_video(draft, frames, how)
        os.replace(draft, path)

    def _say(self, path: Path) -> None:
        sys.stderr.write(f"making {path}\n")


def _remux(parts: Sequence[Path], path: Path, comment: str = "") -> None:
    """The packets of all parts in a row, as they are."""
    draft = path.with_name(f"draft-{path.name}")
    with av.open(str(draft), "w") as out:
        if comment:
            out.metadata["comment"] = comment
        stream, offset = None, 0
        for part in parts:
            with av.open(str(part)) as container:
                source = container.streams.video[0]
                stream = stream or out.add_stream_from_template(source, opaque=True)
                for packet in container.demux(source):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.stream = stream
                    packet.pts += offset
                    packet.dts += offset
                    out.mux(packet)
                offset += source.duration or 0
    os.replace(draft, path)
