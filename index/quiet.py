"""FAISS prints about few rows to train on, for each of its clusterings: whom nobody asked to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import faiss

from index.faissfile import FAISS

_PARAMETERS = "cp"
_QUANTIZERS = "pq", "rq", "prq"  # of an index that has codes


def silence(index: Any) -> list[Any]:
    """Before it is trained. What it returns is to be kept until it is."""
    kept: list[Any] = []
    for each in _within(index):
        for holder in (each, *(getattr(each, name, None) for name in _QUANTIZERS)):
            _silence_one(holder)
        if isinstance(each, faiss.OPQMatrix) and each.pq is None:
            # It would make one of its own, as this one is.
            quantizer = FAISS.ProductQuantizer(each.d_out, each.M, 8)
            _silence_one(quantizer)
            each.pq = quantizer
            kept.append(quantizer)
    return kept


def _silence_one(holder: Any) -> None:
    parameters = getattr(holder, _PARAMETERS, None)
    if parameters is not None:
        parameters.min_points_per_centroid = 1
    for number in range(int(getattr(holder, "nsplits", 0))):
        _silence_one(FAISS.downcast_AdditiveQuantizer(holder.subquantizer(number)))


def _within(index: Any) -> Iterator[Any]:
    """An index, and all that it is made of."""
    yield index
    if isinstance(index, faiss.IndexPreTransform):
        chain: Any = index.chain
        for number in range(chain.size()):
            yield FAISS.downcast_VectorTransform(chain.at(number))
    for name in ("index", "quantizer", "base_index", "refine_index", "storage"):
        inner = getattr(index, name, None)
        if isinstance(inner, faiss.Index):
            yield from _within(faiss.downcast_index(inner))
