"""A column of strings read one at a time."""

from __future__ import annotations

import pyarrow as pa
import pytest

from index.strings import Strings

SOME = ["", "v-1", "Ünïcode", "视频", "🎬", "x" * 70_000]


@pytest.mark.parametrize("chunks", [[SOME], [SOME[:2], [], SOME[2:]], [[name] for name in SOME], [[]], []])
def test_each_is_what_arrow_says(chunks: list[list[str]]) -> None:
    column = pa.chunked_array([pa.array(each, pa.string()) for each in chunks], pa.string())
    names = Strings.of(column)
    assert [*names] == column.to_pylist()
    assert len(names) == len(column)


def test_a_slice_begins_where_it_begins() -> None:
    column = pa.chunked_array([pa.array(SOME).slice(2, 3)])
    assert [*Strings.of(column)] == SOME[2:5]


@pytest.mark.parametrize("line", [-1, len(SOME)])
def test_there_is_no_line_outside(line: int) -> None:
    with pytest.raises(IndexError, match="there is no line"):
        Strings.of(pa.chunked_array([SOME]))[line]


def test_what_lies_behind_the_last_edge_is_not_looked_at() -> None:
    _, edges, data = pa.array(SOME).buffers()
    longer = pa.py_buffer(edges.to_pybytes()[: 4 * len(SOME) + 4] + b"\1")  # as a damaged file may say
    column = pa.chunked_array([pa.Array.from_buffers(pa.string(), len(SOME), [None, longer, data])])
    assert [*Strings.of(column)] == SOME
