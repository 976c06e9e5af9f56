"""Weights and inputs of a golden, made again from its manifest; numpy alone, so the same numbers everywhere.

    seed  = first 8 bytes, little endian, of SHA-256(UTF-8(the manifest's seed + name))
    n     = numpy Generator(PCG64(seed)).standard_normal(shape, dtype=float32)
    value = float32(add) + float32(mul) * n          (|n| instead of n where the manifest says "abs")

`name` is the key of a weight; of an input it is "input:" and its name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Manifest = dict[str, Any]


def load(path: Path) -> tuple[Manifest, dict[str, Array]]:
    """A manifest, with the folder that it lies in, and the arrays beside it."""
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict):
        raise ValueError("it is no object")
    stored = path.with_suffix(".npz")
    if not stored.exists():
        return manifest | {"folder": str(path.parent)}, {}
    with np.load(stored, allow_pickle=False) as held:
        return manifest | {"folder": str(path.parent)}, dict(held)


def weights(manifest: Manifest) -> dict[str, Array]:
    """Every weight by its key in the authors' file; an AssertionError where it is made of other numbers."""
    found = {key: _weight(manifest["seed"], key, entry) for key, entry in manifest["weights"].items()}
    for key, array in found.items():
        _verify(key, array, manifest["weights"][key])
    return found


def inputs(manifest: Manifest, stored: Mapping[str, Array]) -> dict[str, Array]:
    """Every input by its name; some, as token ids and masks, lie beside the expected arrays."""
    return {name: _input(manifest["seed"], name, spec, stored) for name, spec in manifest["inputs"].items()}


def _normal(name: str, shape: Sequence[int]) -> NDArray[np.float32]:
    seed = int.from_bytes(sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(tuple(shape), dtype=np.float32)


def _weight(seed: str, key: str, entry: Mapping[str, Any]) -> Array:
    shape, spec = tuple(entry["shape"]), entry["spec"]
    if "arange" in spec:
        return np.arange(np.prod(shape, dtype=np.int64), dtype=entry["dtype"]).reshape(shape)
    if "value" in spec:
        return np.full(shape, spec["value"], dtype=entry["dtype"])
    drawn = _normal(seed + key, shape)
    if spec.get("abs"):
        drawn = np.abs(drawn)
    drawn *= np.float32(spec["mul"])
    drawn += np.float32(spec["add"])
    return np.asarray(drawn, dtype=entry["dtype"])


def _verify(key: str, array: Array, entry: Mapping[str, Any]) -> None:
    flat = array.reshape(-1)
    total, scale = float(flat.sum(dtype=np.float64)), float(np.abs(flat).sum(dtype=np.float64)) + 1
    is_same = float(flat[0]) == entry["first"] and abs(total - entry["sum"]) <= 1e-9 * scale
    assert is_same, f"{key} is made of other numbers than the manifest's"


def _input(seed: str, name: str, spec: Mapping[str, Any], stored: Mapping[str, Array]) -> Array:
    if spec["kind"] == "stored":
        return stored[name]
    base, shape = f"{seed}input:{name}", tuple(spec["shape"])
    made: Array
    if spec["kind"] == "normal":
        made = _normal(base, shape) * np.float32(spec["mul"]) + np.float32(spec["add"])
    else:
        made = _blocks(base, shape, spec)
    if spec["kind"] == "uint8":
        return np.asarray(np.rint(np.clip(made, np.float32(0), np.float32(255))), np.uint8)
    if spec.get("lo") is not None:
        made = np.clip(made, np.float32(spec["lo"]), np.float32(spec["hi"]))
    for item, keep in enumerate(spec.get("keep", [])):
        made[item, keep:] = 0
    return np.asarray(made)


def _blocks(base: str, shape: tuple[int, ...], spec: Mapping[str, Any]) -> Array:
    """A coarse grid, each of its values a block, and fine noise on top."""
    coarse = _normal(base + ":coarse", spec["grid"])
    for axis, (whole, part) in enumerate(zip(shape, spec["grid"], strict=True)):
        coarse = np.repeat(coarse, whole // part, axis=axis) if whole != part else coarse
    assert coarse.shape == shape, f"the grid {spec['grid']} does not divide {shape}"
    made: NDArray[np.float32] = coarse * np.float32(spec["coarse"])
    if spec["fine"]:
        made += _normal(base + ":fine", shape) * np.float32(spec["fine"])
    made += np.float32(spec["add"])
    return np.asarray(made)
