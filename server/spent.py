"""What a request has had of what is measured out to each, however many searches it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Spent:
    """Seconds of a request so far. is_in: it was let in, and is not refused any more for want of a place."""

    decoding_s: float = 0.0
    fetching_s: float = 0.0
    is_in: bool = False
