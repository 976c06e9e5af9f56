"""The scores below which an encoder has found nothing: over films of validation scenes, written as H.264 and
made into rows as `extract` makes them, the best score of questions that have an answer there against that of
everyday sentences.

python -m training.thresholds --encoder NAME --seed N [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core import files
from core.errors import Error
from core.types import Kind
from extractor.encoders import load
from extractor.encoders.base import Encoder
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from extractor.windows import Window, Windows
from extractor.world.chance import Chance
from extractor.world.claims import claim
from extractor.world.film import FPS, Film, film, frames
from extractor.world.grammar import sentence
from extractor.world.scene import still
from training.bank import everyday

Scores = NDArray[np.float32]
SECONDS = 960.0  # of all films, of which every question is asked
_FILM_SECONDS = 240.0
_AT_ONCE = 64  # pictures
_EVERYDAY = 1000
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A threshold, what it does, and how far both can be told apart at all."""

    threshold: float
    told: float  # the share of questions with an answer that reach it
    refused: float  # the share of everyday sentences that do not
    area: float  # under the curve of the one over the other


def threshold_of(right: Scores, wrong: Scores) -> Found:
    """Where the lesser of both shares is greatest, half way to the next score below."""
    edges = np.unique(np.concatenate([right, wrong]))
    told = 1 - np.searchsorted(np.sort(right), edges) / len(right)
    refused = np.searchsorted(np.sort(wrong), edges) / len(wrong)
    best = int(np.minimum(told, refused).argmax())
    threshold = round(float(edges[max(0, best - 1)] + edges[best]) / 2, _DECIMALS)
    ahead = (right[:, None] > wrong).mean() + (right[:, None] == wrong).mean() / 2
    shares = float((right >= threshold).mean()), float((wrong < threshold).mean())
    return Found(threshold, *shares, float(ahead))


@torch.inference_mode()
def measured(encoder: Encoder, seed: int, seconds: float = SECONDS) -> dict[Kind, Found]:
    """For frames and for clips."""
    count = max(1, round(seconds / _FILM_SECONDS))
    films = [film("validation", seed, number, seconds / count) for number in range(count)]
    made = [_rows(encoder, each) for each in films]
    outside = encoder.texts(everyday("validation", seed, _EVERYDAY))
    kinds: tuple[Kind, ...] = ("frame", "clip")
    found: dict[Kind, Found] = {}
    for place, kind in enumerate(kinds):
        rows = torch.cat([each[place] for each in made])
        inside = encoder.texts(_questions(films, seed, is_still=kind == "frame"))
        right, wrong = ((texts @ rows.T).amax(dim=1).numpy(force=True) for texts in (inside, outside))
        found[kind] = threshold_of(right, wrong)
    return found


def _questions(films: list[Film], seed: int, *, is_still: bool) -> list[str]:
    """One about each shot, long or short; about single pictures, without how things move."""
    chance = Chance("validation", seed, "thresholds", is_still)
    scenes = [shot.scene for each in films for shot in each.shots]
    return [sentence(claim(still(each, 0.5) if is_still else each, chance), chance) for each in scenes]


def _rows(encoder: Encoder, shown: Film) -> tuple[Tensor, Tensor]:
    """Of frames and of clips, by the encoder's own sampling."""
    rows: list[list[Tensor]] = [[], []]
    for window in _windows(encoder, shown):
        features = torch.stack(window.features)
        for found, made in zip(rows, (window.frames, window.clips), strict=True):
            found.append(encoder.clips(features, [row.index for row in made]))
    return torch.cat(rows[0]), torch.cat(rows[1])


def _windows(encoder: Encoder, shown: Film) -> Iterator[Window[Tensor]]:
    spec = encoder.spec
    windows: Windows[Tensor] = Windows(spec.sampling)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_video(path, frames(shown), Encoding(fps=FPS))
        with Reader(path) as reader:
            pictures = list(reader.pictures(spec.sampling, spec.look))
    for first in range(0, len(pictures), _AT_ONCE):
        some = pictures[first : first + _AT_ONCE]
        features = encoder.features(torch.from_numpy(np.stack([each.pixels for each in some])))
        for picture, feature in zip(some, features, strict=True):
            yield from windows.push(picture.t, picture.end, feature)
    yield from windows.finish()


def main(argv: list[str] | None = None) -> int:
    """Find and tell them, a line a kind; with --out write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", required=True, help="by its name, as in starter")
    parser.add_argument("--seed", type=int, default=0, help="of validation scenes and sentences")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of all films together")
    parser.add_argument("--out", type=Path, help="a thresholds.json, beside the encoder's weights")
    asked = parser.parse_args(argv)
    try:
        found = measured(load(asked.encoder), asked.seed, asked.seconds)
        if asked.out is not None:
            held = {kind: each.threshold for kind, each in found.items()}
            files.replace_text(asked.out, json.dumps(held) + "\n")
    except Error as error:
        parser.error(str(error))
    for kind, each in found.items():
        sys.stdout.write(json.dumps({"kind": kind, **asdict(each)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
