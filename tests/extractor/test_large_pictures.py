"""4K and 8K, 8 and 10 bits: what a process that decodes them takes, above what it has before."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from extractor.media.write import ordinary_turns

ROOT = Path(__file__).parents[2]
FRAMES = 10
SHAPES = {"4K": (2160, 3840), "8K": (4320, 7680)}
MOST_GIB = {"4K": 1.0, "8K": 2.0}
CODECS = {  # FFmpeg's encoder, the format of its pictures, what makes it fast
    "h264": ("libx264", "yuv420p", {"preset": "veryfast", "bf": "3", "refs": "4", "x264-params": "log=-1"}),
    "hevc-10": (
        "libx265",
        "yuv420p10le",
        {"preset": "ultrafast", "x265-params": "bframes=3:ref=4:log-level=none"},
    ),
    "av1-10": ("libsvtav1", "yuv420p10le", {"preset": "12", "svtav1-params": "lp=2"}),
}
# Reads as a decoder's process does, under its limit; says how much more it had in the end than before.
CODE = """
import resource, sys, torch
from pathlib import Path
from core.types import Look, Sampling
from extractor.media.fork import limit_memory
from extractor.media.picture import Lens
from extractor.media.reader import Reader

def held(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024

torch.set_num_threads(1)
Path("/proc/self/clear_refs").write_text("5")  # the peak of the imports is not the file's
before = held("VmRSS")
limit_memory(2 << 30)
with Reader(sys.argv[1], thumbs=True) as reader:
    count = sum(1 for _ in reader.pictures(Sampling(fps=30.0), Look(224, **eval(sys.argv[2]))))
print(count, held("VmHWM") - before)
"""


@pytest.fixture(scope="module", params=[(codec, shape) for codec in CODECS for shape in SHAPES])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    codec, shape = request.param
    path = tmp_path_factory.mktemp("large") / f"{codec}-{shape}.mp4"
    write(path, codec, SHAPES[shape])
    return path, shape


def write(path: Path, codec: str, shape: tuple[int, int]) -> None:
    encoder, kind, options = CODECS[codec]
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, (shape[0] // 16, shape[1] // 16, 3), np.uint8)
    with ordinary_turns(), av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=30, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = *shape, kind
        for number in range(FRAMES):
            picture = np.roll(coarse, number, axis=1).repeat(16, axis=0).repeat(16, axis=1)
            frame = VideoFrame.from_ndarray(picture, "rgb24").reformat(format=kind)
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.slow
@pytest.mark.parametrize("look", [{}, {"scale": "swscale", "hdr": "tonemap"}])
def test_large_pictures_take_no_more_than_they_may(film: tuple[Path, str], look: dict[str, str]) -> None:
    path, shape = film
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path), repr(look)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, taken = map(int, done.stdout.split())
    gib = taken / 2**30
    sys.stderr.write(f"{path.stem} {look}: {gib:.2f} GiB\n")
    assert count == FRAMES
    assert gib <= MOST_GIB[shape]
