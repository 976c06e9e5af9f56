"""What it costs to make an encoder's picture of a decoded one, and how near it comes to Pillow's; by all ways
that `--scale` and `--hdr` offer, and with a thumbnail.

python benchmarks/pictures.py [FOLDER] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median

import av
import numpy as np
import torch
from av.video.frame import VideoFrame
from PIL import Image

from benchmarks.figures import Bar, Figure, exit_code, told, write_json
from benchmarks.outputs import new_file
from core.types import Look
from extractor.media.picture import Lens, Pixels, cropped, fitted
from extractor.media.thumbs import jpeg, tile

SIZE = 224
SHAPES = {
    "360p": (360, 640), "720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840), "8K": (4320, 7680),
}  # fmt: skip
QUICK = ("360p", "720p", "1080p")
BARRED = "1080p"
TO_PILLOW = Bar(f"a picture of {BARRED} ÷ Pillow's, CPU seconds", 1 / 4, 1 / 6, "lower")
GREY = Bar("the most that it is off from Pillow's", 1, 1, "lower", "grey levels")
COSINE = Bar("its cosine to Pillow's, the least", 0.9999, 0.9999, unit="")
PAIRS, QUICK_PAIRS = 9, 5
PAIR_S = 0.15  # of CPU time that each way takes in each pair, at least
FRAMES = 3  # that are taken in turn, so that none is still in the cache
FILES, AT = 40, 5  # of a folder, and which picture of each
NO_NET = (
    "No trained net comes with this project, and random weights cannot tell these ways apart: the cosine\n"
    "below is of pictures, not of features.\n"
)
Way = Callable[[VideoFrame], Pixels]


@dataclass
class Cost:
    """Of one way, in each pair, CPU ms a picture; and its pictures beside Pillow's."""

    ms: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    faults: float = 0.0  # pages that were new to the process, a picture
    most_grey: int = 0
    mean_grey: float = 0.0
    cosine: float = 1.0


def to_image(frame: VideoFrame) -> Pixels:
    """What open_clip's transform does, but for the normalising."""
    image = frame.to_image()  # type: ignore[no-untyped-call]
    height, width = fitted(image.height, image.width, SIZE)
    return cropped(np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)), SIZE)


def with_thumbnail(lens: Lens) -> Way:
    """As every clip stride once."""
    return lambda frame: lens(frame, lambda whole: (jpeg(tile(whole, Fraction(1))), None)[1])


def ways(is_hdr: bool) -> dict[str, Way]:
    """The first is what all others are set beside, the second is the default."""
    found: dict[str, Way] = {
        "Pillow": to_image,
        "torch": Lens(Look(SIZE), None),
        "and thumbnail": with_thumbnail(Lens(Look(SIZE), None)),
        "pillow": Lens(Look(SIZE, scale="pillow"), None),
        "swscale": Lens(Look(SIZE, scale="swscale"), None),
    }
    if is_hdr:
        found["tonemap"] = Lens(Look(SIZE, hdr="tonemap"), None)
    return found


