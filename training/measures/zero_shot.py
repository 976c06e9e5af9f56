"""What a single picture shows, chosen among prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.types import Float32Array
from extractor.world.colours import COLOURS
from extractor.world.drawn import drawn
from extractor.world.scene import Scene, still
from extractor.world.shapes import SHAPES
from extractor.world.unseen import COLOUR_SHAPES
from training.measures.line import Bar, Line, held
from training.measures.plainly import named, numbered
from training.measures.scores import Bits, is_told, told
from training.measures.scores import numbered as places
from training.measures.sight import Sight

_SINGLE, _SEVERAL, _PAIRS = 2000, 1000, 600
_MOST = 4
KINDS = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)


def zero_shot(sight: Sight) -> list[Line]:
    """Colour, shape and number."""
    chance = sight.chance("single")
    single = [still(drawn(chance, False, 1), 0.5) for _ in range(sight.many(_SINGLE))]
    several = [still(drawn(chance, False, 1 + n % _MOST), 0.5) for n in range(sight.many(_SEVERAL))]
    colours, shapes = _named_right(sight, single, sight.pictures(single))
    counts = sight.pictures(several) @ sight.texts([numbered(n + 1) for n in range(_MOST)]).T
    is_small = np.array([scene.things[0].size == "small" for scene in single])
    return [
        *_shares("zero-shot colour", colours, 0.97),
        *_shares("zero-shot shape, medium and large", shapes[~is_small], 0.90),
        *_shares("zero-shot shape, small", shapes[is_small], 0.80),
        held("zero-shot count", told(counts, [len(s.things) - 1 for s in several]), len(several), 0.85),
    ]


def _shares(measure: str, hits: Bits, least: float) -> list[Line]:
    """None of a few pictures where none are of the kind."""
    return [held(measure, float(hits.mean()), len(hits), least)] if len(hits) else []


def pairs(sight: Sight) -> list[Line]:
    """Pairs of colour and shape that no training showed, among all; and their parts in those it showed."""
    new, known = _of_pairs(sight, True), _of_pairs(sight, False)
    rows = sight.pictures(known)
    colours, shapes = (float(each.mean()) for each in _named_right(sight, known, rows))
    note = f"0.80 × colour {colours:.3f} × shape {shapes:.3f} of seen pairs"
    least = 0.80 * colours * shapes
    bar = Bar(least) if least > 1 / len(KINDS) else None  # who knows neither cannot know what they make
    found = _paired(sight, new, sight.pictures(new))
    return [
        Line("held-out colour-shape pairs, of 168", found, len(new), bar, note),
        Line("seen colour-shape pairs, of 168", _paired(sight, known, rows), len(known)),
    ]


def _paired(sight: Sight, scenes: Sequence[Scene], rows: Float32Array) -> float:
    numbers = {kind: number for number, kind in enumerate(KINDS)}
    prompts = sight.texts([named(colour, shape) for colour, shape in KINDS])
    return told(rows @ prompts.T, [numbers[_kind(scene)] for scene in scenes])


def _of_pairs(sight: Sight, is_held: bool) -> list[Scene]:
    chance, found = sight.chance("pairs", is_held), list[Scene]()
    while len(found) < sight.many(_PAIRS):
        scene = still(drawn(chance, False, 1), 0.5)
        if (_kind(scene) in COLOUR_SHAPES) == is_held:
            found.append(scene)
    return found


def _kind(scene: Scene) -> tuple[str, str]:
    return scene.things[0].colour, scene.things[0].shape


def _named_right(sight: Sight, scenes: Sequence[Scene], rows: Float32Array) -> tuple[Bits, Bits]:
    """For scenes of one thing, whether its colour and its shape are."""
    colours = rows @ sight.texts([named(colour=colour) for colour in COLOURS]).T
    shapes = rows @ sight.texts([named(shape=shape) for shape in SHAPES]).T
    things = [scene.things[0] for scene in scenes]
    return (
        is_told(colours, places(list(COLOURS), [thing.colour for thing in things])),
        is_told(shapes, places(list(SHAPES), [thing.shape for thing in things])),
    )
