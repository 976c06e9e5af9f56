"""Stored rows beside the same rows made anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod
from pathlib import Path
from typing import cast
from weakref import ref

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import VideoError
from core.store import Store
from core.types import MAX_CLIP_POINTS, Float32Array, Kind, Sampling
from extractor.encoders import load_again
from extractor.encoders.base import Contextual, Encoder, around_of, frame_rows
from extractor.encoders.devices import choose_device
from extractor.media.afresh import pictures_afresh
from extractor.stored import StoredRow
from extractor.windows import Row, Window, Windows

BATCH = 16
_HELD_BYTES = 256 << 20  # of pictures that wait for their rows
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Compared:
    """One stored row, and how far what its file gives now is from it."""

    row: StoredRow
    cosine: float
    error_s: float = 0.0  # the worse one of its start and its end


@dataclass(slots=True, eq=False, weakref_slot=True)
class Seen:
    """A picture, or a run of them, until somebody needs its feature; from then on that."""

    pixels: Pixels | None
    feature: torch.Tensor | None = None


class Held:
    """What has been seen and may be needed. The pictures of no more than so many bytes are kept: where there
    are more, the oldest become features, which are small."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._most = max(1, _HELD_BYTES // prod(encoder.spec.look.shape))
        self._waiting: list[ref[Seen]] = []

    def take(self, pixels: Pixels) -> Seen:
        """Keep it for as long as what comes back is kept."""
        found = Seen(pixels)
        self._waiting.append(ref(found))
        if len(self._waiting) > self._most:
            alive = [seen for each in self._waiting if (seen := each()) and seen.feature is None]
            self.features(alive[: -self._most])
            self._waiting = [ref(seen) for seen in alive[-self._most :]]
        return found

    @torch.inference_mode()
    def features(self, of: Sequence[Seen]) -> list[torch.Tensor]:
        """Each one's own, made once."""
        missing = [seen for seen in of if seen.feature is None]
        for at in range(0, len(missing), BATCH):
            some = missing[at : at + BATCH]
            pictures = np.stack([seen.pixels for seen in some if seen.pixels is not None])
            made = self._encoder.features(torch.from_numpy(pictures).flatten(0, -4))
            for seen, feature in zip(some, made, strict=True):
                seen.pixels, seen.feature = None, feature
        return [seen.feature for seen in of if seen.feature is not None]


class Remade:
    """What a store's encoder and sampling make of a file; the encoder is loaded when the first one comes."""

    def __init__(self, store: Store, device: str) -> None:
        self._store, self._device = store, device

    @cached_property
    def _encoder(self) -> Encoder:
        encoder = load_again(self._store.spec, device=choose_device(self._device))
        self._store.require(encoder.spec)
        return encoder

    @cached_property
    def _held(self) -> Held:
        return Held(self._encoder)

    def video(self, file: Path, stored: Sequence[StoredRow]) -> Iterator[Compared]:
        """Each of these rows of one video, decoded in one pass; a row that is not met is compared with the
        nearest one."""
        waiting: dict[Kind, list[StoredRow]] = {}
        for row in sorted(stored, key=lambda row: row.start):
            waiting.setdefault(row.kind, []).append(row)
        last: dict[Kind, Window[Seen]] = {}
        for window in self._windows(file):
            for kind, rows in waiting.items():
                made = _of(window, kind)
                while rows and made and rows[0].start <= made[-1].start:
                    yield self._compared(rows.pop(0), window)
                if made:
                    last[kind] = window
            if not any(waiting.values()):
                return
        for kind, rows in waiting.items():
            for row in rows:
                if kind not in last:
                    raise VideoError(f"{file.name} gives no {kind} rows any more.")
                yield self._compared(row, last[kind])

    def texts(self, stored: Sequence[StoredRow]) -> Iterator[Compared]:
        """Each of these texts, encoded again."""
        for first in range(0, len(stored), BATCH):
            rows = stored[first : first + BATCH]
            with torch.inference_mode():
                vectors = _on_host(self._encoder.texts([row.text for row in rows]))
            for row, vector in zip(rows, vectors, strict=True):
                yield Compared(row, _cosine(row.vector, vector))

    def _windows(self, file: Path) -> Iterator[Window[Seen]]:
        """The video's windows, of pictures where extraction has features."""
        sampling = self._store.sampling
        look = self._encoder.spec.look
        limit, around = _limit(sampling, look.run), around_of(self._encoder)
        windows = Windows[Seen](sampling, limit, around)
        for picture in pictures_afresh(file, sampling, look):
            yield from windows.push(picture.t, picture.end, self._held.take(picture.pixels), picture.shot)
        yield from windows.finish()

    def _compared(self, stored: StoredRow, window: Window[Seen]) -> Compared:
        def distance(row: Row) -> float:
            return max(abs(row.start - stored.start), abs(row.end - stored.end))

        nearest = min(_of(window, stored.kind), key=distance)
        is_frame = stored.kind == "frame"
        vector = self._among(window, nearest) if is_frame and window.runs else self._alone(window, nearest)
        return Compared(stored, _cosine(stored.vector, vector), distance(nearest))

    @torch.inference_mode()
    def _alone(self, window: Window[Seen], row: Row) -> Float32Array:
        features = self._features([window.features[place] for place in row.index.tolist()])
        vector: Float32Array = _on_host(self._encoder.clips(features, [np.arange(len(features))]))[0]
        return vector

    @torch.inference_mode()
    def _among(self, window: Window[Seen], row: Row) -> Float32Array:
        """Of a frame whose row depends on the runs that hold it, and on no other."""
        begins = np.cumsum([0, *map(len, window.runs)])
        numbers = np.searchsorted(begins, row.index, side="right") - 1
        runs = [window.runs[number] for number in numbers.tolist()]
        places = np.unique(np.concatenate(runs))
        features = self._features([window.features[place] for place in places.tolist()])
        lengths = np.cumsum([0, *map(len, runs)])[:-1]
        index = [row.index - begins[numbers] + lengths]
        own = [np.searchsorted(places, run) for run in runs]
        vector: Float32Array = _on_host(frame_rows(cast(Contextual, self._encoder), features, own, index))[0]
        return vector

    def _features(self, of: Sequence[Seen]) -> torch.Tensor:
        return torch.stack(self._held.features(of))


def _limit(sampling: Sampling, run: int) -> int:
    """Of a window's points: as many as clips have, where each is a run of pictures, which takes memory."""
    if run == 1 or sampling.is_whole:
        return MAX_CLIP_POINTS
    return min(MAX_CLIP_POINTS, ceil(sampling.fps * sampling.clip_seconds) + 1)


def _of(window: Window[Seen], kind: Kind) -> Sequence[Row]:
    return window.clips if kind == "clip" else window.frames


def _on_host(vectors: torch.Tensor) -> Float32Array:
    found: Float32Array = vectors.to("cpu", torch.float32).numpy()
    return found


def _cosine(one: Float32Array, other: Float32Array) -> float:
    """Of two vectors of nothing 1, of nothing and something 0."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else float(not a.any() and not b.any())
