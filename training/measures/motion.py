"""What only the order of pictures tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.types import Float32Array
from extractor.world.chance import Chance
from extractor.world.claims import full
from extractor.world.drawn import drawn
from extractor.world.grammar import sentence
from extractor.world.motions import DIRECTIONS, MOTIONS, SENSED
from extractor.world.scene import Scene, Thing
from training.measures.line import Bar, Line, held
from training.measures.plainly import moving
from training.measures.scores import numbered, sense, told
from training.measures.sight import Sight

_MANY = 400
WAYS = tuple(DIRECTIONS)


def directions(sight: Sight) -> list[Line]:
    """Where one thing goes, and where a named one of several."""
    alone = single(sight.chance("direction"), sight.many(_MANY), WAYS)
    named = several(sight.chance("named"), sight.many(_MANY))
    clips, means = chosen(sight.texts, sight.both(alone), alone, WAYS)
    (among,) = chosen(sight.texts, [sight.clips(named)], named, WAYS)
    return [
        held("direction of one object, 8 ways", clips, len(alone), 0.95, sight.objection),
        Line("direction of one object, mean of frames", means, len(alone)),
        held("direction of a named object among 2–3, 8 ways", among, len(named), 0.80, sight.objection),
    ]


def motions(sight: Sight) -> list[Line]:
    """Which of the sixteen."""
    alone = single(sight.chance("motion"), sight.many(_MANY), MOTIONS)
    (found,) = chosen(sight.texts, [sight.clips(alone)], alone, MOTIONS)
    return [held("16 motions", found, len(alone), 0.90, sight.objection)]


def reversal(sight: Sight) -> list[Line]:
    """Clips and the same backwards: a text of each must choose between the two."""
    forth = single(sight.chance("reversal"), sight.many(_MANY), SENSED)
    back = [scene.reversed() for scene in forth]
    text, other = (sight.texts(captions(sight.chance, scenes)) for scenes in (forth, back))
    (clips, means), (clips_back, means_back) = sight.both(forth), sight.both(back)
    found = sense(clips, clips_back, text, other)
    of_means = sense(means, means_back, text, other)
    count = 2 * len(forth)
    return [
        Line("reversal, mean of frames", of_means, count, Bar(0.45, 0.55)),
        held("reversal, clips", found, count, 0.95, sight.objection),
    ]


def captions(chance: Callable[[str, int], Chance], scenes: Sequence[Scene]) -> list[str]:
    """Full ones; drawn alike for what goes forth and what goes back."""
    found = []
    for number, scene in enumerate(scenes):
        draws = chance("reversal", number)
        found.append(sentence(full(scene, draws), draws))
    return found


def chosen(
    texts: Callable[[list[str]], Float32Array],
    rows: Sequence[Float32Array],
    scenes: Sequence[Scene],
    ways: Sequence[str],
) -> list[float]:
    """How often the first thing of a scene does what it is most like, of all ways: by the rows of each."""
    said = texts([moving(scene.things[0], way) for scene in scenes for way in ways])
    held = said.reshape(len(scenes), len(ways), -1)
    right = numbered(ways, [scene.things[0].motion for scene in scenes])
    return [told(np.einsum("nmd,nd->nm", held, each), right) for each in rows]


def single(chance: Chance, count: int, ways: Sequence[str]) -> list[Scene]:
    """Of one thing, each way as often as the others."""
    return [_doing(drawn(chance, False, 1), [ways[number % len(ways)]]) for number in range(count)]


def several(chance: Chance, count: int) -> list[Scene]:
    """Of two or three that can be told apart by colour and shape, and go different ways."""
    found: list[Scene] = []
    while len(found) < count:
        scene = drawn(chance, False, 2 + len(found) % 2)
        if len({(thing.colour, thing.shape) for thing in scene.things}) == len(scene.things):
            found.append(_doing(scene, chance.some(WAYS, len(scene.things))))
    return found


def _doing(scene: Scene, ways: Sequence[str]) -> Scene:
    things: list[Thing] = [replace(t, motion=way) for t, way in zip(scene.things, ways, strict=True)]
    return replace(scene, things=tuple(things))
