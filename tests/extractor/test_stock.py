"""What waits for the encoder is bounded, in order, and taken up again once half of it is gone."""

from __future__ import annotations

import threading

from extractor.stock import Stock


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
