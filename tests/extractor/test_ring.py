"""Slots that both sides fill and empty in the same order."""

from __future__ import annotations

import os

import numpy as np
import pytest

from extractor.media.ring import Ring, block, slots_for


@pytest.mark.parametrize(("size", "slots"), [(32, 16), (224, 16), (1024, 16), (3000, 2), (9000, 2)])
def test_there_are_fewer_slots_for_huge_pictures(size: int, slots: int) -> None:
    assert slots_for(size) == slots


def test_what_one_side_puts_the_other_takes_round_and_round() -> None:
    memory = block(3)
    one, other = Ring(memory, 3), Ring(memory, 3)
    os.close(memory)
    assert one.count == slots_for(3)
    taken = []
    for number in range(2 * one.count + 1):
        one.put(np.full((3, 3, 3), number, np.uint8))
        taken.append(other.take())
    assert [picture.max() for picture in taken] == [*range(2 * one.count + 1)]  # copies: none is written over
