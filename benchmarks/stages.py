"""Where CPU seconds go: each stage of extraction by itself over the same film, with a clock around it. What a
whole run costs beyond their sum is handing over, batching and whatever else there is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from torch import Tensor

from benchmarks.bare import Needed, decode, demux, planning
from benchmarks.worker import BATCH
from core.log import Task
from core.store import Store
from core.types import Facts, Look, Place, Sampling, Segment, Source, Thumbs
from core.writer import KindRows, Writer
from extractor.content import content_of
from extractor.encoders.base import Encoder
from extractor.media import picture, sniff
from extractor.media.opening import choose_stream, open_container
from extractor.media.picture import Pixels, Whole
from extractor.media.reader import Picture, Reader
from extractor.windows import Row, Windows


def stages(film: Needed, sampling: Sampling, encoder: Encoder) -> dict[str, float]:
    """CPU seconds by stage, in the order in which a picture goes through them."""
    path = film.path
    hashing = _cpu_s(lambda: content_of(os.fsencode(path)))
    reading = _cpu_s(lambda: planning(path, sampling))
    demuxing = _cpu_s(lambda: demux(path))
    decoding = _cpu_s(lambda: decode(film)) - demuxing
    seen, pictures, thumbs = _seen(path, sampling, encoder)
    features: list[Tensor] = []
    with torch.inference_mode():
        forward = _cpu_s(lambda: features.extend(_features(encoder, pictures)))
        rows: dict[str, tuple[list[Row], Tensor]] = {}
        clips = _cpu_s(lambda: rows.update(_rows(encoder, sampling, pictures, features)))
    writing = _cpu_s(lambda: _write(encoder, sampling, rows, thumbs))
    return {
        "hash": hashing,
        "demux and plan": reading,
        "decode": decoding,
        **seen,
        "forward": forward,
        "clips": clips,
        "write": writing,
    }


def of_small(files: Sequence[Path], sampling: Sampling, look: Look, runs: int) -> dict[str, float]:
    """CPU seconds that each of some small files costs a decoder: each way goes one step further than the one
    before, and what it costs more is told; of each the least of some runs."""
    ways: dict[str, Callable[[Path], object]] = {
        "open": _opened,
        "know": _known,
        "plan": lambda path: planning(path, sampling),
        "decode, convert, scale": lambda path: _read(path, sampling, look, thumbs=False),
        "thumbnail": lambda path: _read(path, sampling, look, thumbs=True),
    }
    least = dict.fromkeys(ways, inf)
    for _ in range(runs):
        for name, act in ways.items():
            least[name] = min(least[name], _cpu_s(lambda act=act: [act(path) for path in files]) / len(files))  # type: ignore[misc]
    ends = list(least.values())
    hashing = min(_cpu_s(lambda: [content_of(os.fsencode(path)) for path in files]) for _ in range(runs))
    steps = zip(least, ends, [0.0, *ends], strict=False)
    return {"hash": hashing / len(files)} | {name: end - before for name, end, before in steps}


def _opened(path: Path) -> None:
    with open_container(path, sniff.refuse(path)) as container:
        choose_stream(container, path)


def _known(path: Path) -> None:
    with Reader(path):
        pass


def _read(path: Path, sampling: Sampling, look: Look, *, thumbs: bool) -> None:
    with Reader(path, thumbs=thumbs) as reader:
        for _ in reader.planned(sampling, look):
            pass


def _cpu_s(act: Callable[[], object]) -> float:
    before = time.process_time()
    act()
    return time.process_time() - before


class _Clocked(picture.Lens):
    """Does each of its parts with a clock."""

    seconds: dict[str, float]  # set below, for one run
    _plain: VideoReformatter | None = None

    def __call__(self, frame: VideoFrame, also: Callable[[Whole], None] | None = None) -> Pixels:
        self._plain = plain = self._plain or VideoReformatter()
        see, found = super().__call__, list[Pixels]()
        convert = _cpu_s(lambda: plain.reformat(frame, format="rgb24", threads=1))
        alone = _cpu_s(lambda: found.append(see(frame)))
        self.seconds["convert"] += convert
        self.seconds["scale"] += alone - convert
        if also is not None:
            self.seconds["thumbs"] += _cpu_s(lambda: see(frame, also)) - alone
        return found[0]


def _seen(path: Path, sampling: Sampling, encoder: Encoder) -> tuple[dict[str, float], list[Picture], Thumbs]:
    seconds = dict.fromkeys(("convert", "scale", "thumbs"), 0.0)
    lens = type("_Lens", (_Clocked,), {"seconds": seconds})
    with Reader(path, thumbs=True) as reader, patch.object(picture, "Lens", lens):
        found = [each for each in reader.planned(sampling, encoder.spec.look) if isinstance(each, Picture)]
    return seconds, found, reader.thumbs


def _features(encoder: Encoder, pictures: Sequence[Picture]) -> list[Tensor]:
    found: list[Tensor] = []
    for first in range(0, len(pictures), BATCH):
        batch = np.stack([each.pixels for each in pictures[first : first + BATCH]])
        found.extend(encoder.features(torch.from_numpy(batch)))
    return found


def _rows(
    encoder: Encoder, sampling: Sampling, pictures: Sequence[Picture], features: Sequence[Tensor]
) -> dict[str, tuple[list[Row], Tensor]]:
    windows: Windows[Tensor] = Windows(sampling)
    ready = []
    for each, feature in zip(pictures, features, strict=True):
        ready += windows.push(each.t, each.end, feature, each.shot)
    found: dict[str, tuple[list[Row], Tensor]] = {}
    for window in [*ready, *windows.finish()]:
        held = torch.stack(window.features)
        for kind, rows in (("frame", window.frames), ("clip", window.clips)):
            if rows:
                vectors = encoder.clips(held, [row.index for row in rows])
                before = found.get(kind, ([], vectors[:0]))
                found[kind] = ([*before[0], *rows], torch.cat([before[1], vectors]))
    return found


def _write(
    encoder: Encoder, sampling: Sampling, rows: dict[str, tuple[list[Row], Tensor]], thumbs: Thumbs
) -> None:
    with TemporaryDirectory() as folder:
        writer = Writer(Store.create(Path(folder) / "store", encoder.spec, sampling))
        held: KindRows = {
            kind: (  # type: ignore[misc]
                [Segment("v-0", row.start, row.end) for row in given],
                vectors.to("cpu", torch.float32).numpy(),
            )
            for kind, (given, vectors) in rows.items()
        }
        writer.add(Task(Place("bench", b"film"), 0), Source("v-0"), held, Facts(), thumbs=thumbs)
        writer.commit()
