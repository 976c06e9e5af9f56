"""Which FAISS index for how many rows: one table, and any other string for those who ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import faiss

from core.errors import UsageError
from core.types import KINDS, Kind
from index.faissfile import lists_of

FLAT = "Flat"
AUTO = "auto"  # what the table says

_COPIES = 4  # of the rows it is trained on, which FAISS makes while it trains
_LEAST_ROWS = 1_000  # codes that are trained on fewer fit these and no others
_LEAST_ROWS_A_LIST = 10

_LONGEST = 200  # FAISS' own parser breaks on strings of many thousand characters


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of the table: it serves fewer rows than these, and recall up to this without much effort."""

    rows: float
    bytes: float  # of memory, for each number of a vector
    recall: float
    factory: str


TABLE = (
    Choice(100_000, 4.0, 1.0, FLAT),
    Choice(5_000_000, 2.0, 1.0, "IVF{lists},SQfp16"),
    Choice(float("inf"), 1.0, 0.99, "IVF{lists},SQ8"),
    Choice(float("inf"), 0.6, 0.97, "IVF{lists},RaBitQ4"),
)


def chosen(rows: int, dim: int, memory_bytes: int, recall: float) -> str:
    """The first line for so many rows that memory holds; the smallest where it holds none.

    As many lists as rows ask for, or as memory can train; none where it can train no index worth having.
    """
    trainable = trainable_rows(dim, memory_bytes)
    if trainable < _LEAST_ROWS:
        return FLAT
    fit = [line for line in TABLE if rows < line.rows]
    good = [line for line in fit if line.recall >= recall] or fit[:1]
    held = [line for line in good if line.bytes * dim * rows <= memory_bytes] or good[-1:]
    return held[0].factory.format(lists=min(round(4 * sqrt(rows)), trainable // _LEAST_ROWS_A_LIST))


def trainable_rows(dim: int, memory_bytes: int) -> int:
    """On how many rows an index can be trained in that memory."""
    return memory_bytes // training_bytes(dim, 1)


def training_bytes(dim: int, rows: int) -> int:
    """What training on so many rows takes."""
    return _COPIES * 4 * dim * rows


def asked(text: str) -> dict[Kind, str]:
    """What `--factory` asks for, by kind: one string for all, or KIND=STRING with spaces between."""
    words = text.split()
    if len(words) == 1 and "=" not in text:
        return dict.fromkeys(KINDS, words[0])
    found: dict[Kind, str] = {}
    for word in words:
        name, _, factory = word.partition("=")
        kind = next((kind for kind in KINDS if kind == name), None)
        if kind is None or not factory:
            raise UsageError(
                f"The factory {text!r} is neither one FAISS string nor KIND=STRING with spaces between, "
                f"of the kinds {', '.join(KINDS)}."
            )
        if kind in found:
            raise UsageError(f"The factory {text!r} names {kind} twice.")
        found[kind] = factory
    if not found:
        raise UsageError("--factory is empty; a FAISS string or 'auto' would be right.")
    return found


def require(factories: Mapping[Kind, str], dim: int) -> None:
    """Refuse what FAISS does not know before anything is done."""
    for factory in factories.values():
        if factory not in (AUTO, FLAT):
            empty(factory, dim)


def empty(factory: str, dim: int) -> Any:
    """An index by inner product that is not trained, or UsageError."""
    try:
        if len(factory) > _LONGEST:
            raise RuntimeError("too long")
        index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
        lists = lists_of(index)
        if lists is not None and lists.nlist < 1:
            raise RuntimeError("no lists")
    except RuntimeError as error:
        shown = factory if len(factory) <= _LONGEST else f"{factory[:40]}…"
        raise UsageError(f"FAISS has no index {shown!r} for vectors of {dim} numbers.") from error
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise UsageError(f"The index {factory!r} does not compare by inner product.")
    if isinstance(lists, faiss.IndexIVFScalarQuantizer) and lists.sq.qtype == faiss.ScalarQuantizer.QT_fp16:
        lists.by_residual = False  # codes are the stored numbers themselves then, and scores exact
    return index
