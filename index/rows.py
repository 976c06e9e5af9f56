"""Which rows of the shards live, as of one view of the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core import thumbs
from core.compaction import carried
from core.rules import EMBEDDED, LastWords, LiveSource
from core.shard import Shard
from core.store import Store
from core.types import IntArray, Kind
from index.part import Run
from index.sources import FACTS, Known


@dataclass(frozen=True)
class View:
    """The live sources, and whose rows of each of their layers count."""

    store: Store
    last: LastWords

    @cached_property
    def live(self) -> tuple[LiveSource, ...]:
        """Every live source, sorted by id."""
        return tuple(self.last.live())

    @cached_property
    def lines(self) -> dict[str, int]:
        """The line of each live source in the sources.arrow to be."""
        return {source.id: line for line, source in enumerate(self.live)}

    @cached_property
    def _won(self) -> dict[str, set[tuple[str, str]]]:
        won: dict[str, set[tuple[str, str]]] = {}
        for winner in self.last.winners():
            line = self.lines.get(winner.source)
            if line is not None and self.live[line].has_layer(winner.layer):
                won.setdefault(winner.shard, set()).add((winner.source, winner.layer))
        return won

    def line_counts(self, name: str) -> tuple[int, int]:
        """How many timed lines a shard holds: those that a compaction carries over, and all."""
        shard = self.store.shard(name)
        if not shard.manifest.get("lines"):
            return 0, 0
        pairs = ((row["id"], row["layer"], row["lines"]) for row in shard.sources.to_pylist())
        counts = [(count, self._carried.get((source, layer)) == name) for source, layer, count in pairs]
        return sum(count for count, is_kept in counts if is_kept), sum(count for count, _ in counts)

    def tiles_bytes(self, name: str) -> int:
        """Of the thumbnails in a shard that a compaction carries over."""
        sources = self.store.shard(name).sources
        if thumbs.SIZES not in sources.column_names:
            return 0
        kept = self._won.get(name, set())
        rows = sources.select(["id", "layer", thumbs.SIZES]).to_pylist()
        return sum(sum(row[thumbs.SIZES] or ()) for row in rows if (row["id"], row["layer"]) in kept)

    @cached_property
    def _carried(self) -> dict[tuple[str, str], str]:
        kept = carried(self.last, self.last.shards())
        return {pair: self.last.shard_of(*pair) for pair in kept if pair[1] not in EMBEDDED}

    def is_live(self, run: Run) -> bool:
        """Whether the rows of a run count, and are of a live source."""
        return (run.source, run.layer) in self._won.get(run.shard, ())

    def runs(self, kind: Kind) -> Iterator[Run]:
        """All live rows of a kind, shard by shard."""
        for name in sorted(self._won):
            shard = self.store.shard(name)
            if shard.count(kind):
                yield from (run for run in runs_in(shard, kind) if self.is_live(run))

    def line_runs(self) -> Iterator[Run]:
        """All timed lines that live, shard by shard: rows of lines.parquet."""
        for name in sorted(self._won):
            yield from (run for run in line_runs_in(self.store.shard(name)) if self.is_live(run))

    def known(self) -> dict[str, Known]:
        """What the shards that count hold of each live source beside its rows."""
        found: dict[str, Known] = {}
        for name, pairs in sorted(self._won.items()):
            shard = self.store.shard(name)
            texts = _texts(shard)
            for line, row in enumerate(shard.sources.to_pylist()):
                if (row["id"], row["layer"]) in pairs and row["layer"] in ("visual", "text"):
                    found[row["id"]] = Known({f: row.get(f) for f in FACTS}, texts.get(line, ""))
        return found


def runs_in(shard: Shard, kind: Kind) -> Iterator[Run]:
    """All rows of a kind in a shard, live or not."""
    ids, layers = (shard.sources[name].to_pylist() for name in ("id", "layer"))
    lines = shard.rows(kind).source
    for first, count in _runs(lines):
        line = int(lines[first])
        yield Run(ids[line], layers[line], shard.name, line, first, count)


def line_runs_in(shard: Shard) -> Iterator[Run]:
    """All timed lines of a shard, live or not, without reading them."""
    if not shard.manifest.get("lines"):
        return
    first = 0
    for line, row in enumerate(shard.sources.select(["id", "layer", "lines"]).to_pylist()):
        if count := row["lines"] or 0:
            yield Run(row["id"], row["layer"], shard.name, line, first, count)
            first += count


def _runs(lines: IntArray) -> Iterator[tuple[int, int]]:
    edges: NDArray[np.intp] = np.flatnonzero(np.diff(lines, prepend=-1, append=-1))
    firsts = edges.tolist()
    return ((first, end - first) for first, end in pairwise(firsts))


def _texts(shard: Shard) -> Mapping[int, str]:
    """The library texts in a shard, by their source's line."""
    if not shard.count("text"):
        return {}
    rows = shard.rows("text")
    texts = rows.text.to_pylist() if rows.text is not None else []
    layers = shard.sources["layer"].to_pylist()
    pairs = zip(rows.source.tolist(), texts, strict=True)
    return {line: text for line, text in pairs if layers[line] == "text"}
