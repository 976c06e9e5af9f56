"""Which colour is whose and where each lies or goes, as arrays: of scenes, and of sentences as far as they
say; and the heads that read it off a vector, whichever it is of. So both come to hold it alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from extractor.world.colours import COLOURS
from extractor.world.motions import DIRECTIONS, TURNING
from extractor.world.query import Named, Query
from extractor.world.scene import PLACES, RELATIONS, Scene, Thing
from extractor.world.shapes import SHAPES
from training.labels import Bits

_SHAPES, _COLOURS = list(SHAPES), list(COLOURS)
_KINDS = len(_SHAPES) + len(_COLOURS)
_SPAN = 0.35  # of the picture's side: so far from its middle lie the outermost
_RELATED = 0.6  # spans from the middle: things of which a relation is told
_NINTH = 1 / 3 / _SPAN  # spans from the middle of a ninth to that of the next
_LENGTH = 40.0  # of vectors, for heads
_FEW = -4.0  # what the heads begin with: few of all pairs are there
_PAIRS_WEIGHT = 0.25
_SENSES = dict(zip(TURNING, (1.0, -1.0), strict=True))
_SENSES_WEIGHT = 2.0
_AWAY = {how: (-x * _RELATED, -y * _RELATED) for (x, y), how in RELATIONS.items()}  # of the first thing

At = tuple[float, float]  # from the middle, in spans


@dataclass(frozen=True, slots=True)
class Bindings:
    """Of n scenes or sentences."""

    whose: Bits  # [n, colours · shapes]: 1 where a thing has both
    whose_known: Bits  # 1 where that is right or wrong
    where: Bits  # [n, kinds, 2]: where the things are, or go, that have a shape or a colour, on the mean
    where_known: Bits  # [n, kinds, 1]


def shown(scenes: Sequence[Scene]) -> Bindings:
    """All is known; what is not there lies in the middle."""
    return _shown(scenes, _at)


def shown_going(scenes: Sequence[Scene]) -> Bindings:
    """All is known; what is not there, or stays, goes nowhere."""
    return _shown(scenes, lambda thing: DIRECTIONS.get(thing.motion, (0.0, 0.0)))


def said(queries: Sequence[Query]) -> Bindings:
    """Known are the pairs of all colours and shapes that a sentence names, and where things lie that it
    places: whose relation it tells, they lie on both sides of the middle."""
    return _said(queries, _placed)


def said_going(queries: Sequence[Query]) -> Bindings:
    """The same pairs, and where things go whose motion is told."""
    return _said(queries, _going)


def _shown(scenes: Sequence[Scene], at: Callable[[Thing], At]) -> Bindings:
    found = _none(len(scenes))
    for row, scene in enumerate(scenes):
        _place(found, row, ((thing, at(thing)) for thing in scene.things))
    found.whose_known[:], found.where_known[:] = 1, 1
    return found


def _said(queries: Sequence[Query], placed: Callable[[Query], Iterable[tuple[Named, At | None]]]) -> Bindings:
    found = _none(len(queries))
    for row, query in enumerate(queries):
        colours = [_COLOURS.index(each.colour) for each in query.things if each.colour]
        shapes = [_SHAPES.index(each.shape) for each in query.things if each.shape]
        if all(each.colour and each.shape for each in query.things):  # else it may be another one's as well
            found.whose_known.reshape(-1, len(_COLOURS), len(_SHAPES))[row][np.ix_(colours, shapes)] = 1
        _place(found, row, placed(query))
    return found


def _none(count: int) -> Bindings:
    whose, whose_known = np.zeros((2, count, len(_COLOURS) * len(_SHAPES)), np.float32)
    where, where_known = np.zeros((count, _KINDS, 2), np.float32), np.zeros((count, _KINDS, 1), np.float32)
    return Bindings(whose, whose_known, where, where_known)


def _at(thing: Thing) -> At:
    return (thing.x - 0.5) / _SPAN, (thing.y - 0.5) / _SPAN


def _placed(query: Query) -> Iterator[tuple[Named, At | None]]:
    x, y = _AWAY[query.relation] if query.relation else (0.0, 0.0)
    for number, thing in enumerate(query.things):
        if query.relation and number < 2:
            yield thing, (-x, -y) if number else (x, y)
        elif thing.place:
            down, across = divmod(PLACES.index(thing.place), 3)
            yield thing, ((across - 1) * _NINTH, (down - 1) * _NINTH)
        else:
            yield thing, None


def _going(query: Query) -> Iterator[tuple[Named, At | None]]:
    for thing in query.things:
        yield thing, DIRECTIONS.get(thing.motion, (0.0, 0.0)) if thing.motion else None


def _place(found: Bindings, row: int, things: Iterable[tuple[Thing | Named, At | None]]) -> None:
    counts = np.zeros((_KINDS, 1), np.float32)
    for thing, at in things:
        if thing.colour and thing.shape:
            found.whose[row, _COLOURS.index(thing.colour) * len(_SHAPES) + _SHAPES.index(thing.shape)] = 1
        if at is not None:
            for kind in _kinds(thing):
                found.where[row, kind] += at
                counts[kind] += 1
    found.where[row] /= np.maximum(counts, 1)
    found.where_known[row] = counts > 0


def _kinds(thing: Thing | Named) -> Iterator[int]:
    if thing.shape:
        yield _SHAPES.index(thing.shape)
    if thing.colour:
        yield len(_SHAPES) + _COLOURS.index(thing.colour)


class BindingHeads(nn.Module):
    """Linear ones, as is what an inner product can tell."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.whose = nn.Linear(dim, len(_COLOURS) * len(_SHAPES))
        self.where = nn.Linear(dim, 2 * _KINDS)
        for late in (self.whose, self.where):  # so that they do not begin by shaking trained towers
            nn.init.zeros_(late.weight)
        nn.init.constant_(self.whose.bias, _FEW)

    def loss(self, vectors: Tensor, right: Bindings) -> Tensor:
        """Of vectors of any length, by what is known of each."""
        held = F.normalize(vectors.float(), dim=1) * _LENGTH
        whose, whose_known, where, where_known = (
            torch.from_numpy(each).to(held.device)
            for each in (right.whose, right.whose_known, right.where, right.where_known)
        )
        wrong = F.binary_cross_entropy_with_logits(self.whose(held), whose, reduction="none") * whose_known
        away = (self.where(held).reshape(where.shape) - where).square() * where_known
        found: Tensor = (_PAIRS_WEIGHT * wrong.sum() + away.sum()) / len(held)
        return found


class TurningHead(nn.Module):
    """In which sense things circle. Without it neither clips nor sentences tell: each is of use only once the
    other does."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.sense = nn.Linear(dim, 1)
        nn.init.zeros_(self.sense.weight)

    def loss(self, vectors: Tensor, told: Sequence[Sequence[Thing | Named]]) -> Tensor:
        """Of vectors of scenes or of sentences; nothing is asked of a sentence that names nothing, or does
        not tell all motions of what it names."""
        held = F.normalize(vectors.float(), dim=1) * _LENGTH
        known = [bool(things) and all(each.motion for each in things) for things in told]
        right = [sum(_SENSES.get(each.motion, 0.0) for each in things) for things in told]
        wrong = self.sense(held)[:, 0] - torch.tensor(right, device=held.device)
        found: Tensor = (wrong.square() * torch.tensor(known, device=held.device)).sum() / len(held)
        return _SENSES_WEIGHT * found
