"""What no implementation goes below: bare decoding of the packets that are needed, and a bare forward pass.

Which packets those are is found out beforehand and not counted. Opening and demuxing are; nothing is
converted, scaled or handed over, and the model gets tensors that are ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import open_clip
import torch
from av.video.codeccontext import VideoCodecContext

from benchmarks.costs import Cost, cost_of
from benchmarks.worker import BATCH, MODEL
from core.types import Look, Sampling
from extractor.media.clock import time_zero
from extractor.media.opening import choose_stream, open_container
from extractor.media.packets import Losses, VideoPacket, read
from extractor.media.plan import plan
from extractor.media.points import Choice, needs_scan
from extractor.media.reader import Picture, Reader
from extractor.media.subtitles import Tracks
from extractor.media.timeline import survey

_SKIP, _DROP, _LAST = 0, 1, 4  # of a plan's acts
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_LOOK = Look(size=32)


@dataclass(frozen=True, slots=True)
class Needed:
    """Which packets of a file are decoded for so many pictures; no acts: all."""

    path: Path
    acts: bytes
    pictures: int


def needed(path: Path, sampling: Sampling) -> Needed:
    """By the product's own plan, where that turns out to hold."""
    with Reader(path) as reader:
        count = 0
        for found in reader.planned(sampling, _LOOK):
            count = count + 1 if isinstance(found, Picture) else 0
        way = reader.way
    return Needed(path, acts_of(path, sampling) if way == "planned" else b"", count)


def acts_of(path: Path, sampling: Sampling) -> bytes:
    """What a plan does with each packet; nothing where there is none."""
    with open_container(path, b"") as container:
        stream = choose_stream(container, path)
        timeline = survey(read(container, stream, Losses(), Tracks(container)), stream).timeline
        zero = time_zero(container, stream, timeline.first)
        has_scan = needs_scan(sampling)
        scan = timeline.scan(stream, zero, with_times=bool(sampling.preset)) if has_scan else None
        found = plan(timeline, Choice(sampling, scan), stream, zero)
        return found.acts if found else b""


def decode(file: Needed) -> int:
    """Only these packets, by one thread; how many pictures came out, wanted or not."""
    count = 0
    with open_container(file.path, b"") as container:
        stream = choose_stream(container, file.path)
        codec = stream.codec_context
        for number, packet in enumerate(read(container, stream, Losses(), Tracks(container))):
            act = file.acts[number] if file.acts else ~_LAST
            if act == _SKIP:
                continue
            if file.acts:
                codec.skip_frame = "NONREF" if act == _DROP else "DEFAULT"
            count += _decoded(codec, packet)
            if act & _LAST:
                count += _decoded(codec, None)
                codec.flush_buffers()
        if not file.acts:
            count += _decoded(codec, None)
    return count


def _decoded(codec: VideoCodecContext, packet: VideoPacket | None) -> int:
    try:
        return len(codec.decode(packet))
    except av.error.FFmpegError:  # a damaged file is decoded as far as it goes
        return 0


class Bound:
    """A model with random weights, and pictures for it."""

    def __init__(self, precision: str, device: str = "cpu", model: str = MODEL, batch: int = BATCH) -> None:
        name, dtype = model.partition(":")[2], _DTYPES[precision]
        self._visual = open_clip.create_model(name, precision="fp32").eval().visual.to(device, dtype)
        size = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
        self._batch = torch.randn(batch, 3, size, size).to(device, dtype)

    def run(self, files: Sequence[Needed]) -> Cost:
        """Decode them, and then encode as many pictures as are wanted of them."""
        return cost_of(lambda: self._act(files))

    def _act(self, files: Sequence[Needed]) -> int:
        for file in files:
            decode(file)
        pictures = sum(file.pictures for file in files)
        self.forward(pictures)
        return pictures

    @torch.inference_mode()
    def forward(self, pictures: int) -> None:
        """So many, in batches."""
        for first in range(0, pictures, len(self._batch)):
            self._visual(self._batch[: min(len(self._batch), pictures - first)])
