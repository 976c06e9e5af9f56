"""What a score means in this store; docs/decisions/0002 says why it is judged so, and what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from math import inf, isfinite, tanh
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core import files, npy
from core.errors import SnapshotError, StoreError
from core.types import KINDS, Float32Array, IntArray, Kind, canonical
from index import mapped
from index.sample import Sample, sampled

if TYPE_CHECKING:
    from index.snapshot import Snapshot  # which opens this

KEY = "calibration"
Level = Literal["high", "medium", "low", "none"]
Asking = Literal["text", "video"]  # what a query is made of

_FLOAT16 = np.dtype("<f2")
_DECIMALS = 4  # of a confidence
_REFERENCES = 256
_LEAST_OTHERS = 4  # rows: fewer say nothing
_BLOCK_ROWS = 50
_SAME = 1e-3  # of the highest score: what float16 rows alone may differ by
_BELOW = 0.158655  # the share of normal numbers that lie a deviation and more below their middle
_SKEWED = 0.8  # what the best of a block counts, so that it is heard only where scores are skewed
_NEAR = 0.75  # of the way from the middle to the highest score there can be: a hit if anything is one


@dataclass(frozen=True, slots=True)
class Scale:
    """From spreads to confidence, and from that to words. An encoder may have its own in store.json."""

    middle: float = 5.2  # spreads above its own middle score at which a query's hit is as likely as not
    width: float = 0.5  # spreads
    high: float = 0.8
    medium: float = 0.5
    low: float = 0.2

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Scale:
        """With what is said otherwise."""
        known = {f.name: held[f.name] for f in fields(cls) if f.name in held}
        if all(type(value) in (int, float) and value > 0 for value in known.values()):
            found = cls(**known)
            if found.high >= found.medium >= found.low:
                return found
        raise StoreError(
            f"The calibration {canonical(dict(held))} is none: numbers above 0 are, with high ≥ medium ≥ low."
        )

    def level(self, confidence: float) -> Level:
        """The same in words."""
        if confidence >= self.high:
            return "high"
        if confidence >= self.medium:
            return "medium"
        return "low" if confidence >= self.low else "none"

    @property
    def doubtful(self) -> float:
        """The highest confidence that is not medium, as far as they are told."""
        return max(0.0, self.medium - 0.1**_DECIMALS)

    def least(self, level: str) -> float:
        """The lowest confidence of a level."""
        return {"high": self.high, "medium": self.medium, "low": self.low}[level]


@dataclass(frozen=True, slots=True)
class Reference:
    """How scores scatter where there is nothing to find, for queries of length 1."""

    spread: float
    most: float  # how far above the middle a score can be


@dataclass(frozen=True, slots=True)
class Judge:
    """Of the hits of one query."""

    scale: Scale
    half: float  # the score that is as likely as not
    width: float
    certain: float = inf  # the score of what was asked with itself
    least: float = -inf  # below which nothing is found, by what the encoder knows of its scores

    def confidence(self, score: float) -> float:
        """0 to 1, higher for a higher score; 0 for a query of zeros, which finds nothing."""
        if not self.width:
            return 0.0
        if score >= self.certain:
            return 1.0
        found = round((1 + tanh((score - self.half) / (2 * self.width))) / 2, _DECIMALS)
        return found if score >= self.least else min(found, self.scale.doubtful)

    def level(self, score: float) -> Level:
        return self.scale.level(self.confidence(score))


@dataclass(frozen=True)
class Calibrated:
    """What a snapshot holds to judge by: a sample of each kind's rows, and what other queries did there."""

    scale: Scale = field(default_factory=Scale)
    references: Mapping[tuple[Kind, Asking], Reference] = field(default_factory=dict)
    samples: Mapping[Kind, Float32Array] = field(default_factory=dict)
    thresholds: Mapping[Kind, float] = field(default_factory=dict)  # the encoder's own, for texts of length 1

    @classmethod
    def open(cls, folder: Path, dim: int, held: Mapping[str, Any]) -> Calibrated:
        """From a snapshot.json, or SnapshotError; one that holds none judges nothing."""
        found = held.get(KEY, {"references": {}})
        references: dict[tuple[Kind, Asking], Reference] = {
            (kind, asking): Reference(**found["references"][kind][asking])
            for kind in KINDS
            for asking in found["references"].get(kind, {})
        }
        samples = {
            kind: _read(folder / file_of(kind), dim, held["files"].get(file_of(kind)))
            for kind in KINDS
            if found["references"].get(kind)
        }
        try:
            return cls(Scale.of(found.get("scale", {})), references, samples, _thresholds(found))
        except StoreError as error:
            raise SnapshotError(f"{folder} is damaged. {error}") from error

    @cached_property
    def _lengths(self) -> Mapping[Kind, float]:
        """What a row's usually is."""
        return {kind: float(np.median(np.linalg.norm(rows, axis=1))) for kind, rows in self.samples.items()}

    def judge(self, kind: Kind, asking: Asking, query: Float32Array) -> Judge | None:
        """None where nothing is calibrated."""
        reference = self.references.get((kind, asking))
        if reference is None:
            return None
        length = float(np.linalg.norm(query))
        half = min(self.scale.middle * reference.spread, _NEAR * reference.most) * length
        middle, certain, least = float(np.median(self.samples[kind] @ query)), inf, -inf
        if asking == "video":  # which its own row answers, however much all other rows are like it
            itself = length * max(length, self._lengths[kind])
            half, certain = min(half, _NEAR * max(itself - middle, _SAME * itself)), itself * (1 - _SAME)
        elif kind in self.thresholds:
            least = self.thresholds[kind] * length
        width = half * self.scale.width / self.scale.middle
        return Judge(self.scale, max(middle + half, least), width, certain, least)


