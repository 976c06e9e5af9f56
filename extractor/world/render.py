"""Scenes to pictures. Of each picture only the boxes that things lie in are touched."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from extractor.world.colours import COLOURS, shade
from extractor.world.grounds import SCALE, Pixels, ground
from extractor.world.motions import DIRECTIONS, pose
from extractor.world.scene import PANNED, Scene, Thing
from extractor.world.shapes import CELLS, EXTENT, Floats, distances
from extractor.world.textures import shares

_ONE = np.float32(1)


def render(scene: Scene, parts: Sequence[float], side: int) -> Pixels:
    """[parts, side, side, 3]: the scene after each part (0 … 1) of its time."""
    pictures = _behind(scene, parts, side)
    for thing in scene.things:
        _paint(pictures, thing, parts, side)
    return pictures


def _behind(scene: Scene, parts: Sequence[float], side: int) -> Pixels:
    whole = ground(scene.ground, scene.variant, side)
    found = np.empty((len(parts), side, side, 3), np.uint8)
    if not scene.pan:
        x, y = (_pixel(at, side) for at in scene.corner)
        found[:] = whole[y : y + side, x : x + side]
        return found
    dx, dy = DIRECTIONS[scene.pan]
    for picture, part in zip(found, parts, strict=True):
        gone = PANNED * (part - 0.5)
        x, y = _pixel(scene.corner[0] + dx * gone, side), _pixel(scene.corner[1] + dy * gone, side)
        picture[:] = whole[y : y + side, x : x + side]
    return found


def _pixel(at: float, side: int) -> int:
    return min(max(int(at * side + 0.5), 0), round(SCALE * side) - side)


def _paint(pictures: Pixels, thing: Thing, parts: Sequence[float], side: int) -> None:
    """One thing into all pictures that it is seen in."""
    poses = [pose(thing.motion, part, thing.phase) for part in parts]
    seen = [number for number, each in enumerate(poses) if each.is_seen]
    if not seen:
        return
    half = thing.reach / 2
    x = np.array([(thing.x + poses[number].dx * half) * side for number in seen], np.float32)
    y = np.array([(thing.y + poses[number].dy * half) * side for number in seen], np.float32)
    radius = np.array([thing.radius * poses[number].scale * side for number in seen], np.float32)
    box = min(int(2 * EXTENT * float(radius.max())) + 2, side)
    left, top = (np.clip((at - box / 2).astype(np.int32), 0, side - box) for at in (x, y))
    cells = _cells(left - x, top - y, radius, box, thing.turn)
    alpha = np.rint(np.clip(0.5 - distances(thing.shape)[cells] * radius[:, None, None], 0, 1) * 256)
    _blend(pictures, seen, (left, top), alpha.astype(np.int32), _ink(thing, cells))


def _cells(left: Floats, top: Floats, radius: Floats, box: int, turn: float) -> NDArray[np.int32]:
    """[n, box, box]: where in the maps each pixel of the boxes lies."""
    scale = np.float32(CELLS / 2 / EXTENT) * _ONE / radius[:, None]
    line = np.arange(box, dtype=np.float32) + np.float32(0.5)
    u, v = (line + left[:, None]) * scale, (line + top[:, None]) * scale
    cos = np.float32(round(math.cos(math.radians(turn)), 6))
    sin = np.float32(round(math.sin(math.radians(turn)), 6))
    middle = np.float32(CELLS / 2)
    column = (cos * u + middle)[:, None, :] + (sin * v)[:, :, None]
    row = (cos * v + middle)[:, :, None] - (sin * u)[:, None, :]
    for each in (column, row):
        np.clip(each, 0, CELLS - 1, out=each)
    return row.astype(np.int32) * CELLS + column.astype(np.int32)


def _ink(thing: Thing, cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """[3], or [n, box, box, 3]: the colour of it at each pixel."""
    base = np.array(COLOURS[thing.colour], np.int32)
    if thing.texture == "plain":
        return base
    share = np.rint(shares(thing.texture)[cells] * 256).astype(np.int32)[..., None]
    return base + ((np.array(shade(thing.colour), np.int32) - base) * share >> 8)


def _blend(
    pictures: Pixels,
    numbers: Sequence[int],
    corners: tuple[NDArray[np.int32], NDArray[np.int32]],
    alpha: NDArray[np.int32],
    ink: NDArray[np.int32],
) -> None:
    """Whole numbers only, so that the last bits of floats do not show."""
    box = alpha.shape[1]
    for i, (number, left, top) in enumerate(zip(numbers, *(each.tolist() for each in corners), strict=True)):
        under = pictures[number, top : top + box, left : left + box]
        over = ink if ink.ndim == 1 else ink[i]
        under[:] = under + (((over - under) * alpha[i, ..., None] + 128) >> 8)
