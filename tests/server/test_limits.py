"""Places and threads of requests."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable

import pytest

from server.errors import ApiError
from server.limits import Slots
from tests.server.worlds import until


def _nothing(seconds: float) -> None:
    return None


def _begun(slots: Slots, work: Callable[[], object]) -> asyncio.Task[object]:
    return asyncio.create_task(slots.run(work, _nothing))


async def _left(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def test_who_leaves_keeps_a_place_for_as_long_as_a_thread_works_for_it() -> None:
    slots, places = Slots(1, 0), list[float]()
    slots.watch(places.append)
    begun, let_go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert let_go.wait(30)

    async def leave() -> None:
        task = _begun(slots, work)
        await asyncio.to_thread(begun.wait, 30)
        await _left(task)
        with pytest.raises(ApiError, match="All 1 slots"):
            await slots.run(list, _nothing)
        let_go.set()
        await asyncio.to_thread(until, lambda: sum(places) == 0)
        assert await slots.run(list, _nothing) == []

    asyncio.run(leave())


@pytest.mark.usefixtures("unwatched")
def test_of_who_leaves_while_it_waits_nothing_is_kept() -> None:
    slots = Slots(1, 1)
    begun, let_go = threading.Event(), threading.Event()

    class Payload:
        """As large as an upload."""

        def used(self) -> None:
            raise AssertionError

    def work() -> None:
        begun.set()
        assert let_go.wait(30)

    async def leave() -> None:
        first = _begun(slots, work)
        await asyncio.to_thread(begun.wait, 30)
        payload = Payload()
        held = weakref.ref(payload)
        second = _begun(slots, payload.used)
        await asyncio.sleep(0)
        await _left(second)
        del payload, second
        await asyncio.to_thread(until, lambda: gc.collect() >= 0 and held() is None)
        third = _begun(slots, list)
        let_go.set()
        assert await first is None and await third == []

    asyncio.run(leave())
