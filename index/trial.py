"""What an index must be able to do, tried on the very one: FAISS has types that cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from core.errors import UsageError
from core.types import Float32Array, IntArray
from index import faissfile
from index.faissfile import FAISS

_ROWS, _K = 256, 8


def is_lossy(trained: Any, factory: str, sample: Float32Array, folder: Path) -> bool:
    """Whether its scores differ from those of the vectors.

    UsageError where it finds rows that are not selected, or takes room of its own when it is read mapped.
    """
    rows = sample[:_ROWS]
    index = faiss.clone_index(trained)
    try:
        index.add(rows)
        faissfile.write(index, folder / "trial")
        found = faissfile.read(folder / "trial")
        scores, positions = _search(found, rows)
    except RuntimeError as error:
        raise UsageError(
            f"The index {factory!r} cannot serve: it takes no selection of rows ({reason(error)})."
        ) from error
    if (positions[positions >= 0] % 2).any():
        raise UsageError(f"The index {factory!r} cannot serve: it finds rows that are not selected.")
    true = np.einsum("qd,qkd->qk", rows, rows[positions])
    is_there = positions >= 0
    differ = not np.allclose(scores[is_there], true[is_there], rtol=1e-5, atol=1e-6)
    _overwrite(folder / "trial")
    if np.array_equal(_search(found, rows)[0], scores):
        raise UsageError(f"The index {factory!r} cannot serve: FAISS reads it whole where others are mapped.")
    (folder / "trial").unlink()
    return differ


def reason(error: RuntimeError) -> str:
    """What FAISS says, without where in its code it says so."""
    return str(error).strip().splitlines()[0].rpartition("Error: ")[2].rstrip(".")


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


def _overwrite(path: Path) -> None:
    """What is mapped is another now, and what was read is not."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size))
