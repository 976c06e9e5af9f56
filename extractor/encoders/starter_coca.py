"""`starter-coca`: a small CoCa over all pictures of a clip, by the code of `videococa`. It knows the sample
world and no other, and writes captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from core.types import Sampling
from extractor.encoders.base import EXACT, Pace
from extractor.encoders.hub import SAFE
from extractor.encoders.open_clip import ready
from extractor.encoders.recipe import CONFIG, LOCAL_DIR
from extractor.encoders.starter import folder, refuse
from extractor.encoders.videococa import FAMILY as VIDEOCOCA
from extractor.encoders.videococa import VideoCoCa, opened

FAMILY = "starter-coca"
SAMPLING = Sampling(fps=2.0, clip_seconds=4.0, stride_seconds=2.0)  # eight pictures a clip


def load(
    variant: str,
    device: str,
    weights: Path | None,
    *,
    look: Mapping[str, str] = MappingProxyType({}),
    pace: Pace = EXACT,
    **options: object,
) -> VideoCoCa:
    """As `videococa:local-dir:FOLDER` loads it, under its own name."""
    refuse(FAMILY, variant, weights, options, f"{VIDEOCOCA}:{LOCAL_DIR}FOLDER")
    device = ready(device, pace, None, None)
    encoder = opened(FAMILY, f"{LOCAL_DIR}{folder(FAMILY, CONFIG, SAFE)}", device, look, pace)
    encoder.spec = replace(encoder.spec, sampling=SAMPLING)
    return encoder
