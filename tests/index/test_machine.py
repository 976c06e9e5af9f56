"""Whatever is done to a store, and in whatever order: each answer is the one that scoring every row gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from index import merge
from tests.index.machine import machine

FACTORIES = ("Flat", "IVF3,SQfp16", "IVF2,SQ8")
STEPS = 14


def run(root: Path, factory: str, seed: int, steps: int) -> None:
    try:
        machine(root, seed, dict.fromkeys(("frame", "clip"), factory)).run(steps)
    except Exception as error:
        raise AssertionError(f"seed {seed} of {factory}: {error}") from error


@pytest.fixture(autouse=True)
def no_short_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows would be scored one by one, and the index never asked."""
    monkeypatch.setattr(merge, "FEW_ROWS", 0)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("seed", range(2))
def test_every_answer_is_the_one_of_a_naive_model(tmp_path: Path, factory: str, seed: int) -> None:
    run(tmp_path / "store", factory, seed, STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("seed", range(100, 140))
def test_the_same_of_many_more_and_longer_lives(tmp_path: Path, factory: str, seed: int) -> None:
    run(tmp_path / "store", factory, seed, 60)
