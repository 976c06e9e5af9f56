"""The contract over every family, by the module that plugins use; and that it catches who breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.errors import EncoderError, NoTextsError
from core.types import Float32Array
from extractor.encoders import BUILT_IN, SHIPPED, TAKE_WEIGHTS, families, load
from extractor.encoders.base import Around
from extractor.encoders.contract import ContractError, check

BIT_EQUAL = ("toy",)


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


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_keeps_the_contract(family: str) -> None:
    check(lambda: load(family), bit_equal=family in BIT_EQUAL)


def test_toy_is_among_the_families_that_load() -> None:
    assert "toy" in FAMILIES


@pytest.mark.parametrize("family", BUILT_IN)
def test_every_family_that_is_built_in_is_checked(family: str) -> None:
    """Here, or in its own file of tests, by tiny weights."""
    if family not in FAMILIES:
        assert family in (*TAKE_WEIGHTS, *SHIPPED)
        name = f"test_{family.replace('-', '_')}"
        module = import_module(f"tests.extractor.encoders.{name}")
        assert module.check is check, f"{name}.py does not check the contract"


class Broken:
    """The toy encoder, with something wrong."""

    def __init__(self) -> None:
        self.toy = load("toy")
        self.spec = self.toy.spec

    def features(self, pictures: Tensor) -> Tensor:
        return self.toy.features(pictures).float()

    def clips(self, features: Tensor, index: Any) -> Tensor:
        return self.toy.clips(features, index)

    def texts(self, texts: Any) -> Tensor:
        return self.toy.texts(texts)

    def too_long(self, texts: Any) -> list[bool]:
        return self.toy.too_long(texts)


class Leaky(Broken):
    """Rows depend on the batch, as upstream models have been seen to do."""

    def features(self, pictures: Tensor) -> Tensor:
        found = super().features(pictures)
        return found + found.mean(dim=0) * 0.1


class Padded(Broken):
    """Texts depend on the longest of them."""

    def texts(self, texts: Any) -> Tensor:
        return super().texts(texts) + 0.01 * max(map(len, texts), default=0)


class Narrow(Broken):
    """Rows are of another width than it says."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, dim=11)


class Double(Broken):
    """Rows are of another type."""

    def texts(self, texts: Any) -> Tensor:
        return super().texts(texts).double()


class Mute(Broken):
    """An empty text is like nothing."""

    def texts(self, texts: Any) -> Tensor:
        return super().texts(texts) * torch.tensor([[bool(text)] for text in texts]).reshape(-1, 1)


class Endless(Broken):
    """Some numbers are none."""

    def clips(self, features: Tensor, index: Any) -> Tensor:
        return super().clips(features, index) / torch.zeros(1)


class Fussy(Broken):
    """Cannot do with nothing."""

    def texts(self, texts: Any) -> Tensor:
        return super().texts(texts or ["nothing"])


class Hasty(Broken):
    """Says of short texts that they are cut."""

    def too_long(self, texts: Any) -> list[bool]:
        return [True] * len(texts)


class Selective(Broken):
    """Lists what it knows, and does not say it of each."""

    def known(self, texts: Any) -> list[bool]:
        return [True]


class Random(Broken):
    """Is another one each time."""

    count = 0

    def __init__(self) -> None:
        super().__init__()
        Random.count += 1
        self.spec = replace(self.spec, weights=f"{Random.count}")


class Cold(Broken):
    """Says a scale that makes no probabilities."""

    logit_scale = 0.0


class Pushy(Broken):
    """Changes queries unasked."""

    def __init__(self) -> None:
        super().__init__()
        self.options = {"w": "a number"}

    def adjusted(self, queries: Float32Array, chosen: Mapping[str, Any]) -> Float32Array:
        return np.asarray(queries * 2, np.float32)


class Silent(Broken):
    """Writes one sentence for all clips."""

    def tokens(self, pictures: Tensor) -> Tensor:
        return self.features(pictures)

    def caption(self, tokens: Tensor, index: Any, *, beams: int) -> list[str]:
        return ["a colour"]


