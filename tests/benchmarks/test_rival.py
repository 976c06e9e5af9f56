"""What is set beside ours is what it says: the same rows, the same requests, or one sentence."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import rival, theirs
from benchmarks.load import Turn, clients, only, post
from benchmarks.rows import Law, fill, make
from benchmarks.serve import Server
from index import faissfile
from index.build import build_snapshot
from index.snapshot import Snapshot

ROOT = Path(__file__).parents[2]
QUERIES = 6


class Door(ThreadingHTTPServer):
    """It counts who comes in."""

    connections = 0

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()


@contextmanager
def door(version: str) -> Iterator[Door]:
    class Answer(BaseHTTPRequestHandler):
        protocol_version = version

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    with Door(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("version", "is_anew", "opened"), [("HTTP/1.1", False, 2), ("HTTP/1.1", True, 6), ("HTTP/1.0", False, 6)]
)
def test_a_client_keeps_its_connection_as_long_as_the_server_does(
    version: str, is_anew: bool, opened: int
) -> None:
    with door(version) as server, clients(server.server_port) as asking:
        told = asking.do(Turn((post("/", {"a": 1}),) * QUERIES, 2, is_anew=is_anew))
        assert len(only(told.served, 200)) == QUERIES
        assert server.connections == opened


def test_a_query_without_an_answer_is_one_sentence() -> None:
    with door("HTTP/1.1") as server, clients(server.server_port) as asking:
        asked = rival.Asked(Server(server.server_port, os.getpid()), asking)
        assert (
            rival.rate(rival.Way("theirs", asked, lambda path: post(path, {})), ["/"] * QUERIES, 2).of_time
            > 0
        )
        lost = rival.Way("theirs", asked, lambda path: b"GET" + post(path, {})[4:])
        with pytest.raises(SystemExit, match="theirs: 2 of 2 queries got no answer"):
            rival.rate(lost, ["/"] * 2, 1)


def test_its_index_and_its_metadata_are_our_rows_in_our_order(tmp_path: Path) -> None:
    store = make(tmp_path / "store", Law())
    fill(store, Law(), 1000)
    build_snapshot(store)
    snapshot = Snapshot.open(store)
    (part,) = snapshot.parts
    theirs.write_rows(tmp_path / "theirs", snapshot, part, 0)
    index = faissfile.read(tmp_path / "theirs/arrow/image.index", is_mapped=False)
    captions = pq.read_table(tmp_path / "theirs/parquet/metadata").column("caption").to_pylist()
    with pa.memory_map(str(tmp_path / "theirs/arrow/metadata/0.arrow")) as file:
        assert pa.ipc.open_file(file).read_all().column("caption").to_pylist() == captions
    vectors = next(Law().rows(1000))[::97]
    hits = snapshot.search("frame", vectors, 1)
    rows = index.search(vectors, 1)[1][:, 0]
    for row, hit in zip(rows, hits, strict=True):
        segment = hit.segments[0]
        assert captions[row] == theirs.caption(segment.source, segment.start)
        assert rival.holding({"video_id": segment.source, "start": 0, "end": 500}, captions[row])


def test_where_it_cannot_be_installed_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SystemExit, match=r"^clip-retrieval cannot be installed here, .*: ERROR: No matching"):
        theirs.environment(tmp_path / "environment")
    assert not (tmp_path / "environment").exists()


def test_it_is_the_release_whose_client_is_tested() -> None:
    pins = [(ROOT / name).read_text() for name in ("benchmarks/rival.txt", "tests/alone.txt")]
    assert len({re.search(r"clip-retrieval==\S+", text)[0] for text in pins}) == 1  # type: ignore[index]
