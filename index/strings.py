"""A column of strings, of which one at a time is read: for Arrow each would be an object of its own first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Strings:
    """Where each of them begins in the bytes of its chunk, and at which line each chunk."""

    firsts: tuple[int, ...]
    edges: tuple[memoryview, ...]
    bytes_: tuple[memoryview, ...]
    count: int

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Strings:
        """Those of a column of pa.string(), which stay where they are."""
        firsts, edges, bytes_, count = [], [], [], 0
        for chunk in column.chunks:
            if len(chunk):
                _, offsets, data = chunk.buffers()
                firsts.append(count)
                behind = chunk.offset + len(chunk) + 1  # a file may say that there are more bytes
                edges.append(memoryview(offsets)[: 4 * behind].cast("i")[chunk.offset :])
                bytes_.append(memoryview(data or b""))
                count += len(chunk)
        return cls(tuple(firsts), tuple(edges), tuple(bytes_), count)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, line: int) -> str:
        if not 0 <= line < self.count:
            raise IndexError(f"there is no line {line} of {self.count}")
        chunk = bisect_right(self.firsts, line) - 1
        edges, at = self.edges[chunk], line - self.firsts[chunk]
        return str(self.bytes_[chunk][edges[at] : edges[at + 1]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(self.count))