def made(shape: tuple[int, int], kind: str) -> list[VideoFrame]:
    """Smooth colours with grain, so that every scaler has something to get wrong."""
    height, width = shape
    frames = []
    for seed in range(FRAMES):
        random = np.random.default_rng(seed)
        small = random.integers(0, 256, (height // 24 + 1, width // 24 + 1, 3), np.uint8)
        picture = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
        grain = random.integers(-12, 13, (height, width, 1), np.int16)
        levels = np.clip(picture + grain, 0, 255).astype(np.uint8)
        frames.append(VideoFrame.from_ndarray(levels, "rgb24").reformat(format=kind, threads=1))
        if kind != "yuv420p":
            frames[-1].color_trc, frames[-1].color_primaries, frames[-1].colorspace = 16, 9, 9
    return frames


def of_folder(folder: Path) -> list[VideoFrame]:
    """A picture of each video, upright and of square elements, so that Pillow alone makes the same of it."""
    found = []
    for path in islice(sorted(p for p in folder.rglob("*") if p.is_file()), 20 * FILES):
        try:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "NONE"
                *_, frame = islice(container.decode(stream), AT)
                if stream.sample_aspect_ratio in (None, 1) and not frame.rotation:
                    found.append(frame)
        except (av.error.FFmpegError, IndexError, ValueError, AttributeError):  # no video
            continue
        if len(found) >= FILES:
            break
    return found


def measure(frames: Sequence[VideoFrame], found: dict[str, Way], pairs: int) -> dict[str, Cost]:
    """All ways in turn, again and again."""
    costs = {name: Cost() for name in found}
    references = [to_image(frame) for frame in frames]
    for name, way in found.items():
        _compare(costs[name], [way(frame) for frame in frames], references)
    for _ in range(pairs):
        for name, way in found.items():
            costs[name].ms.append(_cpu_ms(way, frames, costs[name]))
            costs[name].ratios.append(costs[name].ms[-1] / costs["Pillow"].ms[-1])
    return costs


def _cpu_ms(way: Way, frames: Sequence[VideoFrame], cost: Cost) -> float:
    count, before, faults = 0, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    while not count or time.process_time() - before < PAIR_S:
        for frame in frames:
            way(frame)
        count += len(frames)
    cost.faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / count
    return (time.process_time() - before) / count * 1000


def _compare(cost: Cost, pictures: list[Pixels], references: list[Pixels]) -> None:
    apart = [np.abs(one.astype(int) - other) for one, other in zip(pictures, references, strict=True)]
    cost.most_grey = max(int(each.max()) for each in apart)
    cost.mean_grey = float(np.mean([each.mean() for each in apart]))
    cost.cosine = min(_cosine(one, other) for one, other in zip(pictures, references, strict=True))


def _cosine(one: Pixels, other: Pixels) -> float:
    """Of the levels as models are given them: about their middle."""
    a, b = (picture.astype(np.float64).ravel() / 255 - 0.45 for picture in (one, other))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def table(title: str, costs: dict[str, Cost]) -> str:
    """For people."""
    lines = [
        f"{title:16} {'CPU ms':>7} {'(from .. to)':>16} {'of Pillow':>10} {'(from .. to)':>15}"
        f" {'grey max':>9} {'mean':>6} {'cosine':>9} {'page faults':>12}"
    ]
    for name, cost in costs.items():
        lines.append(
            f"  {name:14} {median(cost.ms):7.2f} {_spread(cost.ms, 2):>16} {median(cost.ratios):10.3f}"
            f" {_spread(cost.ratios, 3):>15} {cost.most_grey:9d} {cost.mean_grey:6.2f} {cost.cosine:9.6f}"
            f" {cost.faults:12.0f}"
        )
    return "\n".join(lines) + "\n\n"


def _spread(values: list[float], digits: int) -> str:
    return f"({min(values):.{digits}f} .. {max(values):.{digits}f})"


def main() -> int:
    """Print a table a size; the exit status tells whether the default is cheap and near enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="pictures of these videos too")
    parser.add_argument("--quick", action="store_true", help="no larger sizes, and fewer pairs")
    parser.add_argument("--json", type=new_file, help="write the figures there too")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pairs = QUICK_PAIRS if asked.quick else PAIRS
    sys.stdout.write(NO_NET + "\n")
    held: dict[str, dict[str, Cost]] = {}
    for name in QUICK if asked.quick else SHAPES:
        for kind, bits in (("yuv420p", ""), ("yuv420p10le", " 10 bit PQ")):
            held[name + bits] = measure(made(SHAPES[name], kind), ways(bool(bits)), pairs)
            sys.stdout.write(table(name + bits, held[name + bits]))
            sys.stdout.flush()
    if asked.folder:
        frames = of_folder(asked.folder)
        held["folder"] = measure(frames, ways(False), pairs)
        sys.stdout.write(table(f"{len(frames)} real ones", held["folder"]))
    found = _figures(held[BARRED]["torch"])
    for each in found:
        told(each)
    if asked.json:
        write_json(asked.json, found)
    return exit_code(found)


def figures(pairs: int) -> list[Figure]:
    """Those of `BARRED` and the default alone."""
    found = ways(False)
    only = {name: found[name] for name in ("Pillow", "torch")}
    return _figures(measure(made(SHAPES[BARRED], "yuv420p"), only, pairs)["torch"])


def _figures(cost: Cost) -> list[Figure]:
    return [
        Figure("pictures_to_pillow", tuple(cost.ratios), TO_PILLOW),
        Figure("pictures_grey_levels", (float(cost.most_grey),), GREY),
        Figure("pictures_cosine", (cost.cosine,), COSINE),
    ]


if __name__ == "__main__":
    sys.exit(main())
