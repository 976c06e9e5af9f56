"""What every encoder must keep, whoever wrote it.

A plugin's author runs it over a family of their own by importing `check` from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from core.errors import EncoderError
from extractor.encoders import families, load
from extractor.encoders.base import Contextual, Encoder, around_of

BIT_EQUAL = ("toy",)
TEXTS = ["red", "a green thing", "ein Hund läuft über die Wiese", "", "word " * 500, "🐈", "white"]
SINGLE = [1, 2, 3, 5, 8]  # features a clip


def loadable() -> list[str]:
    """Families that load as they are; those that need weights are checked where their weights are made."""
    found = []
    for family in families():
        try:
            load(family)
        except EncoderError:
            continue
        found.append(family)
    return found


FAMILIES = loadable()


def pictures(encoder: Encoder, count: int, seed: int = 0) -> Tensor:
    size = encoder.spec.look.size
    random = np.random.default_rng(seed)
    flat = random.integers(0, 256, (count, 1, 1, 3)) + random.integers(-60, 60, (count, size, size, 3))
    return torch.from_numpy(np.clip(flat, 0, 255).astype(np.uint8))


def features(encoder: Encoder, count: int) -> Tensor:
    return encoder.features(pictures(encoder, count * encoder.spec.pictures_per_feature))


def assert_same(found: Tensor, expected: Tensor, *, bit_equal: bool, precision: str = "fp32") -> None:
    """The rule for all encoders: bit-equal for toy, 1e-5 relative in fp32, cosine 0.999 in bf16."""
    if bit_equal:
        assert torch.equal(found, expected)
    elif precision == "fp32":
        assert float((found - expected).norm() / expected.norm()) <= 1e-5
    else:
        assert float(torch.cosine_similarity(found.double(), expected.double(), dim=-1).min()) >= 0.999


def check(make: Callable[[], Encoder], *, bit_equal: bool = False, precision: str = "fp32") -> None:
    """All of the contract over one encoder; `make` loads it."""
    encoder = make()
    same: dict[str, Any] = {"bit_equal": bit_equal, "precision": precision}
    check_rows(encoder)
    check_batches(encoder, same)
    if around_of(encoder) is not None:
        check_frames(encoder, same)
    check_reload(encoder, make(), same)


def check_rows(encoder: Encoder) -> None:
    """Shape, dtype, finite, comparable."""
    dim, held = encoder.spec.dim, features(encoder, 8)
    clips = encoder.clips(held, [np.arange(n) for n in SINGLE])
    texts = encoder.texts(TEXTS)
    for rows, count in ((clips, len(SINGLE)), (texts, len(TEXTS))):
        assert (tuple(rows.shape), rows.dtype) == ((count, dim), torch.float32)
        assert bool(torch.isfinite(rows).all())
        assert bool((rows.norm(dim=-1) > 0).all())
    assert tuple(encoder.clips(held, []).shape) == (0, dim)
    assert tuple(encoder.texts([]).shape) == (0, dim)
    too_long = encoder.too_long(TEXTS)
    assert len(too_long) == len(TEXTS)
    assert not too_long[0]


def check_batches(encoder: Encoder, same: dict[str, Any]) -> None:
    """A row does not depend on what else is in the batch, nor on the order of its clip's neighbours."""
    per, count = encoder.spec.pictures_per_feature, 8
    held = pictures(encoder, count * per)
    whole = encoder.features(held)
    alone = torch.cat([encoder.features(held[i * per : (i + 1) * per]) for i in range(count)])
    index = [np.arange(n) for n in SINGLE] + [np.array([i]) for i in range(count)]
    clips = encoder.clips(whole, index)
    for one, points in zip(clips, index, strict=True):
        assert_same(encoder.clips(alone, [points])[0], one, **same)
        assert_same(encoder.clips(alone[points], [np.arange(len(points))])[0], one, **same)
    texts = encoder.texts(TEXTS)
    for text, row in zip(TEXTS, texts, strict=True):
        assert_same(encoder.texts([text])[0], row, **same)


def check_frames(encoder: Encoder, same: dict[str, Any]) -> None:
    """Where frames look around: a row for each entry of each run, which depends on its run alone."""
    looking, held = cast(Contextual, encoder), features(encoder, 3)
    runs = [np.array([0, 1, 2]), np.array([1]), np.array([2, 1])]
    rows = looking.frames(held, runs)
    assert (tuple(rows.shape), rows.dtype) == ((6, encoder.spec.dim), torch.float32)
    assert bool(torch.isfinite(rows).all())
    assert tuple(looking.frames(held, []).shape) == (0, encoder.spec.dim)
    alone = torch.cat([looking.frames(held[run], [np.arange(len(run))]) for run in runs])
    for one, other in zip(alone, rows, strict=True):
        assert_same(one, other, **same)


def check_reload(encoder: Encoder, again: Encoder, same: dict[str, Any]) -> None:
    """The same when it is loaded again, and so its name for what it makes."""
    assert again.spec == encoder.spec
    assert again.spec.fingerprint == encoder.spec.fingerprint
    index = [np.arange(3)]
    assert_same(again.clips(features(again, 3), index), encoder.clips(features(encoder, 3), index), **same)
    assert_same(again.texts(TEXTS), encoder.texts(TEXTS), **same)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_keeps_the_contract(family: str) -> None:
    check(lambda: load(family), bit_equal=family in BIT_EQUAL)


def test_toy_is_among_the_families_that_load() -> None:
    assert "toy" in FAMILIES


class Leaky:
    """An encoder whose rows depend on the batch, as upstream models have been seen to do."""

    def __init__(self) -> None:
        self._toy = load("toy")
        self.spec = self._toy.spec

    def features(self, pictures: Tensor) -> Tensor:
        found = self._toy.features(pictures).float()
        return found + found.mean(dim=0) * 0.1

    def clips(self, features: Tensor, index: Any) -> Tensor:
        return self._toy.clips(features, index)

    def texts(self, texts: Any) -> Tensor:
        return self._toy.texts(texts)

    def too_long(self, texts: Any) -> list[bool]:
        return self._toy.too_long(texts)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_contract_catches_rows_that_depend_on_their_batch(precision: str) -> None:
    with pytest.raises(AssertionError):
        check(Leaky, precision=precision)
