"""What happens to a server in production, row by row of docs/operations.md, with real processes."""

from __future__ import annotations

import re
import resource
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import shapes, write_film
from tests.server.conftest import Running, start
from tests.server.filmed import Films, id_at
from tests.server.hostile import Held
from tests.server.test_workers import children
from tests.server.worlds import Shelf, until

ROOT = Path(__file__).parents[2]
FREE_BYTES = 64 << 20  # more than sockets hold between two processes
EVENTS = 15
ROW = re.compile(
    r"^\| [^|]+ \| [^|]+ \| [^|]+ \| [^|]+ \| `(tests/[\w/]+\.py)::(test_\w+)` \|$", re.MULTILINE
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """A short video in a long file, most of which means nothing."""
    folder = tmp_path_factory.mktemp("events")
    (folder / "films").mkdir()
    path = folder / "films" / "red.mp4"
    write_film(path, shapes("red", seconds=1))
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", 8 + FREE_BYTES, b"free"))
        file.truncate(file.tell() + FREE_BYTES)
    return Films.of(folder / "films", folder / "data")


@pytest.fixture(scope="module")
def server(films: Films) -> Iterator[Running]:
    running = start(films.data)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


def error_of(answer: httpx.Response, status: int) -> str:
    held = answer.json()["error"]
    assert answer.status_code == status, answer.text
    return str(held["message"])


def test_a_media_folder_that_is_gone_leaves_searches_and_is_told_in_one_sentence(
    server: Running, films: Films
) -> None:
    id, away = id_at(server.http, "red.mp4"), films.folder.with_name("away")
    films.folder.rename(away)
    try:
        for path in ("media", "clip"):
            message = error_of(server.http.get(f"/{path}/{id}"), 404)
            assert message.endswith("it is gone.") and str(films.folder) not in message
        assert server.search("red").status_code == 200
        assert server.http.get(f"/thumbnail/{id}").status_code == 200  # it is stored
    finally:
        away.rename(films.folder)
    assert server.http.head(f"/media/{id}").status_code == 200


def test_a_file_that_changes_while_it_is_sent_breaks_it_off(server: Running, films: Films) -> None:
    id, path = id_at(server.http, "red.mp4"), films.folder / "red.mp4"
    kept = films.folder.with_name("kept.mp4")
    shutil.copy2(path, kept)
    with pytest.raises(httpx.RemoteProtocolError), server.http.stream("GET", f"/media/{id}") as answer:
        pieces = answer.iter_raw(1 << 16)
        assert answer.status_code == 200 and next(pieces)
        with path.open("ab") as file:
            file.write(b"more")
        for _ in pieces:
            pass
    kept.replace(path)
    assert server.http.head(f"/media/{id}").status_code == 200
    log = server.log.read_text()
    assert "a file has changed while it was sent" in log
    assert "bug" not in log and "Traceback" not in log


@contextmanager
def few_descriptors(pid: int, more: int) -> Iterator[None]:
    """A process that may open only so many more."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (Held.by(pid).descriptors + more, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_without_descriptors_who_is_connected_is_answered_and_others_are_once_there_are_some(
    server: Running,
) -> None:
    id, pid, port = id_at(server.http, "red.mp4"), server.process.pid, server.http.base_url.port
    assert server.search("red").status_code == 200
    with few_descriptors(pid, 8), ExitStack() as held:
        for _ in range(30):
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        until(lambda: "no descriptors are left" in server.log.read_text())
        for _ in range(20):
            assert server.search("red").status_code == 200
        assert error_of(server.http.get(f"/clip/{id}?start=0.25"), 503)
        assert server.search("red").status_code == 200
    with httpx.Client(base_url=server.url, timeout=30) as other:
        assert other.post("/search", json={"query": "red"}).status_code == 200
        assert other.get(f"/clip/{id}?start=0.25").status_code == 200


@pytest.mark.slow
def test_a_worker_that_a_mapped_file_kills_is_started_again_and_tears_no_answer(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    """A file that shrinks under its mapping makes the signal that a failing disk makes."""
    server = serve("--workers", "2")
    workers, found = children(server.process.pid), list[int]()
    (part, *_) = sorted(shelf.store.root.glob("parts/*.faiss"))
    parts = {path: path.read_bytes() for path in shelf.store.root.glob("parts/*.faiss")}

    def ask() -> int:
        """0 where the connection breaks: nothing, or all of an answer."""
        try:
            answer = httpx.post(f"{server.url}/search", json={"query": "red"}, timeout=30)
        except httpx.TransportError:
            return 0
        held = answer.json()
        assert held["results"] if answer.status_code == 200 else held["error"]["type"] == "unavailable"
        return answer.status_code

    assert part.exists() and ask() == 200
    for path in parts:
        with path.open("r+b") as file:
            file.truncate(0)

    def breaks() -> bool:
        found.append(ask())
        return 0 in found

    until(breaks, 30)
    until(lambda: "exit code -7" in server.log.read_text(), 30)
    assert set(found) <= {0, 200, 503}
    for path, content in parts.items():
        with path.open("r+b") as file:
            file.write(content)
    until(lambda: [ask() for _ in range(10)] == [200] * 10, 90)
    assert children(server.process.pid) != workers


def test_every_row_of_the_table_of_events_names_a_test_that_is_there() -> None:
    rows = ROW.findall((ROOT / "docs" / "operations.md").read_text())
    assert len(rows) == EVENTS
    for file, name in rows:
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{name}"
