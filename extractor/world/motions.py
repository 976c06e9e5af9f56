"""The sixteen motions. Each passes the middle of its path at half time, and backwards it is another one of
them, picture for picture: nothing but the order of its pictures tells which it is."""

from __future__ import annotations

import math
from typing import NamedTuple

DIRECTIONS: dict[str, tuple[float, float]] = {
    "left": (-1.0, 0.0),
    "right": (1.0, 0.0),
    "up": (0.0, -1.0),
    "down": (0.0, 1.0),
    "up left": (-0.7, -0.7),
    "down right": (0.7, 0.7),
    "up right": (0.7, -0.7),
    "down left": (-0.7, 0.7),
}
MOTIONS = (
    *DIRECTIONS,
    *("still", "clockwise", "anticlockwise", "grow", "shrink", "blink", "appear", "vanish"),
)
KINDS = (  # a motion and what it is backwards
    *(("left", "right"), ("up", "down"), ("up left", "down right"), ("up right", "down left")),
    *(("still",), ("clockwise", "anticlockwise"), ("grow", "shrink"), ("blink",), ("appear", "vanish")),
)
REVERSED = {
    motion: kind[1 - i] if len(kind) == 2 else motion for kind in KINDS for i, motion in enumerate(kind)
}
SENSED = tuple(motion for motion in MOTIONS if REVERSED[motion] != motion)  # that are others backwards
TURNING = ("clockwise", "anticlockwise")
HIDING = ("blink", "appear", "vanish")
PANS = ("left", "right", "up", "down")  # where the camera turns to

LEAST, MOST = 0.6, 1.25  # of its radius, while it grows or shrinks
_BLINK = (0.1, 0.3)  # of the time away from half time, between which it is hidden
MOMENTS = (0.1, 0.3, 0.45, 0.5, 0.55, 0.7, 0.9)  # between them they show all that hiding does to a scene


class Pose(NamedTuple):
    """Where a thing is, in half lengths of its path from the middle of it; its scale; and if it is seen."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0
    is_seen: bool = True


def pose(motion: str, part: float, phase: float = 0.0) -> Pose:
    """After a part (0 … 1) of the time. `phase` is where a round begins, in turns."""
    if motion in DIRECTIONS:
        dx, dy = DIRECTIONS[motion]
        return Pose(dx * (2 * part - 1), dy * (2 * part - 1))
    if motion in ("clockwise", "anticlockwise"):
        sense = 1 if motion == "clockwise" else -1
        angle = 2 * math.pi * (phase + sense * (part - 0.5))
        return Pose(round(math.cos(angle), 9), round(math.sin(angle), 9))
    if motion in ("grow", "shrink"):
        grown = part if motion == "grow" else 1 - part
        return Pose(scale=LEAST + (MOST - LEAST) * grown)
    if motion == "blink":
        return Pose(is_seen=not _BLINK[0] < abs(part - 0.5) < _BLINK[1])
    if motion in ("appear", "vanish"):
        return Pose(is_seen=part >= 0.5 if motion == "appear" else part <= 0.5)
    return Pose()
