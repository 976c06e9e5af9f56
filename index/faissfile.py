"""FAISS' files, which hold no checksums: read within limits, written so that a full disk says so."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import faiss

from core.errors import SnapshotError
from index.folders import opening

FAISS: Any = faiss  # its types are those of C++, and not what its Python wrappers take

_STEP_BYTES = 1 << 20
_ID_BYTES = 8
_TABLE_BYTES = 2 << 30
_WHERE = re.compile(r"^Error in .* at \S+:[0-9]+: ")
_NEVER = ("IDMap", "Shards", "Replicas")  # these write into a caller's parameters
_READING = threading.Lock()  # FAISS' limits are the process'


def read(path: Path, *, is_mapped: bool = True) -> Any:
    """The index in a file whose size and ends were compared before, or SnapshotError."""
    with opening(path):
        size = path.stat().st_size
    with _READING:
        # FAISS holds against it a table that it might make of product codes as well.
        faiss.set_deserialization_vector_byte_limit(max(2 * size, min(1024 * size, _TABLE_BYTES)))
        faiss.set_deserialization_loop_limit(2 * size)
        try:
            return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if is_mapped else 0)
        except (RuntimeError, MemoryError) as error:
            raise SnapshotError(f"{path} is damaged: FAISS does not read it.") from error


def write(index: Any, path: Path) -> None:
    """Through a file of ours: FAISS prints what goes wrong with its own, and tells nobody."""
    with path.open("wb") as file:
        FAISS.write_index(index, FAISS.PyCallbackIOWriter(file.write, _STEP_BYTES))


def reason(error: RuntimeError) -> str:
    """What FAISS says, without where in its code it says so."""
    first = str(error).strip().splitlines()[0]
    return _WHERE.sub("", first).rpartition("Error: ")[2].rstrip(".")


def lists_of(index: Any) -> Any:
    """The index of inverted lists that it is or transforms vectors for, else None; to be kept with it."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    return inner if isinstance(inner, faiss.IndexIVF) else None


def centroids_of(lists: Any) -> Any:
    """The index of its centroids that finds the nearest of any selection."""
    coarse = faiss.downcast_index(lists.quantizer)
    # A graph is walked towards a query, and of a selection that is elsewhere finds few or none.
    return faiss.downcast_index(coarse.storage) if isinstance(coarse, faiss.IndexHNSW) else coarse


def head_bytes(index: Any, size: int) -> int:
    """How much of its file says how the rest is to be read: centroids and the lengths of lists, of which a
    wrong one makes FAISS crash. Codes and ids come behind; all of it where there are no lists."""
    lists = lists_of(index)
    if lists is None:
        return 0 if isinstance(index, faiss.IndexFlatCodes) else size
    return max(0, size - int(index.ntotal) * (int(lists.code_size) + _ID_BYTES))


def require_sound(index: Any, path: Path, trained: str) -> None:
    """Refuse what searches would trip over though it can be read: the hash of it may fit as well."""
    lists = lists_of(index)
    name = type(index).__name__
    is_known = name.startswith("IndexFlat") if not trained else not any(word in name for word in _NEVER)
    if not is_known or (lists is not None and not _are_whole(lists)):
        raise SnapshotError(f"{path} is damaged: it is not an index that was built here.")


def _are_whole(lists: Any) -> bool:
    held = lists.invlists
    return (
        lists.quantizer is not None
        and held is not None
        and lists.metric_type == faiss.METRIC_INNER_PRODUCT  # behind a transform it is searched itself
        and lists.quantizer.d == lists.d
        and lists.quantizer.ntotal == lists.nlist == held.nlist
        and lists.code_size == held.code_size
        and held.compute_ntotal() == lists.ntotal
    )
