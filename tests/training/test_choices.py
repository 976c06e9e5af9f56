"""Clips that a caption is not true of, out of a batch's own pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from extractor.world.chance import Chance
from extractor.world.query import satisfies
from training.choices import Choices, choices, loss
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


def test_a_cut_leaves_some_of_a_clip_and_never_all(clips: Moving, chosen: Choices) -> None:
    count = len(clips.scenes)
    assert len(chosen.index) == 2 * count and len(chosen.wrong) == count
    shares = [own(clips, rows, number) for number, rows in enumerate(chosen.index[count:])]
    assert 0.2 < min(shares) < 0.4 and 0.8 < max(shares) < 0.95
    assert all(2 <= len(rows) <= 12 for rows in chosen.index[count:])
    again = choices(clips, Chance(3))
    assert all(map(np.array_equal, again.index, chosen.index))


def test_a_cut_leaves_the_end_of_one_and_the_beginning_of_another(clips: Moving, chosen: Choices) -> None:
    for number, rows in enumerate(chosen.index[len(clips.scenes) :]):
        (jumps,) = np.nonzero(np.diff(rows) != 1)
        assert len(jumps) <= 1
        mine, first = clips.index[number], int(rows[0]) in clips.index[number]
        foreign = next(row for row in rows if row not in mine)
        (other,) = [each for each in clips.index if foreign in each]
        assert (mine[-1] in rows and other[0] in rows) if first else (mine[0] in rows and other[-1] in rows)


def test_backwards_is_wrong_where_the_caption_tells_it(clips: Moving, chosen: Choices) -> None:
    count = len(clips.scenes)
    pairs = zip(clips.scenes, clips.claims, chosen.index[:count], strict=True)
    for number, (scene, claim, rows) in enumerate(pairs):
        assert rows.tolist() == clips.index[number][::-1].tolist()
        assert bool(chosen.wrong[number, 0]) != satisfies(scene.reversed(), claim)
    assert len(set(chosen.wrong[:, 0].tolist())) == 2 and chosen.wrong[:, 1].float().mean() > 0.8


def test_what_is_not_known_to_be_wrong_does_not_count() -> None:
    texts, scale = torch.eye(2, 4), torch.tensor(0.0)
    wrong = torch.tensor([[False, False], [True, True]])
    alike = torch.cat([texts, texts])
    assert float(loss(texts, alike, texts, scale, wrong)) == pytest.approx(math.log(3) / 2)
    assert float(loss(texts, -alike, texts, scale + 3, wrong)) == pytest.approx(0.0, abs=1e-6)
