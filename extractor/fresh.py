"""The store that a job fills, made if there is none, and whether it and its encoder go together."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from core.errors import EncoderError, NoTextsError, UsageError
from core.store import Store
from core.types import EncoderSpec, Float32Array, Sampling
from extractor.encoders.base import Encoder, around_of
from extractor.media.runs import require_grid
from extractor.work import Job

log = logging.getLogger(__name__)
PROBES = Path(__file__).with_name("probes.txt")


def open_store(job: Job, encoder: Encoder) -> Store:
    """The job's store, made if there is none; StoreError if it is another encoder's or sampling's."""
    if (job.store / "store.json").exists():
        store = Store.open(job.store)
        store.require(encoder.spec, store.sampling.but(job.sampling))
        return store
    sampling = encoder.spec.sampling.but(job.sampling)
    if encoder.spec.look.run > 1:
        require_grid(sampling)
    _require_seen(encoder, sampling)
    return Store.create(job.store, encoder.spec, sampling, _probes(encoder))


def _require_seen(encoder: Encoder, sampling: Sampling) -> None:
    """That all of a clip is looked at. Of a whole video the beginning may be, as authors test."""
    around, count = around_of(encoder), sampling.fps * sampling.clip_seconds
    if around and not sampling.is_whole and count > around.points:
        raise UsageError(
            f"clip-seconds {sampling.clip_seconds:g} make clips of {count:g} points, of which "
            f"{encoder.spec.name} sees {around.points} at most."
        )


def _probes(encoder: Encoder) -> Float32Array | None:
    sentences = PROBES.read_text(encoding="utf-8").splitlines()
    try:
        found: Float32Array = encoder.texts(sentences).to("cpu", torch.float32).numpy()
    except NoTextsError as error:
        log.warning("texts cannot be searched by why=%s", error)
        return None
    return found


def require_run(spec: EncoderSpec) -> None:
    """That a decoder gives what the encoder makes features of."""
    if spec.pictures_per_feature != spec.look.run:
        raise EncoderError(
            f"{spec.name} makes a feature of {spec.pictures_per_feature} pictures, and its look gives runs "
            f"of {spec.look.run}; they must be the same."
        )
