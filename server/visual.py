"""What was decoded for a request → vectors, by the encoder that it was decoded for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.query import Frames
from core.types import Float32Array, Kind
from extractor.encoders.base import Encoder
from server.errors import ApiError


def photos(frames: Sequence[Frames], encoder: Encoder) -> Float32Array:
    """float32 [n, dim]: a row of each."""
    from extractor.encoders.rows import photo_rows

    _require_fit(frames, encoder)
    return photo_rows(encoder, np.concatenate([each.pixels for each in frames]))


def video(frames: Frames, encoder: Encoder) -> Mapping[Kind, Float32Array]:
    """The rows that a store would hold of it."""
    from extractor.encoders.rows import video_rows

    _require_fit([frames], encoder)
    return video_rows(encoder, frames)


def _require_fit(frames: Sequence[Frames], encoder: Encoder) -> None:
    spec = encoder.spec
    if spec.pictures_per_feature != 1:
        raise ApiError(409, f"The encoder {spec.name} looks at runs of pictures, and takes none alone.")
    if any(each.look != spec.look for each in frames):
        raise ApiError(503, f"The encoder {spec.name} was changed while a picture was decoded for it.")
