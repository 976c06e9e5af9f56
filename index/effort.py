"""The least effort with which a search finds enough."""

from __future__ import annotations

from collections.abc import Callable

from core.query import Effort

MOST_CANDIDATES = 64
_FINE = 16  # a choice within a sixteenth of the least is good enough: each trial searches

Finds = Callable[[Effort, float], bool]  # whether a search with that effort finds that share of the truth


def choose(finds: Finds, wanted: float, lists: int, is_lossy: bool, fewest: int = 1) -> Effort:
    """The cheapest effort that finds the wanted share; where none does the one that finds most.

    fewest: lists that are probed anyhow for the most candidates.
    """
    if not is_lossy:
        return Effort(least(lists, lambda n: finds(Effort(n), wanted)))
    # What is lost is lost to lists that are not probed and to codes that are not told apart; at first each
    # may lose half of it, since with the least lists of all no number of candidates would do.
    half = (1 + wanted) / 2
    probed = least(lists, lambda n: finds(Effort(n, MOST_CANDIDATES), half), fewest)
    candidates = least(MOST_CANDIDATES, lambda m: finds(Effort(probed, m), wanted))
    return Effort(least(probed, lambda n: finds(Effort(n, candidates), wanted)), candidates)


def least(most: int, is_enough: Callable[[int], bool], first: int = 1) -> int:
    """The least of first…most that is enough, to a sixteenth; most where none below is."""
    low, high = min(first, most) - 1, min(first, most)  # low is not enough
    while high < most and not is_enough(high):
        low, high = high, min(2 * high, most)
    while high - low > max(1, high // _FINE):
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
