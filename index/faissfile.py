"""FAISS' files, which hold no checksums: read within limits, written so that a full disk says so."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import faiss

from core.errors import SnapshotError
from index.folders import opening

FAISS: Any = faiss  # its types are those of C++, and not what its Python wrappers take

_STEP_BYTES = 1 << 20
_READING = threading.Lock()  # FAISS' limits are the process'


def read(path: Path, *, is_mapped: bool = True) -> Any:
    """The index in a file whose size and ends were compared before, or SnapshotError."""
    with opening(path):
        limit = 2 * path.stat().st_size
    with _READING:
        faiss.set_deserialization_vector_byte_limit(limit)
        faiss.set_deserialization_loop_limit(limit)
        try:
            return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if is_mapped else 0)
        except (RuntimeError, MemoryError) as error:
            raise SnapshotError(f"{path} is damaged: FAISS does not read it.") from error


def write(index: Any, path: Path) -> None:
    """Through a file of ours: FAISS prints what goes wrong with its own, and tells nobody."""
    with path.open("wb") as file:
        FAISS.write_index(index, FAISS.PyCallbackIOWriter(file.write, _STEP_BYTES))


def lists_of(index: Any) -> Any:
    """The index of inverted lists that it is or transforms vectors for, else None; to be kept with it."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    return inner if isinstance(inner, faiss.IndexIVF) else None
