"""A user's own arrays, each with a parquet table beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from extractor.texts import text_id
from tests.extractor.exchange.foreign import Importer, units, write_pair

ROWS: Mapping[str, Any] = {
    "path": ["b.mp4", "a.mp4", "b.mp4", "a.mp4"],
    "start": [4.0, 0.0, 0.0, 1.5],
    "end": [5.0, 1.5, 4.0, 3.0],
}


def test_rows_are_taken_with_their_times_in_order_and_their_columns(
    importer: Importer, tmp_path: Path
) -> None:
    columns = dict(ROWS) | {"tag": ["x", "y", "x", "y"], "when": [date(2024, 5, 1)] * 4}
    said = importer.run(write_pair(tmp_path / "mine", "vectors", units(4), columns))
    assert said == "toy-rgb-imported: 2 sources imported, 4 frame rows.\n"
    start, end, rows = importer.rows("b.mp4", "frame")
    assert (start, end) == ([0, 4], [4, 5])
    assert np.array_equal(rows, units(4)[[2, 0]])
    assert importer.columns()["a.mp4"] == {"tag": "y", "when": "2024-05-01"}
    assert importer.facts("a.mp4")["approximate"] is False


def test_frames_and_clips_of_one_video_are_one_source(importer: Importer, tmp_path: Path) -> None:
    folder = write_pair(tmp_path / "mine", "frame", units(4), ROWS)
    write_pair(folder, "clip", units(2, seed=1), {"path": ["a.mp4", "c.mp4"], "start": [0, 2], "end": [3, 9]})
    said = importer.run(folder)
    assert said == "toy-rgb-imported: 3 sources imported, 4 frame rows, 2 clip rows.\n"
    assert importer.rows("a.mp4", "clip")[:2] == ([0], [3])
    assert importer.rows("c.mp4", "clip")[:2] == ([2], [9])


def test_texts_become_library_texts(importer: Importer, tmp_path: Path) -> None:
    folder = write_pair(
        tmp_path / "mine", "text", units(3), {"text": ["a cat", " ", "a dog"], "n": [1, 2, 3]}
    )
    importer.run(folder)
    assert set(importer.sources().values()) == {text_id("a cat"), text_id("a dog")}
    assert importer.columns()[f"text.parquet#{text_id('a dog')}"] == {"n": 3}


def test_a_row_without_an_end_lasts_to_the_next(importer: Importer, tmp_path: Path) -> None:
    columns = {"path": ["a"] * 3 + ["b"], "start": [1, 2, 4, 7]}
    importer.run(write_pair(tmp_path / "mine", "vectors", units(4), columns))
    assert importer.rows("a", "frame")[1] == [2, 4, 6]
    assert importer.rows("b", "frame")[1] == [7]


def test_rows_without_times_are_pictures_at_the_stated_rate(importer: Importer, tmp_path: Path) -> None:
    columns = {"path": ["a", "b", "a"]}
    importer.run(write_pair(tmp_path / "mine", "vectors", units(3), columns), "--fps", "4")
    assert importer.rows("a", "frame")[:2] == ([0, 0.25], [0.25, 0.5])
    assert importer.rows("a", "clip")[:2] == ([0], [0.5])
    assert importer.facts("a")["approximate"] is True


def test_a_table_of_many_row_groups_is_read_in_parts(importer: Importer, tmp_path: Path) -> None:
    names = [f"{n // 100}.mp4" for n in range(140_000)]
    columns = {"path": names, "start": np.arange(len(names)) % 100, "n": np.arange(len(names))}
    importer.run(write_pair(tmp_path / "mine", "vectors", np.tile(units(10), (14_000, 1)), columns))
    assert importer.columns()["1399.mp4"] == {"n": 139_900}
    assert len(importer.sources()) == 1_400


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"path": None}, "has no column 'path'; it has start, end."),
        ({"start": None, "end": None}, "holds no times; --fps says"),
        ({"end": [5.0, 1.5, 4.0, 1.0]}, "row 3 ends at 1 s, before it starts at 1.5 s."),
        ({"start": [4.0, 0.0, float("nan"), 1.5]}, "column 'start' holds what is no finite number."),
        ({"start": ["soon"] * 4}, "column 'start' must be seconds"),
        ({"path": ["a", None, "a", "a"]}, "lacks 1 values of its column 'path'."),
        ({"path": ["", "a", "a", "a"]}, "whose path is empty."),
        ({"path": pa.array([1, 2, 3])}, "vectors.npy has 4 rows and"),
    ],
)
def test_a_table_that_does_not_tell_its_rows_is_refused(
    importer: Importer, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    columns = {name: value for name, value in (dict(ROWS) | changed).items() if value is not None}
    if len(columns.get("path", ())) == 3:
        columns = {"path": columns["path"]}
    folder = write_pair(tmp_path / "mine", "vectors", units(4), columns)
    assert says in importer.refuse(folder)


def test_an_array_without_its_table_is_refused(importer: Importer, tmp_path: Path) -> None:
    folder = write_pair(tmp_path / "mine", "frame", units(4), ROWS)
    np.save(folder / "clip.npy", units(4))
    assert "clip.npy has no clip.parquet beside it" in importer.refuse(folder)


def test_two_tables_with_frames_of_one_video_are_refused(importer: Importer, tmp_path: Path) -> None:
    folder = write_pair(tmp_path / "mine", "one", units(4), ROWS)
    write_pair(folder, "two", units(4), ROWS)
    assert "both hold frame rows of 'b.mp4'." in importer.refuse(folder)


def test_no_rows_at_all_are_refused(importer: Importer, tmp_path: Path) -> None:
    columns = {"path": pa.array([], pa.string()), "start": pa.array([], pa.float64())}
    folder = write_pair(tmp_path / "mine", "vectors", units(4)[:0], columns)
    assert importer.refuse(folder) == f"{folder} holds no vectors."


def test_a_store_of_other_dimensions_is_left_alone(importer: Importer, tmp_path: Path) -> None:
    importer.run(write_pair(tmp_path / "mine", "vectors", units(4), ROWS))
    other = write_pair(tmp_path / "other", "vectors", units(4, dim=16), ROWS)
    said = importer.run(other, "--store", str(importer.store.root), code=1)
    assert said.endswith("toy-rgb-imported holds vectors of 12 numbers, not of 16.\n")
