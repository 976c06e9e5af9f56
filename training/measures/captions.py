"""What an encoder writes of clips of one thing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from extractor.world.drawn import drawn
from extractor.world.lexicon import COLOUR_WORDS, GROUND_WORDS, PLACE_WORDS, SHAPE_WORDS, WHERE_TO
from training.measures.line import Line, held
from training.measures.sight import Sight

_SINGLE = 400
_ELSEWHERE = tuple(  # colours and shapes are among these words too, and mean no thing
    text for table in (GROUND_WORDS, WHERE_TO, PLACE_WORDS) for texts in table.values() for text in texts
)
_SHAPES = {shape: [form for forms in held for form in forms] for shape, held in SHAPE_WORDS.items()}


def captioned(sight: Sight) -> list[Line]:
    """Whether captions name a thing's colour and its shape, and no others; nothing of who writes none."""
    if not sight.writes:
        return []
    chance = sight.chance("captions")
    scenes = [drawn(chance, False, 1) for _ in range(sight.many(_SINGLE))]
    told = [names_in(text) for text in sight.captions(scenes)]
    things = [scene.things[0] for scene in scenes]
    colours = np.array([found[0] == {thing.colour} for found, thing in zip(told, things, strict=True)])
    shapes = np.array([found[1] == {thing.shape} for found, thing in zip(told, things, strict=True)])
    return [
        held("captions of one thing, colour and shape", float((colours & shapes).mean()), len(told), 0.80),
        Line("captions of one thing, colour", float(colours.mean()), len(told)),
        Line("captions of one thing, shape", float(shapes.mean()), len(told)),
    ]


def names_in(caption: str) -> tuple[set[str], set[str]]:
    """The colours and the shapes of things that a caption speaks of."""
    text = _without(caption, _ELSEWHERE)
    return _among(text, COLOUR_WORDS), _among(text, _SHAPES) - {""}


def _without(text: str, phrases: Iterable[str]) -> str:
    return re.sub(_any_of(phrases), " ", text)


def _among(text: str, words: Mapping[str, Iterable[str]]) -> set[str]:
    """Whose words are there, the longest first: a “six-sided shape” is no other shape."""
    of = {word: name for name, several in words.items() for word in several}
    return {of[word] for word in re.findall(_any_of(of), text)}


def _any_of(phrases: Iterable[str]) -> str:
    ordered = sorted(phrases, key=len, reverse=True)
    return rf"\b(?:{'|'.join(map(re.escape, ordered))})\b"