def file_of(kind: Kind) -> str:
    """What the sample of a kind is called in a snapshot's folder."""
    return f"{kind}.sample.npy"


def _thresholds(held: Mapping[str, Any]) -> dict[Kind, float]:
    """Of a calibration, or StoreError."""
    found = held.get("thresholds", {})
    if isinstance(found, dict) and all(
        kind in KINDS and type(score) in (int, float) and isfinite(score) for kind, score in found.items()
    ):
        return found
    raise StoreError(f"The thresholds {canonical(found)} are none: numbers by {', '.join(KINDS)} are.")


def _read(path: Path, dim: int, held: Mapping[str, Any] | None) -> Float32Array:
    mapped.require(path, held)
    try:
        rows = npy.content_bytes(path) // _FLOAT16.itemsize // dim
        found = npy.mapped(path, _FLOAT16, (rows, dim)).astype(np.float32)
    except ValueError as error:
        raise SnapshotError(f"{path} does not hold rows of {dim} numbers.") from error
    if not len(found) or not np.isfinite(found).all():  # a confidence would be no number
        raise SnapshotError(f"{path} is damaged: it holds no sample of rows.")
    return found


def added(snapshot: Snapshot, folder: Path) -> dict[str, Any]:
    """Draw the samples into the folder of a snapshot to be; what its snapshot.json then holds otherwise."""
    samples = {kind: sampled(snapshot, kind) for kind in snapshot.rows}
    measured = {kind: _measured(snapshot, kind, samples) for kind in samples}
    references = {kind: held for kind, held in measured.items() if held}
    with files.writing(folder):
        for kind in references:
            npy.write(folder / file_of(kind), [samples[kind].vectors.astype(_FLOAT16)])
    stamps = mapped.stamps(folder / file_of(kind) for kind in references)
    known = snapshot.store.calibration
    held = {"scale": asdict(Scale.of(known)), "references": references, "thresholds": _thresholds(known)}
    return {KEY: held, "files": {**snapshot.held["files"], **stamps}}


def _measured(snapshot: Snapshot, kind: Kind, samples: Mapping[Kind, Sample]) -> dict[Asking, dict[str, Any]]:
    found: dict[Asking, dict[str, Any]] = {}
    probes = snapshot.store.probes()
    if probes is not None and (reference := _reference(probes, np.full(len(probes), -1), samples[kind])):
        found["text"] = asdict(reference)
    # A stored video is asked with as the mean of its clips, and where it has none of its frames.
    asking: Kind = kind if kind != "text" else "clip" if "clip" in samples else "frame"
    if asking in samples:
        vectors, line = samples[asking].vectors[:_REFERENCES], samples[asking].line[:_REFERENCES]
        if reference := _reference(vectors, line, samples[kind]):
            found["video"] = asdict(reference)
    return found


def _reference(queries: Float32Array, line: IntArray, sample: Sample) -> Reference | None:
    """Of queries, each against the rows of other sources; None where there is nothing to compare with."""
    lengths = np.linalg.norm(queries, axis=1)
    is_any = lengths > 0
    scores = (queries[is_any] / lengths[is_any, None]) @ sample.vectors.T
    scattered = np.array([*_scattered(scores, line[is_any], sample)])
    if not len(scattered):
        return None
    middle, below, above = scattered.T
    # Below the middle nothing is found, however much occurs: that is noise alone, and the steadier of the
    # two. Above it the lower half of the queries is listened to, as some do find something.
    noise = max(float(np.median(below)), _SKEWED * float(np.quantile(above, 0.25)))
    most = float(np.median(np.linalg.norm(sample.vectors, axis=1))) - float(np.median(middle))
    least = _SAME * float(np.abs(scores).max())
    # Where most queries find all rows alike the others tell; where all do, only near copies are hits.
    spread = next((each for each in (noise, float(above.mean()), most) if each > least), None)
    return None if spread is None or most <= least else Reference(spread, most)


def _scattered(scores: Float32Array, line: IntArray, sample: Sample) -> Iterator[tuple[float, float, float]]:
    """Of each query: its middle score with rows of others, and how far they lie below and reach above it."""
    for own, of_all in zip(line.tolist(), scores, strict=True):
        others = of_all[sample.line != own]
        if len(others) < _LEAST_OTHERS:
            continue
        size = max(2, min(_BLOCK_ROWS, len(others) // 4))
        blocks = others[: len(others) // size * size].reshape(-1, size)
        at = (int(_BELOW * len(others)), len(others) // 2)
        low, middle = np.partition(others, at)[[*at]].tolist()
        best = float(blocks.max(axis=1).mean()) - middle
        yield middle, middle - low, best / _best_of(size)


def _best_of(count: int) -> float:
    """How many deviations the best of so many normal numbers lies above their middle."""
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25))
