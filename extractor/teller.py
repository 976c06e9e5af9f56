"""Timed lines on their way into the store: of embedded tracks and of sidecars, with vectors if asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import UsageError
from core.lines import sorted_lines
from core.types import Float32Array, Layer, Line
from core.writer import Writer
from extractor import sidecars
from extractor.encoders.base import Encoder
from extractor.work import Job, Work


@dataclass(frozen=True, slots=True)
class Beside:
    """A work that names the sidecars that were read, and what they came to."""

    work: Work
    sidecars: int = 0
    lines: int = 0  # that are new to the store

    @property
    def is_whole(self) -> bool:
        """Whether all of them were read."""
        return all(sidecar.hash for sidecar in self.work.place.sidecars)


class Teller:
    """Gives a writer the lines of a source."""

    def __init__(
        self, job: Job, encoder: Encoder, writer: Writer, embed: Callable[[Sequence[str]], Float32Array]
    ) -> None:
        if job.embed_lines and not hasattr(encoder, "texts"):
            raise UsageError(f"--embed-subtitles: {encoder.spec.name} has no vectors of texts; leave it out.")
        self._job, self._dim, self._writer, self._embed = job, encoder.spec.dim, writer, embed
        self._told: set[tuple[str, Layer]] = set()  # with --again: what is told anew, and once

    def embedded(self, source: str, lines: tuple[Line, ...]) -> int:
        """The lines of a video's own tracks, if it has any; how many are new."""
        return self._tell(source, "subtitles", lines) if lines else 0

    def captions(self, source: str, lines: Sequence[Line]) -> int:
        """What was written about a video's clips, always with vectors; how many are new."""
        return self._tell(source, "captions", sorted_lines(lines), embed=True) if lines else 0

    def beside(self, work: Work, source: str) -> Beside:
        """The lines of what lies beside a place; what cannot be read now is tried in the next run."""
        place = work.place
        if not place.sidecars:
            return Beside(work)
        told = [sidecars.read(work.file, sidecar) for sidecar in place.sidecars]
        new = sum(self._tell(source, each.sidecar.layer, each.lines) for each in told if each)
        pairs = zip(told, place.sidecars, strict=True)
        named = tuple(each.sidecar if each else replace(listed, hash="") for each, listed in pairs)
        task = replace(work.task, place=replace(place, sidecars=named))
        return Beside(replace(work, task=task), sum(each is not None for each in told), new)

    def _tell(self, source: str, layer: Layer, lines: tuple[Line, ...], *, embed: bool = False) -> int:
        """How many of them are new: of a copy they may be on their way, or in the store."""
        if self._writer.holds(source, layer):
            return 0
        is_new = self._is_new(source, layer)
        # What a shard has is told too: by the time of the commit it may have it no more.
        vectors = self._vectors(lines) if embed or self._job.embed_lines else None
        self._writer.tell(source, layer, lines, vectors, again=self._job.again)
        return len(lines) if is_new else 0

    def _is_new(self, source: str, layer: Layer) -> bool:
        if not self._job.again:
            return not self._writer.store.log.last().shard_of(source, layer)
        is_first = (source, layer) not in self._told
        self._told.add((source, layer))
        return is_first

    def _vectors(self, lines: Sequence[Line]) -> Float32Array:
        found = [np.empty((0, self._dim), np.float32)]
        for first in range(0, len(lines), self._job.batch):
            texts = [line.text for line in lines[first : first + self._job.batch]]
            found.append(self._embed(texts))
        return np.concatenate(found)
