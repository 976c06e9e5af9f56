"""What a benchmark keeps is taken again only as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import search, serve
from benchmarks.kept import is_kept, keep
from extractor.encoders import load

MADE = {"benchmark": "search", "rows": 5, "grown": False, "factory": ""}


def test_what_was_made_so_is_taken_and_anything_else_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    assert not is_kept(folder, MADE)
    folder.mkdir()
    with pytest.raises(SystemExit, match=r"store was not made to its end; remove it"):
        is_kept(folder, MADE)
    keep(folder, MADE)
    assert is_kept(folder, MADE)
    with pytest.raises(SystemExit, match=r"store\.json says .* rows=5 .*, not .* rows=6 "):
        is_kept(folder, {**MADE, "rows": 6})


def test_each_benchmark_looks_before_it_asks_what_lies_there(tmp_path: Path) -> None:
    for name in ("store", "data"):
        (tmp_path / name).mkdir()
        keep(tmp_path / name, MADE)
    for change in ({"rows": 6}, {"factory": "Flat"}, {"is_grown": True}):
        asked = {"rows": 5, "factory": "", "is_grown": False, **change}
        with pytest.raises(SystemExit, match="remove both"):
            search.bench(tmp_path / "store", lists=0, **asked)
    with pytest.raises(SystemExit, match="remove both"):
        serve.filled(tmp_path / "data", load("toy:rgb"), 5)
