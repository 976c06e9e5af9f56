"""Everyday sentences in an encoder's space, by which a store tells how sure an answer is."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from core.errors import NoTextsError
from core.types import Float32Array
from extractor.encoders.base import Encoder

log = logging.getLogger(__name__)
_SENTENCES = Path(__file__).with_name("probes.txt")


def probes_of(encoder: Encoder) -> Float32Array | None:
    """float32 [256, dim], or None where it reads no texts."""
    sentences = _SENTENCES.read_text(encoding="utf-8").splitlines()
    try:
        found: Float32Array = encoder.texts(sentences).to("cpu", torch.float32).numpy()
    except NoTextsError as error:
        log.warning("texts cannot be searched by why=%s", error)
        return None
    return found
