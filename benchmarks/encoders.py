"""Clips of each family beside its own bare backbone, which sees the same pictures and nothing else, and
beside itself with one clip at a time. Weights are random: they change no time.

python benchmarks/encoders.py [FAMILY …] [--device cuda] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.figures import Bar, Figure, shown
from extractor.encoders import load
from extractor.encoders.base import Encoder, Pace
from extractor.encoders.clip2video import Clip2Video
from extractor.encoders.clip2video_model import PICTURES
from extractor.encoders.trial import trial_pictures

CLIPS = 16
ON_CPU_AT_ONCE = 16  # pictures, as `extract` does
PAIRS, QUICK_PAIRS = 5, 3
TO_BARE = Bar("pictures a second through the encoder ÷ through its bare backbone", 0.8, 0.9)
CLIPS_S = Bar("clips a second", unit="a second")
ON_GPU = Bar(f"{CLIPS} clips together ÷ one at a time", 2.0, 4.0)
ON_CPU = Bar(ON_GPU.what)
Way = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Case:
    """A family's encoder, its backbone alone, and how many pictures make a clip."""

    encoder: Encoder
    prepared: Callable[[Tensor], Tensor]  # pictures as the backbone takes them
    bare: Callable[[Tensor], Tensor]
    pictures: int


def clip2video(device: str, pace: Pace) -> Case:
    """ViT-B/32, and twelve pictures a clip."""
    encoder = load("clip2video", device=device, random_weights=1, pace=pace)
    assert isinstance(encoder, Clip2Video)
    encoder.features(torch.zeros(1, 224, 224, 3, dtype=torch.uint8))  # its precision is settled by the first
    visual = encoder._model.clip.visual
    dtype = next(visual.parameters()).dtype
    return Case(encoder, lambda pictures: encoder.tower.prepared(pictures).to(dtype), visual, PICTURES)


FAMILIES: dict[str, Callable[[str, Pace], Case]] = {"clip2video": clip2video}


def measured(name: str, case: Case, device: str, pairs: int) -> list[Figure]:
    """All ways in turn, so that each meets the same machine."""
    size, count = case.encoder.spec.look.size, CLIPS * case.pictures
    pictures = torch.from_numpy(trial_pictures(size, count)).to(device)
    index = list(np.arange(count).reshape(CLIPS, -1))
    one, batch = [np.arange(case.pictures)], ON_CPU_AT_ONCE if device == "cpu" else count
    encoder, batches, alone = case.encoder, torch.split(pictures, batch), torch.split(pictures, case.pictures)
    prepared = [case.prepared(some) for some in batches]
    ways: dict[str, Way] = {
        "bare": lambda: [case.bare(some) for some in prepared],
        "together": lambda: encoder.clips(torch.cat([encoder.features(some) for some in batches]), index),
        "alone": lambda: [encoder.clips(encoder.features(some), one) for some in alone],
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    with torch.inference_mode():
        for number in range(pairs + 1):
            for way, made in ways.items():
                spent = _seconds(made, device)
                if number:  # the first time memory is new
                    seconds[way].append(spent)
    bare_s, together_s, alone_s = (np.array(seconds[way]) for way in ways)
    return [
        Figure(f"{name}_to_bare", tuple(bare_s / together_s), TO_BARE),
        Figure(f"{name}_clips", tuple(CLIPS / together_s), CLIPS_S),
        Figure(f"{name}_together", tuple(alone_s / together_s), ON_CPU if device == "cpu" else ON_GPU),
    ]


def _seconds(way: Way, device: str) -> float:
    """Of the processor alone, or until a GPU is done."""
    if device == "cpu":
        began = time.process_time()
        way()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    way()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "families", nargs="*", metavar="FAMILY", default=[*FAMILIES], help=", ".join(FAMILIES)
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", default="auto", help="fp32, bf16, fp16 or auto")
    parser.add_argument("--quick", action="store_true", help="fewer pairs")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    asked = parser.parse_args()
    if asked.device == "cpu":
        torch.set_num_threads(1)
    pairs = QUICK_PAIRS if asked.quick else PAIRS
    found = []
    for name in asked.families:
        if name not in FAMILIES:
            parser.error(f"there is no family {name!r}; {', '.join(FAMILIES)} are.")
        found += measured(name, FAMILIES[name](asked.device, Pace(asked.precision)), asked.device, pairs)
    return shown(found, asked.json)


if __name__ == "__main__":
    sys.exit(main())
