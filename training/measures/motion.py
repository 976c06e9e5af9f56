"""What only the order of pictures tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.types import Float32Array
from extractor.world.claims import full
from extractor.world.drawn import drawn
from extractor.world.grammar import sentence
from extractor.world.motions import DIRECTIONS, MOTIONS, REVERSED
from extractor.world.scene import Scene, Thing
from training.measures.line import Bar, Line, held
from training.measures.plainly import moving
from training.measures.scores import numbered, sense, told
from training.measures.sight import Sight

_MANY = 400
_WAYS = tuple(DIRECTIONS)


def directions(sight: Sight) -> list[Line]:
    """Where one thing goes, and where a named one of several."""
    single = _single(sight, _WAYS, "direction")
    clips, means = sight.both(single)
    several = _several(sight)
    return [
        held(
            "direction of one object, 8 ways",
            _chosen(sight, clips, single, _WAYS),
            len(single),
            0.95,
            sight.objection,
        ),
        Line("direction of one object, mean of frames", _chosen(sight, means, single, _WAYS), len(single)),
        held(
            "direction of a named object among 2–3, 8 ways",
            _chosen(sight, sight.clips(several), several, _WAYS),
            len(several),
            0.80,
            sight.objection,
        ),
    ]


def motions(sight: Sight) -> list[Line]:
    """Which of the sixteen."""
    single = _single(sight, MOTIONS, "motion")
    found = _chosen(sight, sight.clips(single), single, MOTIONS)
    return [held("16 motions", found, len(single), 0.90, sight.objection)]


def reversal(sight: Sight) -> list[Line]:
    """Clips and the same backwards: a text of each must choose between the two."""
    forth = _single(sight, [motion for motion in MOTIONS if REVERSED[motion] != motion], "reversal")
    back = [scene.reversed() for scene in forth]
    text, other = (_texts(sight, scenes) for scenes in (forth, back))
    (clips, means), (clips_back, means_back) = sight.both(forth), sight.both(back)
    found = sense(clips, clips_back, text, other)
    of_means = sense(means, means_back, text, other)
    count = 2 * len(forth)
    return [
        Line("reversal, mean of frames", of_means, count, Bar(0.45, 0.55)),
        held("reversal, clips", found, count, 0.95, sight.objection),
    ]


def _texts(sight: Sight, scenes: Sequence[Scene]) -> Float32Array:
    """Full captions; drawn alike for what goes forth and what goes back."""
    said = []
    for number, scene in enumerate(scenes):
        chance = sight.chance("reversal", number)
        said.append(sentence(full(scene, chance), chance))
    return sight.texts(said)


def _chosen(sight: Sight, rows: Float32Array, scenes: Sequence[Scene], ways: Sequence[str]) -> float:
    """How often the first thing of a scene does what it is most like, of all ways."""
    scores = np.stack(
        [
            sight.texts([moving(scene.things[0], way) for way in ways]) @ row
            for scene, row in zip(scenes, rows, strict=True)
        ]
    )
    return told(scores, numbered(ways, [scene.things[0].motion for scene in scenes]))


def _single(sight: Sight, ways: Sequence[str], key: str) -> list[Scene]:
    """Of one thing, each way as often as the others."""
    chance, found = sight.chance(key), list[Scene]()
    for number in range(sight.many(_MANY)):
        scene = drawn(chance, False, 1)
        found.append(_doing(scene, [ways[number % len(ways)]]))
    return found


def _several(sight: Sight) -> list[Scene]:
    """Of two or three that can be told apart by colour and shape, and go different ways."""
    chance, found = sight.chance("named"), list[Scene]()
    while len(found) < sight.many(_MANY):
        scene = drawn(chance, False, 2 + len(found) % 2)
        if len({(thing.colour, thing.shape) for thing in scene.things}) == len(scene.things):
            found.append(_doing(scene, chance.some(_WAYS, len(scene.things))))
    return found


def _doing(scene: Scene, ways: Sequence[str]) -> Scene:
    things: list[Thing] = [replace(t, motion=way) for t, way in zip(scene.things, ways, strict=True)]
    return replace(scene, things=tuple(things))
