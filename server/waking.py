"""What waits between two looks, and can be told that one is due."""

from __future__ import annotations

import asyncio

import anyio

LEAST_S = 0.5  # between two looks, however often somebody asks for one


class Waking:
    """One waits, any thread may wake it. It waits for a moment all the same, so that many who ask for what is
    not there cost no more than a few looks."""

    def __init__(self) -> None:
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def wake(self) -> None:
        """From any thread; where nobody waits, a look is under way."""
        if waiting := self._waiting:
            loop, event = waiting
            loop.call_soon_threadsafe(event.set)

    async def wait(self, seconds: float) -> None:
        """So long, or until somebody wakes it."""
        event = asyncio.Event()
        self._waiting = asyncio.get_running_loop(), event
        try:
            await anyio.sleep(min(LEAST_S, seconds))
            with anyio.move_on_after(seconds - LEAST_S):
                await event.wait()
        finally:
            self._waiting = None
