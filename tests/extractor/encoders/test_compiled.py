"""A compiled tower sees batches of one size, whatever comes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.errors import EncoderError
from extractor.encoders.compiled import compiled, in_batches


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 11])
def test_batches_are_filled_up_and_the_filling_left_out(count: int) -> None:
    sizes = []

    def encode(pictures: Tensor) -> Tensor:
        sizes.append(len(pictures))
        return pictures.sum(dim=-1)

    pictures = torch.arange(2.0 * count).view(count, 2)
    assert torch.equal(in_batches(encode, 4, pictures), pictures.sum(dim=-1))
    assert set(sizes) == {4}


def test_without_a_compiler_it_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    with pytest.raises(EncoderError) as caught:
        compiled(lambda pictures: (pictures + 1).relu(), torch.zeros(2, 3))
    assert str(caught.value).startswith("--compile finds no compiler that works (")
    assert "no-such-compiler" in str(caught.value) and str(caught.value).endswith("; leave it out.")
