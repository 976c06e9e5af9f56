"""What an act costs in CPU seconds, and several acts in turn: what else the machine does meets all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Of all processes. `waited_s` (for pictures), `encode_s` and `write_s`: what a worker's main thread did
    meanwhile; `held_s`: how long its decoders waited for the encoder."""

    cpu_s: float
    wall_s: float
    pictures: int = 0
    decoder_cpu_s: float = 0.0
    waited_s: float = 0.0
    encode_s: float = 0.0
    write_s: float = 0.0
    held_s: float = 0.0


Way = Callable[[], Cost]


def cost_of(act: Callable[[], int]) -> Cost:
    """Of something that this process does alone; it says how many pictures that were."""
    started, before = time.monotonic(), time.process_time()
    pictures = act()
    return Cost(time.process_time() - before, time.monotonic() - started, pictures)


def rounds(ways: Mapping[str, Way], count: int) -> list[dict[str, Cost]]:
    """Each way once a round, every second round in the reverse order."""
    found = []
    for number in range(count):
        names = list(ways)[:: -1 if number % 2 else 1]
        found.append({name: ways[name]() for name in names})
    return found


def ratios(found: Sequence[Mapping[str, Cost]], over: str, under: str) -> tuple[float, ...]:
    """How often the one's CPU seconds hold the other's, round by round."""
    return tuple(each[over].cpu_s / each[under].cpu_s for each in found)
