"""Moments of longer films: the clip that a text finds first, among all of its film."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from core.types import Float32Array
from extractor.world.chance import Chance
from extractor.world.claims import full
from extractor.world.film import SHOT_SECONDS, Film, film, there_and_back
from extractor.world.grammar import sentence
from extractor.world.query import satisfying
from training.filmed import Span
from training.measures.line import Line, held
from training.measures.scores import first_is_right
from training.measures.sight import Sight

_SHOTS, _LONG, _RETURNS = 40, 6, 100


def moments(sight: Sight) -> list[Line]:
    """In films of many shots; and in those of one thing that goes there and back."""
    seconds = _SHOTS * SHOT_SECONDS
    long = (film(sight.split, sight.seed, n, seconds) for n in range(_count(sight, _LONG)))
    back = (
        there_and_back(sight.split, sight.seed, n, 2 * SHOT_SECONDS) for n in range(_count(sight, _RETURNS))
    )
    found, returned = _found(sight, long, "long"), _found(sight, back, "there and back")
    return [
        held(f"films of {_SHOTS} shots, moment first", float(np.mean(found)), len(found), 0.90),
        held(
            "one object there and back, moment first",
            float(np.mean(returned)),
            len(returned),
            0.80,
            sight.objection,
        ),
    ]


def _count(sight: Sight, whole: int) -> int:
    return max(1, round(whole * sight.size))


def _found(sight: Sight, films: Iterable[Film], key: str) -> list[bool]:
    """For each text that is true of one shot alone, whether its moment is first."""
    found = list[bool]()
    for number, made in enumerate(films):
        spans, rows = sight.film(made, number)
        found += _of_film(sight, made, spans, rows, sight.chance("moments", key, number))
    return found


def _of_film(
    sight: Sight, made: Film, spans: list[Span], rows: Float32Array, chance: Chance
) -> Iterable[bool]:
    scenes = [shot.scene for shot in made.shots]
    for shot in made.shots:
        claim = full(shot.scene, chance)
        (text,) = sight.texts([sentence(claim, chance)])
        if len(satisfying(claim, scenes)) == 1:
            yield first_is_right(rows @ text, spans, (shot.start, shot.end))
