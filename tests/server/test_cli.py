"""`cinedex serve` as a process: where it binds, how it ends, what it says."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from core.commands import main
from server import cli
from server.cli import address, bind, is_loopback
from server.limits import cpus
from server.settings import ServeSettings
from tests.server.asking import Load, logged
from tests.server.conftest import ROOT, Running
from tests.server.worlds import Shelf, until

BODY = b'{"query": "red"}'


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=str)
def test_a_terminal_that_is_closed_ends_it_as_sigterm_does(
    shelf: Shelf, serve: Callable[..., Running], flags: Sequence[str]
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` has the tests, and this, ignore it
    try:
        server = serve(*flags)
    finally:
        signal.signal(signal.SIGHUP, before)
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(60) == 0


def test_sigterm_lets_what_was_taken_finish(shelf: Shelf, serve: Callable[..., Running]) -> None:
    server = serve()
    port = server.http.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=30) as taken:
        head = f"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n"
        taken.sendall(head.encode() + BODY[:5])
        until(lambda: "cinedex_in_flight 2.0" in server.http.get("/metrics").text)
        server.http.close()
        server.process.terminate()
        until(lambda: is_refused(port))
        taken.sendall(BODY[5:])
        answer = b""
        while piece := taken.recv(65_536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["snapshot"] == 1
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


SIGNALLED = """
import os, signal, sys
from server import cli

def address(*asked, said=cli.address):
    os.kill(os.getpid(), signal.SIGTERM)
    return said(*asked)

cli.address = address
sys.exit(cli.main())
"""


def test_sigterm_as_soon_as_the_address_is_said_is_heeded(shelf: Shelf) -> None:
    flags = ["--data", str(shelf.library.data), "--port", "0"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SIGNALLED, *flags],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:")
    assert "Traceback" not in done.stderr


def test_who_searches_has_one_thread_and_the_encoder_its_share_of_the_cpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is as it was, behind the test
        monkeypatch.delenv(name)
    assert cli._share_cpus(ServeSettings(workers=2)) == cpus(2)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("1", "PASSIVE")


def test_threads_that_the_user_has_said_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert cli._share_cpus(ServeSettings()) == 0
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("3", "ACTIVE")


def test_a_gpu_that_is_not_there_ends_it_before_anything_is_bound(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # else serve sets it, for this process too
    assert main(["serve", "--data", str(shelf.library.data), "--port", "0", "--device", "cuda"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "cinedex serve: device 'cuda' is not on this machine; no GPU is found.\n"


def test_sigterm_while_it_starts_ends_it(shelf: Shelf, serve: Callable[..., Running]) -> None:
    server = serve(wait=False)
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_sigterm_under_load_answers_every_request_that_was_sent(
    shelf: Shelf, serve: Callable[..., Running], sent: signal.Signals, code: int
) -> None:
    server = serve("--log-format", "json")
    load = Load(server.url)
    with load.of(clients=4):
        load.until_answered(40)
        assert server.stop(sent) == code
    assert not load.torn
    assert logged(server.log) == load.answers, "each that was taken has got its whole answer"
    assert set(load.answers.values()) == {200}
    line = next(line for line in server.log.read_text().splitlines() if "path=/search" in line)
    assert {"method", "path", "status", "ms", "bytes", "key", "request_id"} <= json.loads(line).keys()


def test_a_port_in_use_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--data", str(tmp_path), "--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert error == f"cinedex serve: 127.0.0.1 port {port} cannot be bound: Address already in use.\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "cinedex.example"])
def test_another_address_than_loopback_must_be_meant(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", host, "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"cinedex serve: host: {host} can be reached from outside")
    assert "--insecure" in error and error.count("\n") == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_where_a_port_is_published_counts_and_not_where_a_container_binds(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none_meant = tmp_path / "none.json"
    none_meant.write_text('{"format": 1, "keys": null}')
    flags = ["--host", "0.0.0.0", "--port", "0", "--keys-file", str(none_meant)]
    assert main(["serve", *flags, "--published", host]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"cinedex serve: published: {host} can be reached from outside")


def test_what_is_published_on_loopback_needs_no_keys(serve: Callable[..., Running]) -> None:
    server = serve("--host", "0.0.0.0", "--published", "127.0.0.1", wait=False)
    port = server.url.rpartition(":")[2]
    assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    assert (
        "whoever reaches the server may ask it, since it has no keys host=0.0.0.0" in server.log.read_text()
    )


def test_on_loopback_alone_nobody_is_warned(serve: Callable[..., Running]) -> None:
    assert "may ask it" not in serve("--published", "127.0.0.1", wait=False).log.read_text()


@pytest.mark.parametrize(
    "flags", [["--port", "70000"], ["--follow-seconds", "0"], ["--max-concurrent", "-1"]]
)
def test_a_bad_value_is_one_sentence(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *flags]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "LOCALHOST"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "::", "example.org"])
def test_what_others_reach_is_no_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, "http://127.0.0.1:PORT"),
        ({"host": "[::1]"}, "http://[::1]:PORT"),
        ({"host": "films.example"}, "http://films.example:PORT"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:PORT"),
        ({"host": "::"}, "http://[::1]:PORT"),
        ({"host": "0.0.0.0", "published": "192.0.2.2"}, "http://192.0.2.2:PORT"),
        ({"host": "0.0.0.0", "published": "192.0.2.2", "published_port": 9000}, "http://192.0.2.2:9000"),
        ({"host": "0.0.0.0", "published": "[::]", "published_port": 9000}, "http://[::1]:9000"),
        ({"host": "0.0.0.0", "published_port": 9000}, "http://127.0.0.1:PORT"),
    ],
    ids=str,
)
def test_the_address_can_be_typed_into_a_browser(settings: dict[str, Any], shown: str) -> None:
    with bind("127.0.0.1", 0) as listening:
        port = str(listening.getsockname()[1])
        assert address(listening, ServeSettings(**settings)) == shown.replace("PORT", port)


def test_bound_to_every_address_it_shows_one_that_opens_and_says_where_it_is_bound(
    serve: Callable[..., Running],
) -> None:
    server = serve("--host", "0.0.0.0", "--insecure", wait=False)
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert server.url.startswith("http://127.0.0.1:")
    assert f"listening host=0.0.0.0 port={server.url.rpartition(':')[2]}" in server.log.read_text()


def test_no_piece_of_an_answer_waits_for_the_one_before_it() -> None:
    with (
        bind("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as taken,
    ):
        assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_with_insecure_it_binds_everywhere_and_still_checks_hosts(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    server = serve("--host", "0.0.0.0", "--insecure", "--allowed-hosts", "films.example", wait=False)
    port = int(server.url.rpartition(":")[2])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        until(lambda: http.get("/readyz").status_code == 200, 60)
        assert http.get("/healthz", headers={"host": "films.example"}).status_code == 200
        assert http.get("/healthz", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("host", "names", "is_told"),
    [("0.0.0.0", [], True), ("[::]", [], True), ("127.0.0.1", [], False), ("::", ["films.example"], False)],
)
def test_bound_to_every_address_it_says_what_names_take(
    caplog: pytest.LogCaptureFixture, host: str, names: list[str], is_told: bool
) -> None:
    with caplog.at_level(logging.INFO, "server.cli"):
        cli._tell_names(ServeSettings(host=host, allowed_hosts=names))
    assert [f"host={host}" in line and "--allowed-hosts" in line for line in caplog.messages] == (
        [True] if is_told else []
    )
