"""The columns that filters look at: typed once at build, mapped, and held to what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.errors import SnapshotError
from core.query import Condition, Filter, Where
from core.types import Place
from index import mapped
from index.build import build_snapshot
from index.check import damage
from index.columns import FILE, Columns, Described, instant, typed
from index.snapshot import Snapshot, folder_of
from tests.index.tagged import Shelves

PLACE = Place("films", b"a/b.mp4")


def column(*values: Any) -> tuple[str, list[Any], list[int]]:
    """Type, values and lines of a column that is in each source as given."""
    told = [Described((PLACE,), "", {} if value is None else {"x": value}) for value in values]
    found = typed(told)["metadata.x"]
    return found.type, found.values.to_pylist(), found.lines.tolist()


@pytest.mark.parametrize(
    ("values", "type", "held", "lines"),
    [
        ((1, None, 2), "number", [1, 2], [0, 2]),
        ((1, 2.5), "number", [1.0, 2.5], [0, 1]),
        ((2**63 - 1, -(2**63)), "number", [2**63 - 1, -(2**63)], [0, 1]),
        ((1, 2**63), "number", [1.0, 2.0**63], [0, 1]),
        ((1, 10**400), "text", ["1", str(10**400)], [0, 1]),
        ((True, False), "boolean", [True, False], [0, 1]),
        ((True, 1), "text", ["true", "1"], [0, 1]),
        ((1, "1"), "text", ["1", "1"], [0, 1]),
        ((["a", "b"], [], ["c", None]), "text", ["a", "b", "c"], [0, 0, 2]),
        (([1, 2], 3), "number", [1, 2, 3], [0, 0, 1]),
        (([], []), "text", [], []),
        (({"b": 1, "a": [2]},), "text", ['{"a":[2],"b":1}'], [0]),
        (([[1, 2], "x"],), "text", ["[1,2]", "x"], [0, 0]),
        (("a\ud800b", "\0"), "text", ["a\ufffdb", "\0"], [0, 1]),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_column_is_of_numbers_where_all_are_and_else_text(
    values: tuple[Any, ...], type: str, held: list[Any], lines: list[int]
) -> None:
    assert column(*values) == (type, held, lines)


def test_null_is_no_value() -> None:
    told = [Described((), "", {"x": None}), Described((), "", {"x": 3})]
    assert typed(told)["metadata.x"].values.to_pylist() == [3]


def test_a_columns_name_that_is_no_unicode_is_cleaned() -> None:
    assert "metadata.\ufffd" in typed([Described((), "", {"\udc80": 1})])


def test_paths_are_text_as_it_is_shown() -> None:
    found = typed([Described((Place("films", b"a/\xff.mp4"), Place("b\udc80", b"c")), "", {})])
    shown = {name: found[name].values.to_pylist() for name in ("root", "path", "name")}
    assert shown["path"] == ["films/a/\ufffd.mp4", "b\ufffd/c"]
    assert shown == {"root": ["films", "b\ufffd"], "path": shown["path"], "name": ["\ufffd.mp4", "c"]}


@pytest.mark.parametrize(
    ("text", "is_like"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01 02:00:00+0200", 0),
        ("1970-01-01T00:00:00.0000019", 1),
        ("1969-12-31T23:59:59.5Z", -500_000),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000_000),
        ("2026-02-30", None),
        ("2026-13", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_is_an_instant(text: str, is_like: int | None) -> None:
    assert instant(text) == is_like


def test_a_date_that_is_none_is_not_known() -> None:
    found = typed([Described((), "2026-02-30", {}), Described((), "2026-02-03", {})])["created"]
    assert (found.type, found.lines.tolist()) == ("date", [1])


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    shelves = Shelves.filled(tmp_path / "store", count=20, commits=1)
    build_snapshot(shelves.store)
    return Snapshot.open(shelves.store)


def test_the_file_says_what_the_sources_say(snapshot: Snapshot) -> None:
    written = snapshot.columns
    made = Columns.open(written.path, None, snapshot.sources)
    assert written.batches is not None and made.batches is None
    assert written.names == made.names and len(written.names) > 12
    for name in written.names:
        one, other = written.get(name), made.get(name)
        assert one is not None and other is not None
        assert one.type == other.type and one.values.equals(other.values), name
        assert one.lines.tolist() == other.lines.tolist()
    assert written.get("metadata.none") is None is made.get("metadata.none")


def test_every_byte_of_it_is_checked(snapshot: Snapshot) -> None:
    root, path = snapshot.store.root, snapshot.columns.path
    assert list(damage(root)) == []
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert any(str(path) in sentence for sentence in damage(root))


def test_one_that_is_missing_or_cut_does_not_open(snapshot: Snapshot) -> None:
    path = folder_of(snapshot.store.root, snapshot.number) / FILE
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(SnapshotError, match=r"columns\.arrow is damaged: it has \d+ bytes"):
        Snapshot.open(snapshot.store)
    path.unlink()
    with pytest.raises(SnapshotError, match=r"columns\.arrow is missing\."):
        Snapshot.open(snapshot.store)


def rewritten(snapshot: Snapshot, batch: pa.RecordBatch) -> Columns:
    """The columns with another batch than was written, and with the stamp that goes with it."""
    path = snapshot.store.root / FILE  # beside the one that is mapped
    with path.open("wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    return Columns.open(path, mapped.stamp(path), snapshot.sources)


def batch_of(snapshot: Snapshot, **lists: pa.Array) -> pa.RecordBatch:
    assert snapshot.columns.batches is not None
    held = snapshot.columns.batches["metadata.year"]
    arrays = [lists.get(name, held.column(name)) for name in held.schema.names]
    return pa.RecordBatch.from_arrays(arrays, names=held.schema.names)


def wild_lines(first: int) -> pa.Array:
    return pa.array([[first] * 3], pa.large_list(pa.int32()))


@pytest.mark.parametrize("first", [-1, 20, 2**31 - 1])
def test_lines_that_name_no_source_are_refused(snapshot: Snapshot, first: int) -> None:
    years = pa.array([[2000] * 3], pa.large_list(pa.int64()))
    columns = rewritten(snapshot, batch_of(snapshot, lines=wild_lines(first), integer=years))
    with pytest.raises(SnapshotError, match=r"is damaged: it names sources that are not there\."):
        columns.get("metadata.year")


def test_offsets_that_lead_away_are_refused_before_they_are_followed(snapshot: Snapshot) -> None:
    offsets = pa.array([0, 2**40, 2, 3], pa.int64()).buffers()[1]
    texts = pa.Array.from_buffers(pa.large_string(), 3, [None, offsets, pa.py_buffer(b"abc")])
    wild = pa.LargeListArray.from_arrays(pa.array([0, 3], pa.int64()), texts)
    nulls = pa.nulls(1, pa.large_list(pa.int64()))
    columns = rewritten(snapshot, batch_of(snapshot, lines=wild_lines(1), integer=nulls, text=wild))
    with pytest.raises(SnapshotError, match=r"columns\.arrow is damaged: "):
        columns.get("metadata.year")


def test_one_that_has_no_values_of_a_known_type_is_refused(snapshot: Snapshot) -> None:
    columns = rewritten(snapshot, batch_of(snapshot, integer=pa.nulls(1, pa.large_list(pa.int64()))))
    with pytest.raises(SnapshotError, match=r"columns\.arrow is damaged: "):
        columns.get("metadata.year")


def test_a_file_of_other_columns_does_not_open(snapshot: Snapshot) -> None:
    with pytest.raises(SnapshotError, match=r"columns\.arrow cannot be read: "):
        rewritten(snapshot, pa.RecordBatch.from_pydict({"nome": ["a"]}))


def test_columns_that_change_are_those_of_the_next_snapshot(tmp_path: Path) -> None:
    shelves = Shelves.filled(tmp_path / "store", count=8, commits=1)
    where = Where(must=(Condition("metadata.late", (("eq", "yes"),)),))
    build_snapshot(shelves.store)
    assert Snapshot.open(shelves.store).columns.get("metadata.late") is None
    film = shelves.films[3]
    shelves.tag(film, {"late": ["no", "yes"]})
    built = build_snapshot(shelves.store)
    assert built.made and not built.parts_made
    snapshot = Snapshot.open(shelves.store)
    (hits,) = snapshot.search("frame", film.rows["frame"][1][:1], 100, filter=Filter(where=where))
    assert {row.source for row in hits.segments} == {film.id}
