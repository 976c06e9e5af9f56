"""The scores below which an encoder found nothing by its own measure, for each kind of row, and how far an
answer must stand out beside that (`middle`): a small file beside its weights, which
`python -m training.thresholds` writes for those that are shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from core.errors import EncoderError
from core.types import KINDS, canonical
from extractor.encoders.base import Encoder

FILE = "thresholds.json"
KEY, MIDDLE = "thresholds", "middle"  # of the calibration in a store.json


def of_folder(folder: Path) -> dict[str, float]:
    """None where there is no such file."""
    path = folder / FILE
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise EncoderError(f"{path} is no JSON: {error}.") from error
    if not isinstance(held, dict) or not all(_is_one(*each) for each in held.items()):
        raise EncoderError(
            f"{path} holds {canonical(held)}, not a number for each of {', '.join(KINDS)}, and for {MIDDLE} "
            "one above 0."
        )
    return held


def calibration_of(encoder: Encoder) -> Mapping[str, Any]:
    """What its stores are told of its scores."""
    found = dict(getattr(encoder, "thresholds", {}))
    spreads = {MIDDLE: found.pop(MIDDLE)} if MIDDLE in found else {}
    return spreads | ({KEY: found} if found else {})


def _is_one(name: str, score: object) -> bool:
    if isinstance(score, bool) or not isinstance(score, int | float) or not isfinite(score):
        return False
    return name in KINDS or (name == MIDDLE and score > 0)
