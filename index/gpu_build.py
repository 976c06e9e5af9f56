"""Training lists and filling them on a GPU: by FAISS where it can compute on the card, else by torch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from core.types import Float32Array
from index import faiss_gpu
from index.faissfile import FAISS, lists_of

log = logging.getLogger(__name__)


def help_training(index: Any, sample: Float32Array, device: str) -> Callable[[], None]:
    """Have the GPU find where lists lie before an index is trained; what it returns is to be called after."""
    lists = lists_of(index)
    if lists is None or device == "cpu" or lists.nlist > len(sample):  # too few are refused by who trains
        return _nothing
    why = faiss_gpu.trouble()
    if not why:
        resources = FAISS.StandardGpuResources()
        on_gpu = FAISS.index_cpu_to_gpu(resources, 0, faiss.IndexFlatIP(sample.shape[1]))
        lists.clustering_index = on_gpu

        def take_off(kept: Any = (resources, on_gpu)) -> None:
            lists.clustering_index = None

        return take_off
    if _is_plain(index):
        from index.exact_gpu import centres

        # FAISS trains no quantizer that has all its centres.
        lists.quantizer.add(centres(sample, int(lists.nlist), int(lists.cp.niter), device))
    else:
        log.info("lists behind another index or a transform are trained on the processor: %s", why)
    return _nothing


def adder(index: Any, device: str) -> Callable[[Float32Array], None]:
    """What adds rows to a trained index; a GPU tells which list each belongs to."""
    if device == "cpu" or not _is_plain(index):
        plain: Callable[[Float32Array], None] = index.add
        return plain
    from index.exact_gpu import Nearest

    nearest = Nearest(index.quantizer.reconstruct_n(0, int(index.nlist)), device)

    def add(rows: Float32Array) -> None:
        rows = np.ascontiguousarray(rows)
        lists = nearest.of(rows)
        index.add_core(len(rows), FAISS.swig_ptr(rows), None, FAISS.swig_ptr(lists))

    return add


def _is_plain(index: Any) -> bool:
    """Whether rows go as they are to the list whose centre is nearest."""
    if not isinstance(index, faiss.IndexIVF):
        return False
    return isinstance(faiss.downcast_index(index.quantizer), faiss.IndexFlat)


def _nothing() -> None:
    """Nothing is on a GPU."""
