"""Pictures as a video file leaves them: a film written as H.264, decoded and scaled as `extract` does it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from core.types import Look, Sampling
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from extractor.world.chance import Chance
from extractor.world.claims import claim
from extractor.world.drawn import Split
from extractor.world.film import film, frames, taken
from extractor.world.grammar import sentence
from extractor.world.grounds import Pixels
from extractor.world.scene import still
from training.batches import Batch
from training.labels import labels

FPS = Fraction(3)  # few pictures, all of which are used
_QUALITIES = (18, 22, 26, 30)  # x264's
_SHOT_SECONDS = 2.0


def coded_pictures(split: Split, seed: int, number: int, size: int, side: int) -> Batch:
    """Single pictures out of one film."""
    chance = Chance(split, seed, "coded", number)
    made = film(split, seed, number, float(size / FPS), _SHOT_SECONDS)
    shown = coded(frames(made, FPS), side, chance)
    seen = [still(scene, part) for scene, parts in taken(made, FPS) for part in parts]
    claims = [claim(each, chance) for each in seen]
    captions = [sentence(each, chance) for each in claims]
    return Batch(shown[:, None], captions, claims, seen, labels(seen), [-1] * len(seen))


def coded(pictures: Iterable[Pixels], side: int, chance: Chance) -> Pixels:
    """As many, of another side, after a video file in one of several qualities."""
    how = Encoding(fps=FPS, gop=12, bframes=2, crf=chance.one(_QUALITIES))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_video(path, pictures, how)
        with Reader(path) as reader:
            found = reader.pictures(Sampling(fps=float(FPS)), Look(side))
            return np.stack([picture.pixels for picture in found])
