"""The scores below which an encoder has found nothing: over films of validation scenes, written as H.264 and
made into rows as `extract` makes them, the best score of questions that have an answer there against that of
everyday sentences.

python -m training.thresholds --encoder NAME --seed N [--middle SPREADS] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from core import files
from core.errors import Error
from core.types import Float32Array, Kind
from extractor.encoders import load
from extractor.encoders.base import Encoder
from extractor.encoders.thresholds import MIDDLE
from extractor.media.write import Encoding
from extractor.world.chance import Chance
from extractor.world.claims import claim
from extractor.world.film import FPS, Film, film
from extractor.world.grammar import sentence
from extractor.world.scene import still
from training.bank import everyday
from training.filmed import cut, decoded, features, vectors
from training.measures.scores import auc

SECONDS = 960.0  # of all films, of which every question is asked
_FILM_SECONDS = 240.0
_EVERYDAY = 1000
_STEPS = 1000  # places between 0 and 1
_ROUNDING = 1e-5  # of a score, by the order in which its products are added


@dataclass(frozen=True, slots=True)
class Found:
    """A threshold, what it does, and how far both can be told apart at all."""

    threshold: float
    told: float  # the share of questions with an answer that reach it
    refused: float  # the share of everyday sentences that do not
    area: float  # under the curve of the one over the other


def threshold_of(right: Float32Array, wrong: Float32Array) -> Found:
    """Where the lesser of both shares is greatest; of several such places the middle one. None is so near a
    score that rounding decides on which side of it that is, unless all are."""
    scores = np.unique(np.concatenate([right, wrong])).astype(np.float64)
    places = np.arange(round(scores[0] * _STEPS), round(scores[-1] * _STEPS) + 1) / _STEPS
    below, above = (np.searchsorted(scores, places + far) for far in (-_ROUNDING, _ROUNDING))
    places = places[below == above] if (below == above).any() else places
    told = 1 - np.searchsorted(np.sort(right), places) / len(right)
    refused = np.searchsorted(np.sort(wrong), places) / len(wrong)
    lesser = np.minimum(told, refused)
    best = np.flatnonzero(lesser == lesser.max())
    place = best[(len(best) - 1) // 2]
    return Found(float(places[place]), float(told[place]), float(refused[place]), auc(right, wrong))


def measured(encoder: Encoder, seed: int, seconds: float = SECONDS) -> dict[Kind, Found]:
    """For frames and for clips."""
    count = max(1, round(seconds / _FILM_SECONDS))
    films = [film("validation", seed, number, seconds / count) for number in range(count)]
    made = [_vectors(encoder, each) for each in films]
    outside = _texts(encoder, everyday("validation", seed, _EVERYDAY))
    kinds: tuple[Kind, ...] = ("frame", "clip")
    found: dict[Kind, Found] = {}
    for place, kind in enumerate(kinds):
        rows = np.concatenate([each[place] for each in made])
        inside = _texts(encoder, _questions(films, seed, is_still=kind == "frame"))
        right, wrong = ((texts @ rows.T).max(axis=1) for texts in (inside, outside))
        found[kind] = threshold_of(right, wrong)
    return found


def _questions(films: list[Film], seed: int, *, is_still: bool) -> list[str]:
    """One about each shot, long or short; about single pictures, without how things move."""
    chance = Chance("validation", seed, "thresholds", is_still)
    scenes = [shot.scene for each in films for shot in each.shots]
    return [sentence(claim(still(each, 0.5) if is_still else each, chance), chance) for each in scenes]


@torch.inference_mode()
def _texts(encoder: Encoder, texts: list[str]) -> Float32Array:
    return encoder.texts(texts).float().numpy(force=True)


def _vectors(encoder: Encoder, shown: Film) -> tuple[Float32Array, Float32Array]:
    """Of frames and of clips, by the encoder's own sampling."""
    spec = encoder.spec
    times, pictures = decoded(shown, Encoding(fps=FPS), spec.sampling, spec.look)
    frames, clips = cut(times, spec.sampling)
    made = features(encoder, pictures)
    return vectors(encoder, made, frames.index), vectors(encoder, made, clips.index)


def above_zero(said: str) -> float:
    """For argparse, which says the rest."""
    if not 0 < (found := float(said)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{said!r} is not above 0")
    return found


def main(argv: list[str] | None = None) -> int:
    """Find and tell them, a line a kind; with --out write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", required=True, help="by its name, as in starter")
    parser.add_argument("--seed", type=int, default=0, help="of validation scenes and sentences")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of all films together")
    parser.add_argument(
        "--middle",
        type=above_zero,
        help="how far an answer must stand out beside that, in spreads: a number of a store's scale",
    )
    parser.add_argument("--out", type=Path, help="a thresholds.json, beside the encoder's weights")
    asked = parser.parse_args(argv)
    try:
        found = measured(load(asked.encoder), asked.seed, asked.seconds)
        if asked.out is not None:
            held: dict[str, float] = {kind: each.threshold for kind, each in found.items()}
            if asked.middle is not None:
                held[MIDDLE] = asked.middle
            files.replace_text(asked.out, json.dumps(held) + "\n")
    except Error as error:
        parser.error(str(error))
    for kind, each in found.items():
        sys.stdout.write(json.dumps({"kind": kind, **asdict(each)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
