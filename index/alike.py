"""Which videos may hold the same pictures, and when: each row's nearest rows in other videos.

Rows are projected to few dimensions, parted into cells, and compared with the rows of their two nearest
cells only: a copy's rows are so near that most of them meet there, and a few are enough to go on from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from core.types import Float32Array, IntArray
from index.footage import Footage, unit
from index.progress import Progress

_DIMS = 64
_CELL_ROWS = 1_000
_MOST_CELLS = 4_096
_FULL_CELL = 16_384  # one that holds more is of what very many videos show, black mostly: it is thinned
_MOST_OTHERS = 4  # nearest videos of a row in a cell, and as many that follow it in the store
_STEP_ROWS = 16_384
_STEP_SCORES = 1 << 23
_SAMPLE = 2_000

Vectors = Callable[[IntArray], Float32Array]


@dataclass(frozen=True, slots=True)
class Distances:
    """What distances (1 - cosine) mean in this store."""

    near: float  # between rows of one video that follow each other
    far: float  # between rows of different videos

    @property
    def least(self) -> float:
        """How alike two rows must be to show the same: in the middle, by ratio, between near and far."""
        near = max(self.near, self.far / 100)
        return 1.0 - min(float(np.sqrt(near * self.far)), self.far / 2)


@dataclass(frozen=True, slots=True)
class Met:
    """Rows of two videos that are alike: `first` is of the video with the lower number."""

    first: IntArray
    second: IntArray

    def __len__(self) -> int:
        return len(self.first)


def distances(footage: Footage, vectors: Vectors) -> Distances:
    """By rows of videos drawn by chance, each video as often as the others. There are two or more."""
    chance = np.random.default_rng(0)
    counts = np.diff(footage.bounds)
    video = chance.integers(0, len(counts), _SAMPLE)
    row = footage.bounds[video] + (chance.random(_SAMPLE) * counts[video]).astype(np.int64)
    after = np.minimum(row + 1, footage.bounds[video + 1] - 1)
    here, other = vectors(row), np.roll(np.arange(_SAMPLE), 1)
    follow, differ = after > row, video != video[other]
    near = _median(here[follow], vectors(after[follow]))
    return Distances(near, _median(here[differ], here[other[differ]]))


def _median(some: Float32Array, others: Float32Array) -> float:
    found = 1.0 - (some * others).sum(axis=1)
    return max(float(np.median(found)), 0.0) if len(found) else 0.0


def candidates(footage: Footage, min_seconds: float, progress: Progress) -> list[Met]:
    """Pairs of videos of which several rows meet within seconds at about the same distance in time."""
    rows = _projected(footage, progress)
    least = distances(footage, lambda at: rows[at].astype(np.float32)).least
    found = [np.empty((0, 2), np.int64), *_nearest(footage, rows, least, progress)]
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return list(_in_step(footage, pairs, min_seconds))


def _projected(footage: Footage, progress: Progress) -> NDArray[np.float16]:
    """Each row in its main directions, of length 1 again."""
    chance = np.random.default_rng(0)
    sample = footage.vectors(np.sort(chance.integers(0, len(footage), 10 * _SAMPLE)))
    few = sample.shape[1] <= _DIMS
    axes = np.eye(sample.shape[1], dtype=np.float32) if few else np.linalg.eigh(sample.T @ sample)[1]
    found = np.empty((len(footage), min(_DIMS, axes.shape[1])), np.float16)
    order = np.lexsort((footage.position, footage.part))  # as they lie in the files
    progress.begin("reading", len(order))
    for first in range(0, len(order), _STEP_ROWS):
        at = order[first : first + _STEP_ROWS]
        found[at] = unit(footage.vectors(at) @ axes[:, -_DIMS:])
        progress.add(len(at))
    return found


def _cells(rows: NDArray[np.float16]) -> IntArray:
    """The two nearest cells of each row."""
    count = min(max(len(rows) // _CELL_ROWS, 1), _MOST_CELLS)
    chance = np.random.default_rng(0)
    if count == 1:
        return np.zeros((len(rows), 1), np.int64)
    sample = chance.choice(len(rows), min(len(rows), 64 * count), replace=False)
    means = faiss.Kmeans(rows.shape[1], count, niter=8, seed=1, min_points_per_centroid=1)
    means.train(rows[np.sort(sample)].astype(np.float32))
    found = np.empty((len(rows), 2), np.int64)
    for first in range(0, len(rows), _STEP_ROWS):
        block = rows[first : first + _STEP_ROWS].astype(np.float32)
        found[first : first + _STEP_ROWS] = means.index.search(block, 2)[1]
    return found


def _nearest(
    footage: Footage, rows: NDArray[np.float16], least: float, progress: Progress
) -> Iterator[IntArray]:
    """[pairs, 2] of rows, cell by cell."""
    cells = _cells(rows)
    count = int(cells.max()) + 1
    progress.begin("comparing", len(rows))
    members, askers = _by_cell(cells[:, :1], count), _by_cell(cells, count)
    for cell in range(count):
        held, asking = _thinned(members[cell], _FULL_CELL), _thinned(askers[cell], 2 * _FULL_CELL)
        if len(held):
            yield from _met(footage, rows, least, held, asking)
        progress.add(len(members[cell]))


def _by_cell(cells: IntArray, count: int) -> list[IntArray]:
    """The rows of each cell, in order."""
    flat = cells.ravel()
    order = np.argsort(flat, kind="stable")
    ends = np.searchsorted(flat[order], np.arange(1, count))
    return np.split(order // cells.shape[1], ends)


def _thinned(rows: IntArray, most: int) -> IntArray:
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _met(
    footage: Footage, rows: NDArray[np.float16], least: float, held: IntArray, asking: IntArray
) -> Iterator[IntArray]:
    theirs, video = rows[held].astype(np.float32).T, footage.video
    step = max(_STEP_SCORES // len(held), 1)
    for first in range(0, len(asking), step):
        block = asking[first : first + step]
        scores = rows[block].astype(np.float32) @ theirs
        asker, column = np.nonzero(scores >= least)
        found = scores[asker, column]
        differ = video[block[asker]] != video[held[column]]
        asker, column, found = asker[differ], column[differ], found[differ]
        best = _best_of_each(asker, video[held[column]], found)
        asker, column, found = asker[best], column[best], found[best]
        behind = (video[held[column]] - video[block[asker]]) % len(footage.lines)
        few = _few(asker, found, behind)
        yield np.stack([block[asker[few]], held[column[few]]], axis=1)


def _best_of_each(asker: IntArray, video: NDArray[np.int32], found: Float32Array) -> IntArray:
    """For each row and each video that it met, where its best row is; they come sorted by both."""
    if not len(asker):
        return asker
    edges = np.flatnonzero((np.diff(asker, prepend=-1) != 0) | (np.diff(video, prepend=-1) != 0))
    best = np.repeat(np.maximum.reduceat(found, edges), np.diff(np.append(edges, len(found))))
    at = np.flatnonzero(found == best)
    firsts = np.unique(np.searchsorted(edges, at, side="right"), return_index=True)[1]
    return at[firsts]


def _few(asker: IntArray, found: Float32Array, behind: NDArray[np.int32]) -> IntArray:
    """Of a row that met many videos the most alike, and those behind its own: an intro's rows then agree."""
    kept = np.zeros(len(asker), np.bool_)
    for key in (-found, behind):
        order = np.lexsort((key, asker))
        edges = np.flatnonzero(np.diff(asker[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(edges, np.diff(np.append(edges, len(order))))
        kept[order[rank < _MOST_OTHERS]] = True
    return np.flatnonzero(kept)


def _in_step(footage: Footage, pairs: IntArray, min_seconds: float) -> Iterator[Met]:
    """Those of videos that have as many in one short time as a range of them would give."""
    step = footage.step_s
    window = max(min_seconds, 8 * step)
    wide = 2 * step + 0.05 * window
    needed = max(3, int(0.4 * window / step))
    first, second = pairs[:, 0], pairs[:, 1]
    pair = footage.video[first].astype(np.int64) * len(footage.lines) + footage.video[second]
    order = np.argsort(pair, kind="stable")
    first, second = first[order], second[order]
    edges = np.flatnonzero(np.diff(pair[order], prepend=-1))
    number = np.repeat(np.arange(len(edges)), np.diff(np.append(edges, len(order))))
    at, apart = footage.start[first], footage.start[second] - footage.start[first]
    enough = np.zeros(len(edges), np.bool_)
    for half in (0.0, 0.5):
        for side in (0.0, 0.5):
            when = np.floor(at / window + half).astype(np.int64)
            where = np.floor(apart / wide + side).astype(np.int64)
            enough[_crowded(number, when, where, needed)] = True
    for each in np.flatnonzero(enough):
        mine = slice(*np.searchsorted(number, [each, each + 1]))
        yield Met(first[mine], second[mine])


def _crowded(number: IntArray, when: IntArray, where: IntArray, needed: int) -> IntArray:
    """The numbers that share a window and a distance with enough others."""
    order = np.lexsort((where, when, number))
    changes = [np.diff(each[order], prepend=-1) != 0 for each in (number, when)]
    edges = np.flatnonzero(changes[0] | changes[1] | (np.diff(where[order], prepend=1 << 62) != 0))
    many = np.diff(np.append(edges, len(order))) >= needed
    return number[order][edges[many]]
