"""How much of the truth a snapshot finds: its answers against every stored row, scored by numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.query import Effort
from core.types import Float32Array, Float64Array, IntArray, Kind
from index import part as parts
from index.live import LivePart
from index.merge import Row, best_rows
from index.snapshot import Snapshot

DEPTHS = (1, 10, 100)
SAMPLE = 32
_STEP_ROWS = 65_536
_SAME = 1e-5  # relative: numpy and FAISS add up in different orders

Measured = dict[str, dict[str, float]]  # kind → depth → recall


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries, and for those that are stored rows whose and which seconds they are (else line -1)."""

    vectors: Float32Array
    line: IntArray
    start: Float64Array
    end: Float64Array

    def __len__(self) -> int:
        return len(self.vectors)

    def are_overlapped(self, line: IntArray, start: Float64Array, end: Float64Array) -> NDArray[np.bool_]:
        """[queries, rows]: rows that say nothing, being a query itself or sharing seconds with it."""
        s, e = self.start[:, None], self.end[:, None]
        found: NDArray[np.bool_] = (self.line[:, None] == line) & (((start < e) & (end > s)) | (start == s))
        return found


@dataclass(frozen=True, slots=True)
class Truth:
    """What scoring every live row gives: the best scores of each query in order, and rows left out."""

    best: Float32Array  # [queries, at most max(DEPTHS)]
    overlapped: int  # the most of any query


def measure(snapshot: Snapshot, sample: int = SAMPLE) -> Measured:
    """recall@1/10/100 of each kind that has rows."""
    found: Measured = {}
    for kind in snapshot.rows:
        held = [part for part in snapshot.parts if part.about.kind == kind and part.live]
        asked = _asked(snapshot, held, kind, sample)
        found[kind] = _measure(snapshot, held, asked, snapshot.effort(kind))
    return found


def worst(measured: Measured, depth: int = 10) -> float:
    """The lowest recall of any kind."""
    return min((of_kind[str(depth)] for of_kind in measured.values()), default=1.0)


def _measure(snapshot: Snapshot, held: list[LivePart], asked: Asked, effort: Effort) -> dict[str, float]:
    truth = _truth(snapshot, held, asked)
    answers = best_rows(held, asked.vectors, max(DEPTHS) + truth.overlapped, effort)
    shares: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    for best, scores in zip(truth.best, _scores(snapshot, held, asked, answers), strict=True):
        among = best[np.isfinite(best)]
        for depth in DEPTHS if len(among) else ():
            last = float(among[:depth][-1])
            good = scores[:depth] >= last - _SAME * max(1.0, abs(last))
            shares[depth].append(float(good.sum()) / len(among[:depth]))
    return {str(depth): float(np.mean(each)) if each else 1.0 for depth, each in shares.items()}


def _asked(snapshot: Snapshot, held: list[LivePart], kind: Kind, sample: int) -> Asked:
    """Stored rows, and the everyday sentences: texts and pictures lie apart in an encoder's space."""
    picked = [piece for piece in _sampled(snapshot, held, sample) if len(piece)]
    probes = snapshot.store.probes() if kind != "text" else None
    if probes is not None:
        none = np.full(len(probes[:sample]), -1, np.int64)
        outside = np.full(len(none), -1.0)
        picked.append(Asked(probes[:sample].astype(np.float32), none, outside, outside))
    return Asked(
        np.concatenate([piece.vectors for piece in picked]),
        np.concatenate([piece.line for piece in picked]),
        np.concatenate([piece.start for piece in picked]),
        np.concatenate([piece.end for piece in picked]),
    )


def _sampled(snapshot: Snapshot, held: list[LivePart], sample: int) -> Iterator[Asked]:
    ends = np.cumsum([part.live for part in held])
    chance = np.random.default_rng(0)
    picked = np.sort(chance.choice(int(ends[-1]), min(sample, int(ends[-1])), replace=False))
    for part, end in zip(held, ends.tolist(), strict=True):
        mine = picked[(picked >= end - part.live) & (picked < end)] - (end - part.live)
        alive = np.flatnonzero(np.unpackbits(part.bits, count=part.about.rows, bitorder="little"))
        at = alive[mine]
        records = part.part.rows[at]
        vectors = parts.exact(snapshot.store, part.part, at)
        yield Asked(vectors, part.lines(records), records["start"], records["end"])


def _truth(snapshot: Snapshot, held: list[LivePart], asked: Asked) -> Truth:
    deepest = max(DEPTHS)
    best = np.full((len(asked), deepest), -np.inf, np.float32)
    left_out = np.zeros(len(asked), np.int64)
    for part in held:
        for first in range(0, part.about.rows, _STEP_ROWS):
            at = np.arange(first, min(first + _STEP_ROWS, part.about.rows))
            at = at[part.is_live(at)]
            records = part.part.rows[at]
            scores = asked.vectors @ parts.exact(snapshot.store, part.part, at).T
            overlapped = asked.are_overlapped(part.lines(records), records["start"], records["end"])
            left_out += overlapped.sum(axis=1)
            scores[overlapped] = -np.inf
            best = -np.sort(-np.concatenate([best, scores], axis=1), axis=1)[:, :deepest]
    return Truth(best, int(left_out.max(initial=0)))


def _scores(
    snapshot: Snapshot, held: list[LivePart], asked: Asked, answers: list[list[Row]]
) -> list[Float32Array]:
    """The true scores of the rows answered to each query, in order, less those that say nothing."""
    flat = [(number, row) for number, rows in enumerate(answers) for row in rows]
    query = np.array([number for number, _ in flat], np.int64)
    which, position, line = (
        np.array([getattr(row, name) for _, row in flat], np.int64) for name in ("part", "position", "line")
    )
    start, end = (np.array([getattr(row, name) for _, row in flat]) for name in ("start", "end"))
    scores = np.empty(len(flat), np.float32)
    for number, part in enumerate(held):
        mine = which == number
        vectors = parts.exact(snapshot.store, part.part, position[mine])
        scores[mine] = (vectors * asked.vectors[query[mine]]).sum(axis=1)
    telling = ~asked.are_overlapped(line, start, end)[query, np.arange(len(flat))]
    return [scores[(query == number) & telling] for number in range(len(answers))]
