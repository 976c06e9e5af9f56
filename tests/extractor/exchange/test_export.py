"""`cinedex export`: all live rows, as other tools read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.commands import main
from core.store import Store
from core.types import KINDS, Kind
from tests.durable import every_step
from tests.extractor.shelf import Rows, Shelf, vectors

FIRST, SECOND = "red.mp4", "cats/vfr.mkv"


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Two videos, one of them twice, and two texts with a column."""
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red.mp4", FIRST)
    shelf.put(videos / "red.mp4", "cats/red again.mp4")
    shelf.put(videos / "vfr.mkv", SECOND)
    (tmp_path / "texts.jsonl").write_text('{"text": "a red thing", "lang": "en"}\n{"text": "blau"}\n')
    shelf.extract(f"--texts={tmp_path / 'texts.jsonl'}", f"--videos={shelf.films}")
    return shelf


def export(shelf: Shelf, *flags: str, to: str = "out", code: int = 0) -> Path:
    folder = shelf.folder / to
    data = () if "--store" in flags else ("--data", str(shelf.folder / "data"))
    assert main(["export", str(folder), *data, *flags]) == code
    return folder


def rows_of(folder: Path, kind: Kind) -> dict[tuple[str, Kind], Rows]:
    """What an export to npy holds, as `vectors` has it."""
    table = pq.read_table(folder / f"{kind}.parquet").to_pydict()
    array, found = np.load(folder / f"{kind}.npy"), {}
    for source in dict.fromkeys(table["source"]):
        mine = [i for i, each in enumerate(table["source"]) if each == source]
        times = ([table[name][i] for i in mine] for name in ("start", "end"))
        found[source, kind] = (*times, array[mine].tobytes())
    return found


def test_every_live_row_is_in_the_arrays_with_its_times(shelf: Shelf) -> None:
    folder = export(shelf)
    found = {key: rows for kind in KINDS for key, rows in rows_of(folder, kind).items()}
    assert found == vectors(shelf.store)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("about.json", "clip.npy", "clip.parquet", "frame.npy", "frame.parquet"),
        *("probes.npy", "text.npy", "text.parquet"),
    ]


def test_a_row_says_where_its_source_lies_and_what_is_known_of_it(shelf: Shelf) -> None:
    folder = export(shelf)
    lines = pq.read_table(folder / "frame.parquet").to_pylist()
    line: dict[str, Any] = next(line for line in lines if line["path"] in (FIRST, "cats/red again.mp4"))
    assert {place["path"] for place in line["places"]} == {b"red.mp4", b"cats/red again.mp4"}
    assert (line["root"], line["codec"], line["seconds"], line["width"]) == ("films", "h264", 10.0, 160)
    texts = pq.read_table(folder / "text.parquet").to_pylist()
    assert {(line["text"], line["columns"]) for line in texts} == {
        ("a red thing", '{"lang":"en"}'),
        ("blau", "{}"),
    }


def test_about_json_says_what_made_the_vectors(shelf: Shelf) -> None:
    about = json.loads((export(shelf) / "about.json").read_text())
    assert about["encoder"]["fingerprint"] == shelf.store.spec.fingerprint
    assert about["sampling"]["fps"] == 1.0
    assert about["rows"] == {"frame": 50, "clip": 6, "text": 2} | {
        kind: len(np.load(shelf.folder / "out" / f"{kind}.npy")) for kind in KINDS
    }


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_tables_can_hold_the_vectors_themselves(shelf: Shelf, dtype: str) -> None:
    arrays, tables = export(shelf), export(shelf, "--to", "parquet", "--dtype", dtype, to="tables")
    assert not (tables / "frame.npy").exists()
    column = pq.read_table(tables / "frame.parquet")["vector"].combine_chunks()
    held = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 12)
    assert held.dtype == dtype
    assert np.array_equal(held, np.load(arrays / "frame.npy"))


def test_one_kind_alone_can_be_had(shelf: Shelf) -> None:
    folder = export(shelf, "--kind", "clip", "--dtype", "float32")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("about.json", "clip.npy", "clip.parquet", "probes.npy")
    ]
    assert np.load(folder / "clip.npy").dtype == np.float32


def test_what_was_removed_or_is_gone_or_was_done_again_is_not_exported(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["remove", "films/red.mp4", f"--data={shelf.folder / 'data'}"]) == 0
    shelf.extract("--again", f"--videos={shelf.films / SECOND}")
    folder = export(shelf)
    assert set(pq.read_table(folder / "frame.parquet")["path"].to_pylist()) == {SECOND}
    assert len(rows_of(folder, "frame")) == 1
    (shelf.films / SECOND).unlink()
    shelf.extract("--prune=force")
    capsys.readouterr()
    export(shelf, "--kind", "frame", to="none", code=2)
    assert capsys.readouterr().err.endswith("toy-rgb has no live frame rows.\n")


def test_a_store_is_chosen_as_other_verbs_choose_it(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    expected = np.load(export(shelf) / "clip.npy")
    for number, flags in enumerate([["--store", str(shelf.store.root)], ["--encoder", "toy:rgb"]]):
        assert np.array_equal(np.load(export(shelf, *flags, to=f"again-{number}") / "clip.npy"), expected)
    capsys.readouterr()
    export(shelf, "--encoder", "toy:none", to="none", code=2)
    export(shelf, "--collection", "none", to="none", code=2)
    assert capsys.readouterr().err.splitlines() == [
        "cinedex export: Collection 'default' has no store of toy:none; it has toy:rgb.",
        f"cinedex export: {shelf.folder / 'data'} has no collection 'none'; it has default.",
    ]


def test_a_folder_that_holds_something_is_left_alone(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    (shelf.folder / "out").mkdir()
    export(shelf)
    capsys.readouterr()
    export(shelf, code=2)
    assert "is there already; an export is made in a new folder." in capsys.readouterr().err


def test_an_export_killed_at_any_step_is_whole_or_not_there(shelf: Shelf) -> None:
    folder, store = shelf.folder / "out", Store.open(shelf.store.root)
    expected = vectors(store)

    def check(step: int) -> None:
        if folder.exists():
            found = {key: rows for kind in KINDS for key, rows in rows_of(folder, kind).items()}
            assert found == expected, f"half an export after step {step}"
            for path in folder.iterdir():
                path.unlink()

    assert every_step(lambda: export(shelf), check, lambda: None) >= 10
