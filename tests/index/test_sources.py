"""What is known of the sources, and how much of it is kept at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.rules import LiveSource
from core.types import Facts, Place
from index import mapped, sources
from index.sources import FILE, Known, Sources, write


@pytest.fixture
def some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    """A hundred, in batches of seven, of which ten are remembered."""
    monkeypatch.setattr(sources, "_BATCH", 7)
    monkeypatch.setattr(sources, "LINES", 10)
    monkeypatch.setattr(sources, "INFO_BYTES", 20_000)
    live = (LiveSource(f"v-{n:03d}", (Place("films", b"%d.mp4" % n, "s"),), {"n": n}) for n in range(100))
    write(tmp_path / FILE, live, {f"v-{n:03d}": Known({"seconds": float(n)}) for n in range(100)})
    return Sources.open(tmp_path / FILE, mapped.stamp(tmp_path / FILE))


def test_each_is_found_by_its_id_and_known_whole(some: Sources) -> None:
    for _ in range(2):
        for line in range(100):
            found = some.info(some.find(f"v-{line:03d}"))
            assert (found.id, found.facts, found.columns) == (
                f"v-{line:03d}",
                Facts(seconds=float(line)),
                {"n": line},
            )
    assert some.named(np.array([99, 0, 7, 6, 7])) == ["v-099", "v-000", "v-007", "v-006", "v-007"]


def test_few_are_remembered_and_no_id_that_a_stranger_made_up(some: Sources) -> None:
    for line in range(100):
        some.info(some.find(f"v-{line:03d}"))
    assert [line for line in range(100) if some._lines.get(f"v-{line:03d}") is not None] == [*range(90, 100)]
    known = [line for line in range(100) if some._infos.get(line) is not None]
    assert known == [*range(100 - len(known), 100)] and 5 < len(known) < 20
    for made_up in ("", "v-", "v-0000", "w" * 100_000, "v-1000"):
        assert some.find(made_up) == -1
        assert some._lines.get(made_up) is None
