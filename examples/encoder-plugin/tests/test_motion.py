"""The contract of all encoders, and what this one is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.errors import EncoderError
from extractor.encoders import families, load
from extractor.encoders.contract import check


def pictures(*levels: int) -> torch.Tensor:
    """Of one grey each."""
    return torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 64, 64, 3).contiguous()


def test_it_is_found_by_its_entry_point() -> None:
    assert families()["motion"] == "cinedex_motion:load"


def test_it_keeps_the_contract() -> None:
    check(lambda: load("motion:light"))


def test_the_order_of_pictures_tells_what_moves() -> None:
    encoder = load("motion")
    held = encoder.features(pictures(20, 20, 20, 230, 20, 230))
    clips = encoder.clips(held, [np.array([0, 1, 2]), np.array([2, 3, 4, 5])])
    still, moving = encoder.texts(["something still", "a fast car"]) @ clips.T
    assert still[0] > still[1] and moving[1] > moving[0]


def test_dark_and_light_are_told_apart() -> None:
    encoder = load("motion")
    clips = encoder.clips(encoder.features(pictures(10, 240)), [np.array([0]), np.array([1])])
    dark, light = encoder.texts(["a dark night", "a sunny day"]) @ clips.T
    assert dark[0] > dark[1] and light[1] > light[0]


@pytest.mark.parametrize("name", ["motion:heavy"])
def test_another_variant_is_refused(name: str) -> None:
    with pytest.raises(EncoderError, match="has no variant 'heavy'"):
        load(name)
