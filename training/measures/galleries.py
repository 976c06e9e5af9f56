"""Texts that look for one scene in a thousand, and scenes for their texts."""

from __future__ import annotations

from collections.abc import Sequence

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
from training.measures.line import Bar, Line
from training.measures.plainly import named
from training.measures.scores import any_among, precision, told
from training.measures.sight import Sight

NEEDS_ORDER = "its clips do not know the order of pictures"
_MIXED = 3000  # scenes, so that more than ten of most kinds are among them
_FIRST = 10


def retrieved(sight: Sight) -> list[Line]:
    """Pictures, clips by what they look like, and clips by what happens in them."""
    (frames, rows), (moving, clips) = sight.stills, sight.moves
    resting = resting_gallery(sight.split, sight.seed, len(frames))
    least = 0.85 if sight.knows_order else None
    return [
        *_both_ways(sight, "frame", frames, rows, 0.90),
        *_both_ways(sight, "clip by its looks", resting, sight.clips(_scenes(resting)), 0.90),
        *_both_ways(sight, "clip", moving, clips, least),
    ]


def _both_ways(
    sight: Sight, what: str, shown: Sequence[Shown], rows: Float32Array, least: float | None
) -> list[Line]:
    found = retrieval(sight.texts([each.text for each in shown]) @ rows.T)
    lines = []
    for way, ranks in ((f"text → {what}", found.text_to_video), (f"{what} → text", found.video_to_text)):
        for name, share, bar in (("R@1", ranks.r1, least), ("R@10", ranks.r10, 0.98)):
            has_bar = bar is not None and least is not None
            note = "" if has_bar else NEEDS_ORDER
            lines.append(
                Line(f"{way}, {name}", share / 100, len(shown), Bar(bar) if bar and has_bar else None, note)
            )
    return lines


def hard(sight: Sight) -> list[Line]:
    """The right one of eight that differ in one attribute."""
    groups = hard_gallery(sight.split, sight.seed, sight.many(125))
    chance, knows = sight.chance("hard"), sight.knows_order
    rows = sight.clips([scene for _, group in groups for scene in group.scenes])
    found: dict[str, list[float]] = {}
    first = 0
    for attribute, group in groups:
        count = len(group.scenes)
        texts = sight.texts([sentence(claim, chance) for claim in group.claims])
        share = told(texts @ rows[first : first + count].T, range(count))
        found.setdefault(attribute, []).append(share)
        first += count
    lines = []
    for name, shares in sorted(found.items()):
        is_fit = knows or name != "direction"
        lines.append(
            Line(
                f"hard gallery, {name}, R@1",
                float(np.mean(shares)),
                8 * len(shares),
                Bar(0.80) if is_fit else None,
                "" if is_fit else NEEDS_ORDER,
            )
        )
    return lines


def worded(sight: Sight) -> list[Line]:
    """The same claims in other words, what people type, and all there is of a kind."""
    shown, rows = sight.stills
    scenes, chance = _scenes(shown), sight.chance("worded")
    claims = [short(scene, chance) for scene in scenes]
    typed = sight.texts([sentence(claim, chance) for claim in claims])
    right = [satisfying(claim, scenes) for claim in claims]
    found = any_among(typed @ rows.T, right)
    return [
        _reworded(sight, "reworded questions, R@10", (shown, rows), is_fit=True),
        _reworded(sight, "reworded questions about clips, R@10", sight.moves, is_fit=sight.knows_order),
        Line("short questions, R@10", found, len(shown), Bar(0.90)),
        *_precise(sight),
    ]


def _reworded(sight: Sight, measure: str, held: tuple[list[Shown], Float32Array], *, is_fit: bool) -> Line:
    (shown, rows), chance = held, sight.chance("reworded", measure)
    again = sight.texts([sentence(each.claim, chance) for each in shown])
    found = any_among(again @ rows.T, [[number] for number in range(len(shown))])
    return Line(measure, found, len(shown), Bar(0.90) if is_fit else None, "" if is_fit else NEEDS_ORDER)


def _precise(sight: Sight) -> list[Line]:
    chance = sight.chance("mixed")
    scenes = [still(drawn(chance, False), 0.5) for _ in range(sight.many(_MIXED))]
    rows = sight.pictures(scenes)
    shares, held = dict[tuple[str, str], float](), 0
    for colour in COLOURS:
        for shape in SHAPES:
            right = satisfying(Query((Named(shape=shape, colour=colour),)), scenes)
            held = len(right) if (colour, shape) == ("red", "circle") else held
            if len(right) >= _FIRST:
                (text,) = sight.texts([named(colour, shape)])
                shares[colour, shape] = precision(rows @ text, right, _FIRST)
    lines = []
    if ("red", "circle") in shares:
        note = f"{held} of {len(scenes)} pictures show one; the pair is held out of training"
        lines.append(Line("“a red circle”, precision@10", shares["red", "circle"], _FIRST, Bar(0.90), note))
    if shares:
        note = "every pair that ten pictures show"
        lines.append(
            Line(
                "a colour and a shape, precision@10",
                sum(shares.values()) / len(shares),
                len(shares),
                None,
                note,
            )
        )
    return lines


def _scenes(shown: Sequence[Shown]) -> list[Scene]:
    return [each.scene for each in shown]
