"""Clips that a caption is not true of, out of a batch's own pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from extractor.world.chance import Chance
from extractor.world.query import satisfies
from training.choices import KINDS, Choices, choices, loss
from training.moving import Moving, ordinary


@pytest.fixture(scope="module")
def clips() -> Moving:
    return ordinary("train", 0, 5, 64)


@pytest.fixture(scope="module")
def chosen(clips: Moving) -> Choices:
    return choices(clips, Chance(3))


def own(clips: Moving, rows: object, number: int) -> float:
    """The share of these pictures that are of that clip."""
    return float(np.isin(np.asarray(rows), clips.index[number]).mean())


def test_right_ones_are_mostly_the_clip_and_wrong_ones_at_most_half_of_it(
    clips: Moving, chosen: Choices
) -> None:
    count = len(clips.scenes)
    assert len(chosen.index) == KINDS * count and choices(clips, Chance(3)).index[0] is not chosen.index[0]
    right, cut = chosen.index[:count], chosen.index[2 * count :]
    assert all(own(clips, rows, number) >= 0.6 for number, rows in enumerate(right))
    assert all(0 < own(clips, rows, number) <= 0.6 for number, rows in enumerate(cut))
    assert all(1 <= len(rows) <= 12 for rows in (*right, *cut))
    assert {own(clips, rows, number) == 1 for number, rows in enumerate(right)} == {True, False}


def test_a_cut_leaves_the_end_of_one_and_the_beginning_of_another(clips: Moving, chosen: Choices) -> None:
    for number, rows in enumerate(chosen.index[2 * len(clips.scenes) :]):
        (jumps,) = np.nonzero(np.diff(rows) != 1)
        assert len(jumps) <= 1
        mine, first = clips.index[number], int(rows[0]) in clips.index[number]
        assert (mine[-1] in rows) if first else (mine[0] in rows)


def test_backwards_is_wrong_where_the_caption_tells_it(clips: Moving, chosen: Choices) -> None:
    count = len(clips.scenes)
    pairs = zip(clips.scenes, clips.claims, chosen.index[count : 2 * count], strict=True)
    for number, (scene, claim, rows) in enumerate(pairs):
        assert rows.tolist() == clips.index[number][::-1].tolist()
        assert bool(chosen.known[number, 1]) != satisfies(scene.reversed(), claim)
    assert chosen.known[:, 0].all() and len(set(chosen.known[:, 1].tolist())) == 2


def test_what_is_not_known_to_be_wrong_does_not_count() -> None:
    texts = torch.eye(2, 4)
    right, wrong = texts.clone(), texts.clone()  # as near as the right ones
    all_three = torch.cat([right, wrong, wrong])
    known = torch.tensor([[True, False, False], [True, True, True]])
    found = loss(all_three, texts, torch.tensor(0.0), known)
    assert float(found) == pytest.approx(math.log(3) / 2)
    far = torch.cat([right, -wrong, -wrong])
    assert float(loss(far, texts, torch.tensor(3.0), known)) == pytest.approx(0.0, abs=1e-6)
