"""Texts that look for one scene in a thousand, and scenes for their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from core.types import Float32Array
from evaluation.retrieval import retrieval
from extractor.world.claims import short
from extractor.world.colours import COLOURS
from extractor.world.drawn import drawn
from extractor.world.grammar import sentence
from extractor.world.query import Named, Query, satisfying
from extractor.world.scene import Scene, still
from extractor.world.shapes import SHAPES
from training.gallery import Shown, hard_gallery, resting_gallery
from training.measures.line import Bar, Line, held
from training.measures.plainly import named
from training.measures.scores import any_among, precision, told
from training.measures.sight import Sight

FOR_PICTURES = "the bar is for encoders of pictures alone"
_GROUPS, _OF_GROUP = 125, 8
_MIXED = 3000  # scenes, so that more than ten of most kinds are among them
_FIRST = 10
_OF_WRITERS = 0.75  # R@1, of what was trained to write captions too
_RED_CIRCLE = ("red", "circle")


def retrieved(sight: Sight) -> list[Line]:
    """Pictures, clips by what they look like, and clips by what happens in them."""
    (frames, rows), (moving, clips) = sight.stills, sight.moves
    resting = resting_gallery(sight.split, sight.seed, len(frames))
    seen, means = sight.both(_scenes(resting))
    looks = (_OF_WRITERS if sight.writes else 0.90, FOR_PICTURES if sight.knows_order else "")
    return [
        *_both_ways(sight, "frame", frames, rows, looks),
        *_both_ways(sight, "clip by its looks", resting, seen, looks),
        *_by_means(sight, resting, means),
        *_both_ways(sight, "clip", moving, clips, (0.85, sight.objection)),
    ]


def _by_means(sight: Sight, shown: Sequence[Shown], rows: Float32Array) -> list[Line]:
    """What is to be compared with the encoder's own way to make a clip of pictures."""
    lines = _both_ways(sight, "clip by its looks, mean of frames", shown, rows, (0.0, ""))
    return [replace(line, bar=None) for line in lines if line.measure.endswith("R@1")]


def _both_ways(
    sight: Sight, what: str, shown: Sequence[Shown], rows: Float32Array, bar: tuple[float, str]
) -> list[Line]:
    """The bar is R@1's, with what speaks against it."""
    found, (least, objection) = retrieval(sight.texts([each.text for each in shown]) @ rows.T), bar
    return [
        held(f"{way}, {name}", share / 100, len(shown), at_least, objection)
        for way, ranks in ((f"text → {what}", found.text_to_video), (f"{what} → text", found.video_to_text))
        for name, share, at_least in (("R@1", ranks.r1, least), ("R@10", ranks.r10, 0.98))
    ]


def hard(sight: Sight) -> list[Line]:
    """The right one of eight that differ in one attribute."""
    groups = hard_gallery(sight.split, sight.seed, sight.many(_GROUPS), _OF_GROUP)
    chance = sight.chance("hard")
    rows = sight.clips([scene for _, group in groups for scene in group.scenes])
    found: dict[str, list[float]] = {}
    first = 0
    for attribute, group in groups:
        count = len(group.scenes)
        texts = sight.texts([sentence(claim, chance) for claim in group.claims])
        share = told(texts @ rows[first : first + count].T, range(count))
        found.setdefault(attribute, []).append(share)
        first += count
    return [
        held(
            f"hard gallery, {name}, R@1",
            float(np.mean(shares)),
            len(shares) * _OF_GROUP,
            0.80,
            sight.objection if name == "direction" else "",
        )
        for name, shares in sorted(found.items())
    ]


def worded(sight: Sight) -> list[Line]:
    """The same claims in other words, what people type, and all there is of a kind."""
    shown, rows = sight.stills
    scenes, chance = _scenes(shown), sight.chance("worded")
    claims = [short(scene, chance) for scene in scenes]
    typed = sight.texts([sentence(claim, chance) for claim in claims])
    right = [satisfying(claim, scenes) for claim in claims]
    found = any_among(typed @ rows.T, right)
    return [
        _reworded(sight, "reworded questions, R@10", (shown, rows)),
        _reworded(sight, "reworded questions about clips, R@10", sight.moves, sight.objection),
        held("short questions, R@10", found, len(shown), 0.90),
        *_precise(sight),
    ]


def _reworded(
    sight: Sight, measure: str, seen: tuple[list[Shown], Float32Array], objection: str = ""
) -> Line:
    (shown, rows), chance = seen, sight.chance("reworded", measure)
    again = sight.texts([sentence(each.claim, chance) for each in shown])
    found = any_among(again @ rows.T, [[number] for number in range(len(shown))])
    return held(measure, found, len(shown), 0.90, objection)


def _precise(sight: Sight) -> list[Line]:
    chance = sight.chance("mixed")
    scenes = [still(drawn(chance, False), 0.5) for _ in range(sight.many(_MIXED))]
    rows = sight.pictures(scenes)
    shares, reds = dict[tuple[str, str], float](), 0
    for colour, shape in product(COLOURS, SHAPES):
        right = satisfying(Query((Named(shape=shape, colour=colour),)), scenes)
        reds = len(right) if (colour, shape) == _RED_CIRCLE else reds
        if len(right) >= _FIRST:
            (text,) = sight.texts([named(colour, shape)])
            shares[colour, shape] = precision(rows @ text, right, _FIRST)
    lines = []
    if _RED_CIRCLE in shares:
        note = f"{reds} of {len(scenes)} pictures show one; the pair is held out of training"
        lines.append(Line("“a red circle”, precision@10", shares[_RED_CIRCLE], _FIRST, Bar(0.90), note))
    if shares:
        mean, note = sum(shares.values()) / len(shares), "the mean of all pairs that ten pictures show"
        lines.append(Line("a colour and a shape, precision@10", mean, len(shares), note=note))
    return lines


def _scenes(shown: Sequence[Shown]) -> list[Scene]:
    return [each.scene for each in shown]
