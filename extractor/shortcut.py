"""A moved or copied file by its stamp, its size and a few of its bytes, without reading all of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache

from core.log import Log
from core.rules import LastWords, Said
from core.store import Store
from extractor.content import Content

_SHARDS = 64  # whose sources are remembered
_FRESH_S = 1.0  # how late it may be heard what others say
Sampled = Mapping[str, tuple[int, str]]  # a source's size and samples


class View:
    """The last words as of a moment ago: to look for others' entries costs as much as a small video."""

    def __init__(self, log: Log) -> None:
        self._log, self._held = log, LastWords()
        self._good_until = 0.0

    def __call__(self) -> LastWords:
        if time.monotonic() >= self._good_until:
            self._held, self._good_until = self._log.last(), time.monotonic() + _FRESH_S
        return self._held

    def forget(self) -> None:
        """Look anew the next time."""
        self._good_until = 0.0


class ShortCut:
    """Which contents a file with a stamp may hold. Only as safe as stamps are: whoever keeps a file's time
    and size and all 18 samples, and changes it elsewhere, is not noticed."""

    def __init__(self, store: Store, last: Callable[[], LastWords]) -> None:
        self._store, self._last = store, last
        self._sampled = lru_cache(_SHARDS)(self._read)
        self._view = LastWords()
        self._fresh: dict[str, list[Said]] = {}

    def alike(self, stamp: str) -> dict[str, Content]:
        """By their samples: the contents of places with this stamp; none where two have the same samples."""
        known = self._last()
        found: dict[str, Content] = {}
        doubtful = set()
        for source in self._done_with(known, stamp):
            shard = known.shard_of(source, "visual")
            size, samples = self._sampled(shard).get(source, (0, "")) if shard else (0, "")
            if samples and samples in found:
                doubtful.add(samples)
            elif samples:
                found[samples] = Content(source, size, samples)
        return {samples: content for samples, content in found.items() if samples not in doubtful}

    def _done_with(self, known: LastWords, stamp: str) -> set[str]:
        if known is not self._view:
            self._view, self._fresh = known, {}
            for said in known.fresh.values():
                self._fresh.setdefault(said.word.stamp, []).append(said)
        old = known.base.stamped(stamp) if known.base else ()
        found = [*(said for key, said in old if key not in known.fresh), *self._fresh.get(stamp, ())]
        return {said.word.source for said in found if said.word.word == "done"}

    def _read(self, shard: str) -> Sampled:
        rows = self._store.shard(shard).sources.select(["id", "layer", "size", "samples"]).to_pylist()
        return {row["id"]: (row["size"], row["samples"] or "") for row in rows if row["layer"] == "visual"}
