"""The encoder computes on the cores that no decoder is busy on, and leaves torch as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
import torch

from extractor.cores import Cores, allowed


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_the_encoder_has_the_cores_that_no_decoder_is_busy_on(threads: int) -> None:
    cores = Cores(threads)
    for busy, expected in ((0, threads), (1, max(1, threads - 1)), (threads + 3, 1), (0, threads)):
        cores.leave(busy)
        assert torch.get_num_threads() == expected


def test_it_never_has_more_than_torch_was_told(threads: int) -> None:
    assert allowed(threads + 5) == threads
    assert allowed(0) == 0
    Cores(0).leave(threads + 5)
    assert torch.get_num_threads() == threads


def test_torch_is_left_as_it_was(threads: int) -> None:
    with closing(Cores(2)) as cores:
        cores.leave(1)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads
