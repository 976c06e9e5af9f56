"""What a compaction carries over, and what it must say anew. docs/store-format.md numbers the rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from core.rules import LastWords, Word
from core.sidecars import is_sidecar, named_by
from core.types import Layer


def named_pairs(known: LastWords) -> set[tuple[str, Layer]]:
    """The sidecars' layers that some place's last word names."""
    return {pair for word in known.with_sidecars() for pair in named_by(word)}


def carried(known: LastWords, shards: Collection[str]) -> set[tuple[str, Layer]]:
    """What a compaction of these shards must carry over, of the layers they have won (rule 9): those of live
    sources, and of a sidecar's those that a place names."""
    live, named = known.live_ids(), named_pairs(known)
    won = ((winner.source, winner.layer) for winner in known.winners() if winner.shard in shards)
    return {pair for pair in won if pair[0] in live and (not is_sidecar(pair[1]) or pair in named)}


def unsaid(known: LastWords, shards: Collection[str]) -> tuple[Word, ...]:
    """The words that name lines which go with these shards, those of removed sources, without them: restored,
    or embedded anew by another place, they would fit and name lines that nobody has."""
    going = {
        (winner.source, winner.layer)
        for winner in known.winners()
        if is_sidecar(winner.layer) and winner.shard in shards and known.is_removed(winner.source)
    }
    words = (word for word in known.with_sidecars() if named_by(word) & going)
    return tuple(sorted((replace(word, sidecars=()) for word in words), key=lambda w: (w.root, w.path)))
