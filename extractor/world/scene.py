"""Things on a ground that move: all that there is to know of some seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from extractor.world.motions import DIRECTIONS, MOST, REVERSED, pose

Relation = Literal[
    "left of",
    "right of",
    "above",
    "below",
    "above left of",
    "above right of",
    "below left of",
    "below right of",
]
RELATIONS: dict[tuple[int, int], Relation] = {  # where the second lies, seen from the first
    (1, 0): "left of",
    (-1, 0): "right of",
    (0, 1): "above",
    (0, -1): "below",
    (1, 1): "above left of",
    (-1, 1): "above right of",
    (1, -1): "below left of",
    (-1, -1): "below right of",
}
OPPOSITE = {how: RELATIONS[-x, -y] for (x, y), how in RELATIONS.items()}

SIZES = {"small": 0.085, "medium": 0.13, "large": 0.19}  # radius, of the picture's side
_BOUNDS = (("small", 0.105), ("medium", 0.157))  # below which radius a thing is called so
PLACES = tuple(f"{y} {x}" for y in ("top", "middle", "bottom") for x in ("left", "centre", "right"))
_OUTER = 1.15  # radii from the middle of a shape to its farthest point, at most
_STRAIGHT, _SLANTED = 0.45, 0.6  # the lesser distance of the greater, at most and at least
PANNED = 0.3  # of the picture's side, that a pan goes over
_APART = 0.06  # of the side, at least, between things of which a relation is told


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape. Lengths are of the picture's side; x and y are the middle of its path."""

    shape: str
    colour: str
    texture: str
    radius: float
    x: float
    y: float
    motion: str = ""  # of what is seen at one moment alone, nothing is known
    reach: float = 0.0  # length of its path
    turn: float = 0.0  # degrees clockwise
    phase: float = 0.0  # where its round begins, in turns

    @property
    def size(self) -> str:
        return next((name for name, bound in _BOUNDS if self.radius < bound), "large")

    @property
    def place(self) -> str:
        """The ninth of the picture that its middle never leaves, whichever motion it had; or none."""
        cells = []
        for at in (self.y, self.x):
            low, high = (int(3 * min(max(at + d, 0.0), 0.999)) for d in (-self.reach / 2, self.reach / 2))
            if low != high:
                return ""
            cells.append(low)
        return PLACES[3 * cells[0] + cells[1]]


@dataclass(frozen=True, slots=True)
class Scene:
    """Things, the first ones behind the others, and what the camera does."""

    things: tuple[Thing, ...]
    ground: str
    variant: int = 0
    pan: str = ""  # where the camera turns to
    corner: tuple[float, float] = (0.3, 0.3)  # of the ground, that the picture begins at, at half time

    def reversed(self) -> Scene:
        """What its pictures show backwards."""
        things = tuple(
            replace(thing, motion=REVERSED[thing.motion] if thing.motion else "") for thing in self.things
        )
        return replace(self, things=things, pan=REVERSED[self.pan] if self.pan else "")


def swept(radius: float, reach: float) -> float:
    """How far from the middle of its path a thing could come, whichever motion it had."""
    return max(radius * _OUTER * MOST, radius * _OUTER + reach / 2)


def still(scene: Scene, part: float) -> Scene:
    """What is to be seen at one moment, after a part of the time: without what is hidden, nor any motion."""
    seen = []
    for thing in scene.things:
        dx, dy, scale, is_seen = pose(thing.motion, part, thing.phase)
        if is_seen:
            x, y = thing.x + dx * thing.reach / 2, thing.y + dy * thing.reach / 2
            seen.append(replace(thing, radius=thing.radius * scale, x=x, y=y, motion="", reach=0.0))
    dx, dy = DIRECTIONS[scene.pan] if scene.pan else (0.0, 0.0)
    gone = PANNED * (part - 0.5)
    corner = scene.corner[0] + dx * gone, scene.corner[1] + dy * gone
    return replace(scene, things=tuple(seen), pan="", corner=corner)


def relation(first: Thing, second: Thing) -> Relation | None:
    """How the first lies to the second all the time, whichever motions they had; None where it is moot."""
    apart, moved = (second.x - first.x, second.y - first.y), (first.reach + second.reach) / 2
    near, far = sorted(map(abs, apart))
    is_slanted = near > far * _SLANTED
    if (
        far - moved < _APART
        or (is_slanted and near - moved < _APART)
        or far * _STRAIGHT < near <= far * _SLANTED
    ):
        return None
    x, y = (0 if abs(d) < far and not is_slanted else 1 if d > 0 else -1 for d in apart)
    return RELATIONS[x, y]
