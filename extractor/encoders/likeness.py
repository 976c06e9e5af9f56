"""Whose a checkpoint looks, by the names of its tensors: said to who gave one family another's."""

from __future__ import annotations

from collections.abc import Iterable

_PREFIX = "mmmodel."  # before every key of VideoCLIP's authors
_LOOKS = (  # the first of which each beginning is there
    ("clip2video", ("frame_position_embeddings.", "weight_center")),
    ("videoclip", ("video_encoder.", "text_encoder.")),
    ("s3d", ("mixed_5c.", "conv_2c.")),
    ("a CoCa of open_clip (videococa)", ("visual.", "text_decoder.")),
    ("a CLIP of the package transformers", ("vision_model.", "text_model.", "visual_projection.")),
    ("a plain CLIP of open_clip", ("visual.", "token_embedding.")),
    ("a plain CLIP of open_clip", ("visual.", "text.")),
)


def likeness(keys: Iterable[str]) -> str:
    """Of which family, or ""."""
    names = [key.removeprefix(_PREFIX) for key in keys]
    for family, beginnings in _LOOKS:
        if all(any(name.startswith(begin) for name in names) for begin in beginnings):
            return family
    return ""
