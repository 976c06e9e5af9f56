"""What the last build was asked, and what was true then, as an enemy leaves it: the next one does without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.store import Store
from index import asked, mapped, truth
from index.build import build_snapshot
from index.snapshot import Snapshot
from tests.index import mutations
from tests.index.test_hostile import forged
from tests.index.worlds import DIM, world


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lived = world(tmp_path / "store")
    lived.add(12)
    lived.add(3, "text")
    build_snapshot(lived.store)
    lived.add(2)
    return lived.store.root


def table(root: Path) -> pa.Table:
    return pa.ipc.open_file(pa.py_buffer((root / "snapshots/000001" / asked.FILE).read_bytes())).read_all()


def written(held: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, held.schema) as writer:
        writer.write_table(held)
    return bytes(sink.getvalue())


def replaced(root: Path, name: str, data: bytes) -> None:
    """With a stamp that fits."""
    path = root / "snapshots/000001" / name
    mutations.replace(path, data)
    forged(root, lambda held: held["files"].update({name: mapped.stamp(path)}))


def told(held: pa.Table, metadata: bytes) -> pa.Table:
    return held.replace_schema_metadata({"cinedex": metadata})


def with_column(held: pa.Table, name: str, column: Any) -> pa.Table:
    return held.set_column(held.schema.get_field_index(name), name, column)


def of_other_length(held: pa.Table) -> pa.Table:
    flat = pa.array(np.zeros(len(held) * (DIM + 1), np.float32))
    return with_column(held, "vector", pa.FixedSizeListArray.from_arrays(flat, DIM + 1))


def with_holes(held: pa.Table) -> pa.Table:
    return with_column(held, "start", pa.nulls(len(held), pa.float64()))


QUERIES: list[Callable[[pa.Table], bytes]] = [
    lambda held: b"",
    lambda held: b"ARROW1\0\0",
    lambda held: written(held)[:-40],
    lambda held: written(held.replace_schema_metadata(None)),
    *(
        lambda held, said=said: written(told(held, said))
        for said in (b"{", b"3", b"[" * 100_000, b'["frame"]', b'{"frame": "x"}', b'{"frame": -1}')
    ),
    lambda held: written(told(held, b'{"frame": 3, "clip": 3, "text": 3}')[:0]),
    lambda held: written(held.drop_columns("vector")),
    lambda held: written(of_other_length(held)),
    lambda held: written(with_holes(held)),
    lambda held: written(with_column(held, "kind", pa.array([3] * len(held)))),
]


@pytest.mark.parametrize("change", QUERIES)
def test_queries_that_are_none_are_drawn_anew(
    root: Path, change: Callable[[pa.Table], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    replaced(root, asked.FILE, change(table(root)))
    built = build_snapshot(Store.open(root))
    assert built.published
    assert "snapshot=2 is measured anew: " in caplog.text
    assert f"{asked.FILE} is damaged: it holds no queries of {DIM} numbers." in caplog.text


def test_what_is_true_of_rows_that_are_not_there_is_found_anew(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = next(each for each in Snapshot.open(Store.open(root)).parts if each.about.kind == "frame")
    path = root / "snapshots/000001" / truth.file_of(part.about.name)
    rows = np.load(path)
    rows["position"][0] = part.about.rows
    mutations.replace(path, b"")
    np.save(path, rows)
    replaced(root, path.name, path.read_bytes())
    assert build_snapshot(Store.open(root)).published
    assert f"part={part.about.name} is compared anew: " in caplog.text
    assert "is damaged: it names a row that is not there." in caplog.text
