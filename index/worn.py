"""Which shards are worth compacting: small ones, and those of which much is dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from core.store import Store
from core.types import KINDS
from core.writer import MAX_BYTES, MAX_ROWS
from index.part import MOST_DEAD
from index.rows import View

SMALL = 0.25  # of a full shard
MANY = 16  # small shards are worth a word


@dataclass(frozen=True, slots=True)
class Wear:
    """How much of a shard is left."""

    shard: str
    live: int  # rows of the kind that has most; timed lines or thumbnails if they are more of a full one
    is_dirty: bool


def worn(store: Store, full: int = MAX_ROWS, most_dead: float = MOST_DEAD) -> list[list[str]]:
    """Groups of shards, each to become one that is not larger than a full one."""
    groups: list[list[Wear]] = []
    room = 0
    for wear in sorted(_wear(store, full, most_dead), key=lambda w: (w.live, w.shard)):
        if not wear.is_dirty and wear.live >= SMALL * full:
            continue
        if not groups or wear.live > room:
            groups.append([])
            room = full
        groups[-1].append(wear)
        room -= wear.live
    return [[wear.shard for wear in group] for group in groups if len(group) > 1 or group[0].is_dirty]


def _wear(store: Store, full: int, most_dead: float) -> Iterator[Wear]:
    view = View(store, store.log.last())
    counts = {kind: Counter[str]() for kind in KINDS}
    for kind in KINDS:
        for run in view.runs(kind):
            counts[kind][run.shard] += run.count
    for name in view.last.shards():
        live_lines, held_lines = view.line_counts(name)
        live = [*(counts[kind][name] for kind in KINDS), live_lines]
        held = sum(store.shard(name).count(kind) for kind in KINDS) + held_lines
        # Pictures are held in memory while they are carried over, as before a commit.
        tiles = -(-full * view.tiles_bytes(name) // MAX_BYTES)
        yield Wear(name, max(*live, tiles), sum(live) < (1 - most_dead) * held)


def advice(store: Store, live_rows: int) -> str:
    """What compacting would be good for, "" where for nothing; told by the manifests, as every build asks."""
    shards = [store.shard(name) for name in store.log.last().shards()]
    rows = [sum(shard.count(kind) for kind in KINDS) for shard in shards]
    small, dead = sum(count < SMALL * MAX_ROWS for count in rows), sum(rows) - live_rows
    if small >= MANY:
        return f"{small} of {len(rows)} shards are small; `cinedex index compact` makes few of them"
    if dead > MOST_DEAD * sum(rows):
        return f"{dead} of {sum(rows)} stored rows are dead; `cinedex index compact` lets go of them"
    return ""
