"""Servers of our own for what lies behind addresses: HTTP with all that can go wrong, and a real S3."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BLOCK_BYTES = 16_384


@dataclass
class Held:
    """One object, and what its server makes of it."""

    data: bytes
    etag: str = '"one"'  # "": none is told
    modified: str = ""
    ranges: bool = True
    status: int = 200
    cuts: list[int] = field(default_factory=list)  # after so many bytes the next answers break off
    busy: list[int] = field(default_factory=list)  # statuses that the next ones who read it are told
    then: Held | None = None  # what it has become once somebody has begun to read it
    half: threading.Event | None = None  # set when half is sent; no more comes then


class HttpServer:
    """`held` by path; `asked` is every request so far: method, path and range."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.asked: list[tuple[str, str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def url(self, path: str, secret: str = "", query: str = "") -> str:
        return f"http://{secret}{self.host}/{path}{query}"

    def gets(self) -> list[str]:
        """The ranges of all reading since the last time this was asked."""
        found = [wanted for method, _, wanted in self.asked if method == "GET"]
        self.asked.clear()
        return found

    @contextmanager
    def running(self) -> Iterator[HttpServer]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _handler(server: HttpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

        def do_HEAD(self) -> None:
            self._answer(has_body=False)

        def do_GET(self) -> None:
            self._answer(has_body=True)

        def _answer(self, has_body: bool) -> None:
            path = urlsplit(self.path).path.lstrip("/")
            server.asked.append((self.command, path, self.headers.get("Range", "")))
            found = server.held.get(path, Held(b"", status=404))
            if found.then and has_body:
                server.held[path] = found.then
            status = found.busy.pop(0) if found.busy and has_body else found.status
            if status != 200:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(found, has_body)

        def _send(self, found: Held, has_body: bool) -> None:
            data, wanted = found.data, re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first = 0
            if wanted and found.ranges:
                first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
                data = data[first : last + 1]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{first + len(data) - 1}/{len(found.data)}")
            else:
                self.send_response(200)
            for name, value in (("ETag", found.etag), ("Last-Modified", found.modified)):
                if value:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if has_body and found.half:
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                found.half.set()
                self.rfile.read()  # until nobody listens any more
                return
            if has_body and found.cuts:
                data = data[: found.cuts.pop(0)]
                self.close_connection = True
            if has_body:
                for at in range(0, len(data), BLOCK_BYTES):
                    self.wfile.write(data[at : at + BLOCK_BYTES])

    return Handler


@contextmanager
def s3_server() -> Iterator[str]:
    """moto's real server in a process of its own; its address."""
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            told = next(
                found for line in process.stderr if (found := re.search(r"http://127[.0-9]+:\d+", line))
            )
            threading.Thread(target=process.stderr.read, daemon=True).start()  # so that it never blocks
            yield told[0]
        finally:
            process.terminate()
