"""What waits for the encoder is bounded, in order, and taken up again once half of it is gone."""

from __future__ import annotations

import threading

import pytest
import torch

from extractor.stock import Cores, Stock, allowed


def test_what_was_put_in_comes_out_in_order() -> None:
    stock = Stock[int](8)
    assert all(stock.put(number, 0.0) for number in range(5))
    assert [stock.get(0.0) for _ in range(6)] == [0, 1, 2, 3, 4, None]


def test_a_full_stock_takes_nothing_until_half_of_it_is_gone() -> None:
    stock = Stock[int](4)
    assert [stock.put(number, 0.0) for number in range(5)] == [True] * 4 + [False]
    assert stock.get(0.0) == 0 and not stock.put(9, 0.0)
    assert stock.get(0.0) == 1 and stock.put(9, 0.0)


def test_who_waits_for_room_or_for_something_is_woken() -> None:
    stock = Stock[int](2)
    taken: list[int | None] = []
    taker = threading.Thread(target=lambda: taken.extend(stock.get(60.0) for _ in range(6)))
    taker.start()
    assert all(stock.put(number, 60.0) for number in range(6))
    taker.join(60.0)
    assert taken == [*range(6)]


@pytest.fixture
def threads() -> int:
    return torch.get_num_threads()


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
