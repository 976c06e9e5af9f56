"""Who gave wrong keys lately. A secret cannot be guessed; this spares the log and the processor."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from server.errors import ApiError

MOST = 10  # wrong ones of a client
WITHIN_S = 60.0
_REMEMBERED = 10_000  # clients


class TriedError(ApiError):
    """Too many wrong keys, and for how long none is looked at any more."""

    def __init__(self, seconds: float) -> None:
        super().__init__(429, f"{MOST} wrong keys came from there within a minute.")
        self.headers = {"Retry-After": str(max(1, ceil(seconds)))}


class Attempts:
    """Counts by client, each for a minute from its first one on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def refuse(self, client: str) -> None:
        """A 429 for who has tried too often."""
        began, count = self._counts.get(client, (0.0, 0))
        left_s = began + WITHIN_S - self._clock()
        if count >= MOST and left_s > 0:
            raise TriedError(left_s)

    def count(self, client: str) -> None:
        """One more."""
        began, count = self._counts.pop(client, (0.0, 0))
        now = self._clock()
        is_new = not count or now - began >= WITHIN_S
        self._counts[client] = (now, 1) if is_new else (began, count + 1)
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