class Textless(Broken):
    """Reads no texts and says why, which is no break; what else it may have works."""

    options: Mapping[str, str] = {"w": "a number"}

    def texts(self, texts: Any) -> Tensor:
        raise NoTextsError("textless is of pictures alone.")

    def too_long(self, texts: Any) -> list[bool]:
        raise NoTextsError("textless is of pictures alone.")

    def adjusted(self, queries: Float32Array, chosen: Mapping[str, Any]) -> Float32Array:
        return queries


class Sullen(Textless):
    """Reads no texts, and says nothing."""

    def texts(self, texts: Any) -> Tensor:
        raise NoTextsError("")


class Forgetful(Textless):
    """Reads texts the second time."""

    count = 0

    def __init__(self) -> None:
        super().__init__()
        Forgetful.count += 1
        self.reads = Forgetful.count % 2 == 0

    def texts(self, texts: Any) -> Tensor:
        return Broken.texts(self, texts) if self.reads else super().texts(texts)


class Paired(Broken):
    """Makes a feature of two pictures, and is shown one a point."""

    def features(self, pictures: Tensor) -> Tensor:
        return super().features(pictures)[::2]


class Unasked(Broken):
    """Has rows of frames that nobody asks for."""

    def frames(self, features: Tensor, index: Any) -> Tensor:
        return self.clips(features, [np.array([at]) for run in index for at in run])


class Near(Unasked):
    """Looks at no more than two points at a time, which is no break."""

    around = Around(2, 1)

    def frames(self, features: Tensor, index: Any) -> Tensor:
        assert max(map(len, index)) <= 2
        return super().frames(features, index)


class Gappy(Unasked):
    """Runs leave points out."""

    around = Around(2, 3)


class Idle(Broken):
    """Says how far it looks, and does not."""

    around = Around(4, 2)


class Whole(Broken):
    """Gives a frame row a clip, not a picture."""

    around = Around(4, 2)

    def frames(self, features: Tensor, index: Any) -> Tensor:
        return self.clips(features, index)


def test_what_is_not_broken_passes() -> None:
    check(Broken)
    check(Broken, precision="bf16")
    check(Textless)
    check(Near)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (Leaky, "a clip of 1 features alone is not as among others, whose pictures were encoded together"),
        (Padded, "the text 'red' alone is not as among others"),
        (Narrow, r"clips is \(5, 12\), not \(5, 11\)"),
        (Double, "texts is torch.float64, not float32"),
        (Mute, "texts has a row of zeros"),
        (Endless, "clips has numbers that are not finite"),
        (Fussy, r"texts of none is \(1, 12\), not \(0, 12\)"),
        (Hasty, "too_long says that 'red' is cut"),
        (Selective, "known says 1 of [0-9]+ texts"),
        (Random, "loaded again, it has another spec"),
        (Cold, "logit_scale is 0.0, not a number above 0"),
        (Pushy, "adjusted changes queries unasked"),
        (Silent, "caption writes .* not a sentence for each of 2 clips"),
        (Sullen, "texts raises a NoTextsError without a reason"),
        (Forgetful, "loaded again, it reads texts where it did not, or none where it did"),
        (Paired, "features gives 4 of 8 × spec.pictures_per_feature pictures, not 8"),
        (Unasked, "frames is there without around, and so never asked"),
        (Gappy, r"Around\(points=2, step=3\) leaves points out"),
        (Idle, "around is there without frames"),
        (Whole, r"frames is \(2, 12\), not \(4, 12\)"),
    ],
)
def test_the_contract_catches_what_breaks_it(broken: type[Broken], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        check(broken)


def test_rows_that_depend_on_their_batch_are_caught_in_less_than_fp32_too() -> None:
    with pytest.raises(ContractError, match="a cosine of"):
        check(Leaky, precision="bf16")
