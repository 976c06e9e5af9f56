"""Some rows of a store by chance, and where what they are of lies now."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.log import Winner
from core.store import Store
from core.types import KINDS, Float32Array, IntArray, Kind, Place
from extractor.find import has_stamp, is_gone


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row as it lies in a shard."""

    kind: Kind
    start: float
    end: float
    text: str
    vector: Float32Array


@dataclass(frozen=True, slots=True)
class Drawn:
    """Some rows of one source, in order, and its live places."""

    source: str
    places: tuple[Place, ...]
    rows: tuple[StoredRow, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """A source's rows of one kind, and how many of the shard's are before them."""

    source: str
    first: int
    count: int


def draw_rows(store: Store, count: int, seed: int) -> Iterator[Drawn]:
    """`count` live rows by chance, as many of each kind as there are; in a source they come together."""
    known = store.log.last()
    live = {source.id: source for source in known.live()}
    shards: dict[str, list[Winner]] = {}
    for winner in known.winners():
        if winner.source in live and live[winner.source].has_layer(winner.layer):
            shards.setdefault(winner.shard, []).append(winner)
    runs = {shard: _runs(store.shard(shard).sources.to_pydict(), shards[shard]) for shard in sorted(shards)}
    totals = {kind: sum(run.count for held in runs.values() for run in held[kind]) for kind in KINDS}
    chance = np.random.default_rng(seed)
    picked = {
        kind: np.sort(chance.choice(totals[kind], share, replace=False))
        for kind, share in _shares(totals, count).items()
    }
    passed = dict.fromkeys(KINDS, 0)
    for shard, held in runs.items():
        of_shard: dict[str, list[StoredRow]] = {}
        for kind, numbers in picked.items():
            for source, row in _read(store, shard, kind, held[kind], numbers - passed[kind]):
                of_shard.setdefault(source, []).append(row)
            passed[kind] += sum(run.count for run in held[kind])
        for source, rows in of_shard.items():
            yield Drawn(source, live[source].places, tuple(rows))


def _shares(totals: Mapping[Kind, int], count: int) -> dict[Kind, int]:
    """So many of each kind: equal parts, and what a small kind leaves goes to the others."""
    shares: dict[Kind, int] = {}
    kinds = sorted((kind for kind in KINDS if totals[kind]), key=lambda kind: totals[kind])
    for left, kind in zip(range(len(kinds), 0, -1), kinds, strict=True):
        shares[kind] = min(totals[kind], (count - sum(shares.values())) // left)
    return shares


def _runs(table: Mapping[str, Sequence[Any]], winners: Sequence[Winner]) -> dict[Kind, list[_Run]]:
    """Where the rows that count lie: rows of one source lie together, in the order of the sources."""
    pairs = {(winner.source, winner.layer) for winner in winners}
    runs: dict[Kind, list[_Run]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        first = 0
        for source, layer, count in zip(table["id"], table["layer"], table[kind], strict=True):
            if count and (source, layer) in pairs:
                runs[kind].append(_Run(source, first, count))
            first += count or 0
    return runs


def _read(
    store: Store, name: str, kind: Kind, runs: Sequence[_Run], numbers: IntArray
) -> Iterator[tuple[str, StoredRow]]:
    """The rows of these numbers, counted over the runs alone."""
    ends = np.cumsum([run.count for run in runs], dtype=np.int64)
    mine = numbers[(numbers >= 0) & (numbers < (ends[-1] if len(ends) else 0))]
    if not len(mine):
        return
    shard = store.shard(name)
    rows, vectors = shard.rows(kind), shard.vectors(kind)
    for number, which in zip(mine.tolist(), np.searchsorted(ends, mine, side="right").tolist(), strict=True):
        run = runs[which]
        at = run.first + number - (int(ends[which]) - run.count)
        text = "" if rows.text is None else rows.text[at].as_py()
        vector = np.asarray(vectors[at], np.float32)
        yield run.source, StoredRow(kind, float(rows.start[at]), float(rows.end[at]), text, vector)


def file_now(
    places: Sequence[Place], roots: Mapping[str, Path], far: Collection[str] = ()
) -> tuple[Place, Path] | str:
    """A place whose file is still the one that was embedded, and that file; or why there is none. `far` are
    the roots behind URLs: nothing is fetched."""
    why = "their root is not known"
    for place in places:
        folder = roots.get(place.root)
        if folder is None:
            why = "they lie behind a URL" if place.root in far else why
            continue
        file = os.path.join(os.fsencode(folder), place.path)
        if has_stamp(file, place.stamp):
            return place, Path(os.fsdecode(file))
        why = "their file is gone" if is_gone(file) else _why_not(file)
    return why


def _why_not(file: bytes) -> str:
    try:
        os.stat(file)
    except OSError as error:
        return f"their file cannot be read: {error.strerror}"
    return "their file has changed"
