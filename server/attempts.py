"""Who gave wrong keys lately. A secret cannot be guessed; this spares the log and the processor."""

from __future__ import annotations

import time
from collections import OrderedDict

from server.errors import ApiError

MOST = 10  # wrong ones of a client
WITHIN_S = 60.0
_REMEMBERED = 10_000  # clients


class Attempts:
    """Counts by client, each for a minute from its first one on."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def refuse(self, client: str) -> None:
        """A 429 for who has tried too often."""
        began, count = self._counts.get(client, (0.0, 0))
        if count >= MOST and time.monotonic() - began < WITHIN_S:
            raise ApiError(429, f"{MOST} wrong keys came from there within a minute.")

    def count(self, client: str) -> None:
        """One more."""
        began, count = self._counts.pop(client, (0.0, 0))
        now = time.monotonic()
        is_new = not count or now - began >= WITHIN_S
        self._counts[client] = (now, 1) if is_new else (began, count + 1)
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
