"""What an index must be able to do, tried on the very one: FAISS has types that cannot."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import SnapshotError, UsageError
from core.types import Float32Array, IntArray
from index import faissfile
from index.faissfile import FAISS, reason

_ROWS, _K = 256, 8


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial showed."""

    is_lossy: bool  # its scores differ from those of the vectors
    row_bytes: int  # of a row in its file


def tried(factory: str, sample: Float32Array, folder: Path) -> Tried:
    """UsageError where it finds rows that are not selected, or is not mapped when it is read so.

    folder: holds it as "faiss".
    """
    rows = sample[:_ROWS]
    try:
        index = faissfile.read(folder / "faiss", is_mapped=False)  # as parts are made
        index.add(rows)
        faissfile.write(index, folder / "trial")
        found = faissfile.read(folder / "trial")
        scores, positions = _search(found, rows)
    except SnapshotError as error:
        raise UsageError(
            f"The index {factory!r} cannot serve: what FAISS writes of it is not what is read again."
        ) from error
    except RuntimeError as error:
        raise UsageError(
            f"The index {factory!r} cannot serve: it takes no selection of rows ({reason(error)})."
        ) from error
    if (positions[positions >= 0] % 2).any():
        raise UsageError(f"The index {factory!r} cannot serve: it finds rows that are not selected.")
    true = np.einsum("qd,qkd->qk", rows, rows[positions])
    is_there = positions >= 0
    differ = bool((np.abs(scores - true) > _within(rows, rows[positions], true))[is_there].any())
    row_bytes = ((folder / "trial").stat().st_size - (folder / "faiss").stat().st_size) / len(rows)
    _overwrite(folder / "trial")
    if np.array_equal(_search(found, rows)[0], scores):
        raise UsageError(f"The index {factory!r} cannot serve: FAISS reads it whole where others are mapped.")
    try:
        faissfile.require_sound(found, folder / "trial", factory)
    except SnapshotError as error:
        raise UsageError(
            f"The index {factory!r} cannot serve: what FAISS writes of it is not what a part is made of."
        ) from error
    (folder / "trial").unlink()
    return Tried(differ, ceil(row_bytes))


def _search(index: Any, rows: Float32Array) -> tuple[Float32Array, IntArray]:
    """Among every second row."""
    selector = FAISS.IDSelectorBitmap(np.packbits(np.arange(len(rows)) % 2 == 0, bitorder="little"))
    lists = faissfile.lists_of(index)
    if lists is None:
        params = FAISS.SearchParameters(sel=selector)
    else:
        params = FAISS.SearchParametersIVF(sel=selector, nprobe=lists.nlist)
    scores, positions = index.search(rows, min(_K, len(rows)), params=params)
    return scores, positions


def _within(queries: Float32Array, rows: Float32Array, scores: Float32Array) -> Float32Array:
    """By how much a score may differ for the order alone in which it was added up."""
    found: Float32Array = (
        1e-5 * np.abs(scores)
        + 1e-6 * np.linalg.norm(rows, axis=2) * (np.linalg.norm(queries, axis=1)[:, None])
    )
    return found


def _overwrite(path: Path) -> None:
    """What is mapped is another now, and what was read is not."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size))
