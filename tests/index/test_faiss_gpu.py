"""Whether FAISS can compute on a GPU is tried in a child, which it may take along."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import faiss
import pytest

from index.faiss_gpu import trouble


def gpu_build(cards: int) -> Any:
    """What a build for GPUs says of itself."""
    return SimpleNamespace(__version__="1.2.3", StandardGpuResources=object, get_num_gpus=lambda: cards)


def test_a_build_for_processors_is_told_by_what_it_lacks() -> None:
    if hasattr(faiss, "StandardGpuResources"):
        pytest.skip("This FAISS is a build for GPUs.")
    assert trouble() == f"faiss {faiss.__version__} is built for processors"


def test_a_gpu_build_without_a_gpu_is_not_tried() -> None:
    assert trouble(gpu_build(0), "raise SystemExit(0)") == "faiss 1.2.3 sees no GPU"


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        ("import os; os.abort()", "faiss 1.2.3 cannot compute on this GPU: it ended with -6"),
        (
            "raise RuntimeError('no kernel image')",
            "faiss 1.2.3 cannot compute on this GPU: RuntimeError: no kernel image",
        ),
        (
            "assert False, '0.10 of its answers are right'",
            "faiss 1.2.3 cannot compute on this GPU: AssertionError: 0.10 of its answers are right",
        ),
        ("", ""),
    ],
)
def test_what_a_trial_ends_with_is_why(trial: str, why: str) -> None:
    assert trouble(gpu_build(1), trial) == why
