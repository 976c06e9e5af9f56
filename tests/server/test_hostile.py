"""Malformed and hostile requests: each is answered soberly, and hurts the server in nothing."""

from __future__ import annotations

import os
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.conftest import shapes, write_film
from tests.server.conftest import Running, start
from tests.server.filmed import Films, id_at
from tests.server.hostile import Grammar, Held, Line, endless, harassed, wrong_with

SEED = 6
SOAK_S = float(os.environ.get("SOAK_SECONDS", "1200"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that decodes for two seconds at most, so that what is endless ends."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "films").mkdir()
    write_film(folder / "films" / "red-then-blue.mp4", shapes("red", "blue", seconds=1))
    films = Films.of(folder / "films", folder / "data")
    running = start(
        films.data,
        "--decode-seconds",
        "2",
        "--max-body-mb",
        "2",
        "--max-upload-mb",
        "2",
        "--clip-cache-mb",
        "8",
    )
    yield running
    assert running.stop() == 0
    log = running.log.read_text()
    # Of a form that breaks off the framework lets its file go unclosed: a warning, which tests make an error.
    assert log.count("Traceback") == log.count("SpooledTemporaryFile.__del__")


def grammar(server: Running, seed: int) -> Grammar:
    cursor = server.search("red", limit=1, level="frame", merge_gap_s=None).json()["next_cursor"]
    folder = server.log.parent / "films"
    films = (folder / "red-then-blue.mp4").read_bytes(), endless(server.log.parent / "endless.mkv")
    return Grammar(seed, id_at(server.http, "red-then-blue.mp4"), cursor, films)


def all_answered(server: Running, drawn: Grammar, count: int) -> Counter[int]:
    """How often each status came; what is wrong with an answer fails."""
    statuses, line = Counter[int](), Line(port_of(server))
    for number in range(count):
        sent = drawn.draw()
        got = line.ask(sent)
        why = wrong_with(got, sent.method)
        assert why is None, (
            f"request {number}: {why}: {sent.method} {sent.target[:200]!r} {sent.body[:500]!r} {sent.headers}"
        )
        statuses[got.status] += 1
    line.close()
    return statuses


def port_of(server: Running) -> int:
    assert server.http.base_url.port is not None
    return server.http.base_url.port


def is_well(server: Running) -> bool:
    answer = server.search("red")
    return answer.status_code == 200 and bool(answer.json()["results"]) and server.is_ready()


def held_by(server: Running) -> Held:
    """Once what was let go is gone."""
    descriptors = Held.by(server.process.pid).descriptors
    for _ in range(50):
        time.sleep(0.1)
        found = Held.by(server.process.pid)
        if found.descriptors >= descriptors:
            return found
        descriptors = found.descriptors
    return found


def harassed_often(server: Running, draw: random.Random, count: int) -> None:
    port = port_of(server)
    for _ in range(count):
        harassed(port, draw, waits=draw.random() < 0.5)


def test_hostile_requests_are_refused_in_one_shape_and_hurt_nobody(server: Running) -> None:
    statuses = all_answered(server, grammar(server, SEED), 500)
    assert statuses[400] > 200 and set(statuses) <= {
        *(200, 204, 206, 304, 400, 403, 404, 405, 408, 409, 410, 413, 414, 415, 416, 422, 429, 431)
    }
    harassed_often(server, random.Random(SEED), 60)
    assert is_well(server)


def test_a_video_that_goes_on_behind_its_end_is_refused_and_hurts_nobody(server: Running) -> None:
    files = {"file": ("a.mkv", endless(server.log.parent / "endless.mkv"))}
    answer = server.http.post("/search/upload", files=files)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["field"]) == (422, "undecodable_media", "file")
    assert is_well(server)


def test_half_closed_and_idle_connections_hold_nobody_up(server: Running) -> None:
    port = port_of(server)
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(200)]
    try:
        for number, raw in enumerate(idle):
            raw.sendall(
                b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"[: number % 70]
            )
            if number % 3 == 0:
                raw.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        assert is_well(server)
        assert time.monotonic() - began < 5
    finally:
        for raw in idle:
            raw.close()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_ten_thousand_hostile_requests_leave_no_memory_and_no_descriptors_behind(
    server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, draw = grammar(server, SEED + 1), random.Random(SEED)
    all_answered(server, drawn, 2_000)  # caches, threads and the allocator's own pools are filled
    harassed_often(server, draw, 200)
    before = held_by(server)
    statuses = all_answered(server, drawn, 10_000)
    harassed_often(server, draw, 1_000)
    after = held_by(server)
    with capsys.disabled():
        say(f"10,000 requests: {sorted(statuses.items())}; before {before}; after {after}")
    assert is_well(server)
    require_no_leak(before, after)


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_a_soak_leaves_nothing_behind(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """SOAK_SECONDS (1200): hostile and sound requests in turn."""
    drawn, draw = grammar(server, SEED + 2), random.Random(SEED)
    all_answered(server, drawn, 2_000)
    before, end, count = held_by(server), time.monotonic() + SOAK_S, 0
    largest, told = before.rss_mib, time.monotonic()
    while time.monotonic() < end:
        all_answered(server, drawn, 50)
        harassed_often(server, draw, 5)
        assert is_well(server)
        count += 56
        largest = max(largest, Held.by(server.process.pid).rss_mib)
        if time.monotonic() - told > 60:
            told = time.monotonic()
            with capsys.disabled():
                say(f"{count} requests: {Held.by(server.process.pid)}")
    after = held_by(server)
    with capsys.disabled():
        say(f"{count} requests in {SOAK_S:g} s: before {before}; after {after}; largest {largest:.0f} MiB")
    require_no_leak(before, after)


def require_no_leak(before: Held, after: Held) -> None:
    assert after.rss_mib < before.rss_mib * 1.15 + 32
    assert after.descriptors <= before.descriptors + 8
    assert after.threads <= before.threads + 8
    assert after.children <= before.children + 2


def say(line: str) -> None:
    os.write(1, f"\n{line}\n".encode())
