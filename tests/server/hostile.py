"""Requests that nobody means well with, drawn by a seeded grammar, and what must hold of each answer."""

from __future__ import annotations

import base64
import json
import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np

from extractor.media.write import write_video
from tests.server.sent import chunk, picture, png

DEEP = 3_000
SURROGATE = "\ud800"
STRINGS = [
    *("", " ", "red", "\x00", SURROGATE, "\ufeffred", "\u202egnp.red", "é" * 500, "x" * 2_001, "x" * 100_000),
    *(
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "/etc/passwd",
        "file:///etc/passwd",
        "%2e%2e%2f",
        "v-" + "0" * 32,
    ),
    *(
        "'; drop table words; --",
        '" OR *',
        '"a" NEAR b*',
        "${jndi:ldap://x}",
        "{{7*7}}",
        "<script>",
        "\r\nX-Evil: 1",
    ),
    *("http://127.0.0.1:22/", "http://169.254.169.254/", "gopher://x/", "data:image/png;base64,AAAA"),
    *("NaN", "1e999", "true", "null", "toy:rgb", "default"),
]
NUMBERS = [
    *(0, -1, 1, 2, 0.5, -0.0, 1e-320, 1e308, 1e309, 10**18, 2**63, -(2**63) - 1, 10**400, 3.0),
    *(float("nan"), float("inf"), float("-inf"), True, False),
]
IDS = [
    *(
        "..",
        ".",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "v-%00",
        "a%0d%0aX-Evil:%201",
        "%c0%ae%c0%ae",
        "%ff",
    ),
    *(
        "/etc/passwd",
        "//etc/passwd",
        "C:%5cboot.ini",
        "%E2%80%AE",
        "v-" + "f" * 32,
        "v-" + "0" * 8_200,
        "%25",
        "*",
    ),
    *("v-%F0%9F%8E%AC", "%ED%A0%80", "~root", "v-x;a=b", "v-x%3Fa", "t-" + "0" * 32),
]
RANGES = [
    *("bytes=0-", "bytes=-1", "bytes=-0", "bytes=5-4", "bytes=99999999999999999999-", "bytes=0-0,1-1"),
    *(
        "bytes=" + ",".join(["0-"] * 2_000),
        "bytes=--1",
        "bytes=a-b",
        "bits=0-1",
        "bytes",
        "bytes=0-18446744073709551616",
    ),
    *("bytes=\u0661-\u0662", "bytes=-99999999999999999", "bytes = 0 - 1", "bytes=0-1" + " " * 5_000),
]
FIELDS = [
    *(
        "query",
        "sequence",
        "target",
        "collection",
        "encoder",
        "level",
        "mode",
        "group_by",
        "group_size",
        "filter",
    ),
    *("limit", "cursor", "merge_gap_s", "pad_s", "weigh_frames", "diversity", "min_score", "min_confidence"),
    *(
        "exact",
        "effort",
        "include",
        "within_s",
        "min_gap_s",
        "encoder_options",
        "text",
        "video_id",
        "start",
        "end",
    ),
    *(
        "image",
        "image_url",
        "id",
        "vector",
        "weight",
        "texts",
        "images",
        "labels",
        "templates",
        "requests",
        "ids",
    ),
    *(
        "indice_name",
        "modality",
        "num_images",
        "num_result_ids",
        "embedding_input",
        "deduplicate",
        "key",
        "beams",
    ),
    *("__proto__", "nothing", "", SURROGATE, "must", "should", "eq", "prefix", "metadata.tag", "absent"),
]
POSTS = (
    *(
        "/search",
        "/search",
        "/search",
        "/search/batch",
        "/embed",
        "/tag",
        "/locate",
        "/caption",
        "/knn-service",
    ),
    *("/metadata", "/login", "/logout", "/search/upload", "/export", "/nothing"),
)
OF_VIDEO = ("/videos/{}", "/videos/{}/similar", "/media/{}", "/clip/{}", "/thumbnail/{}")
GETS = (
    "/videos",
    "/collections",
    "/indices-list",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/",
    "/page/",
    "/docs/files/",
)
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "get", "BREW")


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    target: bytes
    body: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Got:
    """One answer."""

    status: int
    body: bytes
    headers: dict[str, str]


class Grammar:
    """Draws requests. `video` and `cursor` are real ones, to be bent; the last of the films is endless."""

    def __init__(self, seed: int, video: str, cursor: str, films: tuple[bytes, bytes]) -> None:
        self._random = random.Random(seed)
        self._video, self._cursor, (self._film, self._endless) = video, cursor, films
        self._kinds: list[tuple[Callable[[], Sent], int]] = [
            (self._search, 40),
            (self._post, 20),
            (self._raw_body, 10),
            (self._of_video, 15),
            (self._get, 5),
            (self._bent_cursor, 4),
            (self._method, 3),
            (self._picture, 2),
            (self._upload, 1),
        ]

    def draw(self) -> Sent:
        kinds, weights = zip(*self._kinds, strict=True)
        kind: Callable[[], Sent] = self._random.choices(kinds, weights)[0]
        return kind()

    # --- values ---

    def _value(self, depth: int = 3) -> Any:
        draw = self._random
        kind = draw.randrange(10)
        if kind < 4 or depth == 0:
            return draw.choice([*STRINGS, self._video])
        if kind < 7:
            return draw.choice(NUMBERS)
        if kind == 7:
            return [self._value(depth - 1) for _ in range(draw.choice([0, 1, 2, 3, 20]))]
        if kind == 8:
            return {draw.choice(FIELDS): self._value(depth - 1) for _ in range(draw.randrange(4))}
        return None

    def _huge(self) -> Any:
        return self._random.choice(
            [
                ["red"] * 20_000,
                [0.5] * 100_000,
                {f"f{n}": n for n in range(5_000)},
                "y" * 1_000_000,
                [[]] * 50_000,
            ]
        )

    def _text(self, value: Any) -> bytes:
        """JSON as a client might write it; now and then with what JSON has not."""
        text = json.dumps(value, ensure_ascii=self._random.random() < 0.8)
        if self._random.random() < 0.1:
            text = text.replace("{", '{"query": "twice", "query": ["other"], ', 1)
        return text.encode("utf-8", "surrogatepass")

    # --- requests ---

    def _search(self) -> Sent:
        """A good body of /search with one or two things wrong."""
        body: dict[str, Any] = {"query": "red", "limit": 3}
        for _ in range(self._random.choice([1, 1, 1, 2, 3])):
            body[self._random.choice(FIELDS)] = self._value()
        if self._random.random() < 0.3:
            body["query"] = [self._part() for _ in range(self._random.choice([1, 2, 17]))]
        return self._json("/search", body)

    def _part(self) -> Any:
        part = {self._random.choice(["text", "video_id", "vector", "id", "image"]): self._value(1)}
        if self._random.random() < 0.5:
            part[self._random.choice(["weight", "start", "end", "image_url"])] = self._value(1)
        return part

    def _post(self) -> Sent:
        fields = self._random.sample(FIELDS, self._random.randrange(1, 5))
        body: Any = {name: self._value() for name in fields}
        if self._random.random() < 0.5:
            body["video_id"] = self._video
        if self._random.random() < 0.05:
            body = self._huge()
        return self._json(self._random.choice(POSTS), body)

    def _json(self, path: str, body: Any) -> Sent:
        return Sent("POST", path.encode(), self._text(body), {b"Content-Type": b"application/json"})

    def _raw_body(self) -> Sent:
        """What is no JSON, or hardly."""
        good = b'{"query": "red"}'
        body = self._random.choice(
            [
                *(b"", b"{", b"nul", b"\xff\xfe\x00", b"\xef\xbb\xbf" + good, good.decode().encode("utf-16")),
                *(
                    b"[" * DEEP,
                    b'{"query":' * DEEP,
                    b'{"filter":{"must":[' * DEEP,
                    good + good,
                    good[:-1] + b",",
                ),
                *(
                    b"{'query': 'red'}",
                    b'{"query": "\x01"}',
                    b'{"query": "\\ud800"}',
                    b'{"query": "\xed\xa0\x80"}',
                ),
                *(
                    b'{"limit": ' + b"9" * 10_000 + b"}",
                    b'{"query": "red", "pad_s": 1e99999}',
                    b"\x1f\x8b\x08\x00",
                ),
                *(b"query=red", b" " * 100_000, b'{"query": "' + b"a" * 500_000 + b'"}', b"Infinity", b"-"),
            ]
        )
        types = [
            b"application/json",
            b"text/plain",
            b"application/json; charset=utf-16",
            b"a/b",
            b"",
            b"multipart/form-data",
        ]
        headers = {b"Content-Type": self._random.choice(types)}
        if self._random.random() < 0.2:
            headers[b"Content-Encoding"] = b"gzip"
        return Sent("POST", self._random.choice(POSTS).encode(), body, headers)

    def _of_video(self) -> Sent:
        id = self._random.choice([*IDS, self._video, self._video, self._video])
        names = ("t", "start", "end", "exact", "collection", "encoder", "limit", "nothing")
        values = (
            "-1",
            "nan",
            "inf",
            "1e400",
            "",
            "0",
            "0.5",
            "%00",
            "%ff",
            "default",
            "toy%3Argb",
            "x" * 300,
            "%F0%9F%8E%AC",
        )
        query = "&".join(
            f"{self._random.choice(names)}={self._random.choice(values)}"
            for _ in range(self._random.randrange(4))
        )
        headers = {}
        if self._random.random() < 0.4:
            headers[b"Range"] = self._random.choice(RANGES).encode()
        if self._random.random() < 0.2:
            headers[self._random.choice([b"If-Range", b"If-None-Match"])] = b'"x", W/"'
        path = self._random.choice(OF_VIDEO).format(id)
        return Sent(self._random.choice(["GET", "GET", "HEAD"]), f"{path}?{query}".encode(), b"", headers)

    def _get(self) -> Sent:
        path = self._random.choice(GETS)
        tail = self._random.choice(
            ["", "?", "?limit=0", "?limit=1e3", "?cursor=" + "A" * 999, "?prefix=%ff", "?a[]=1", "/"]
        )
        if path.endswith("/") and self._random.random() < 0.7:
            tail = self._random.choice(IDS)
        return Sent("GET", (path + tail).encode())

    def _bent_cursor(self) -> Sent:
        held = bytearray(base64.urlsafe_b64decode(self._cursor + "=" * (-len(self._cursor) % 4)))
        for _ in range(self._random.choice([1, 1, 3])):
            held[self._random.randrange(len(held))] ^= 1 << self._random.randrange(8)
        bent = (
            base64.urlsafe_b64encode(bytes(held[: self._random.choice([None, None, 10])]))
            .decode()
            .rstrip("=")
        )
        text = self._random.choice([bent, self._cursor[:-1], self._cursor * 2, self._cursor + "\x00", bent])
        return self._json(
            "/search", {"query": self._random.choice(["red", "blue"]), "limit": 1, "cursor": text}
        )

    def _method(self) -> Sent:
        path = self._random.choice([*POSTS, *GETS, "/videos/" + "v-" + "0" * 32])
        return Sent(self._random.choice(METHODS), path.encode())

    def _picture(self) -> Sent:
        data = self._random.choice(bad_pictures())
        text = base64.b64encode(data).decode()
        if self._random.random() < 0.2:
            text = self._random.choice([text[:-1], text + "====", "!" + text, text.replace("A", "é")])
        if self._random.random() < 0.5:
            return self._json("/search", {"query": [{"image": text}]})
        return self._json("/embed", {"images": [text] * self._random.choice([1, 1, 65])})

    def _upload(self) -> Sent:
        """A form whose file is no sound video, or whose form is none."""
        film = self._film
        cut = self._random.randrange(1, len(film))
        torn = bytearray(film)
        for _ in range(50):
            torn[self._random.randrange(len(torn))] = self._random.randrange(256)
        files = [
            film[:cut],
            bytes(torn),
            film[cut:],
            self._endless,
            b"",
            *bad_pictures(),
            playlist(),
            b"RIFF" + b"\xff" * 500,
        ]
        edge = b"----x"
        head = b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n'
        names = (b"file", b"file", b"file", b"request", b"other")
        body = (
            head % (edge, self._random.choice(names), b"../../../etc/passwd")
            + self._random.choice(files)
            + b"\r\n--"
            + edge
        )
        body += self._random.choice([b"--\r\n", b"--\r\n", b"--\r\n", b"", b"\r\n\r\n"])
        kind = b"multipart/form-data; boundary=" + self._random.choice([edge, edge, edge, b"", b"other"])
        return Sent("POST", b"/search/upload", body, {b"Content-Type": kind})


def bad_pictures() -> list[bytes]:
    """What a header promises is not what follows, or far too much."""
    good = picture("red")
    return [
        png(10_000, 10_000, b""),  # 100 megapixels that are not there
        png(65_000, 65_000, bytes(1 << 20)),
        png(8_000, 8_000, bytes(24_000_000)),  # some kilobytes that swell a thousandfold
        png(0, 0, b""),
        good[: len(good) // 2],
        good[:8] + chunk(b"IHDR", b"\xff" * 13),
        b"GIF89a" + b"\xff" * 100,
        b"\xff\xd8\xff\xe0" + b"\xff" * 2_000,
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    ]


def playlist() -> bytes:
    """A file that would have others read."""
    return b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


def endless(path: Path) -> bytes:
    """A video that says it is a second long and goes on for ten minutes. path: where it is written."""
    still = (np.full((32, 32, 3), 90, np.uint8) for _ in range(600))
    write_video(path, still, times=[Fraction(second) for second in range(600)])
    whole = path.read_bytes()
    at = whole.index(b"\x44\x89\x88") + 3  # Matroska's Duration: a double, in milliseconds
    path.write_bytes(whole[:at] + struct.pack(">d", 1000.0) + whole[at + 8 :])
    return path.read_bytes()


class Line:
    """A kept connection on which bytes go out as they were drawn."""

    def __init__(self, port: int) -> None:
        self._port, self._socket = port, socket.create_connection(("127.0.0.1", port), timeout=60)

    def ask(self, sent: Sent) -> Got:
        head = b"%b %b HTTP/1.1\r\nHost: 127.0.0.1\r\n" % (sent.method.encode(), sent.target)
        lines = [b"%b: %b\r\n" % each for each in sent.headers.items()]
        if sent.body or sent.method == "POST":
            lines.append(b"Content-Length: %d\r\n" % len(sent.body))
        with suppress(ConnectionError):  # refused before all of it was sent: what is said is there to be read
            self._socket.sendall(head + b"".join(lines) + b"\r\n" + sent.body)
        answer = HTTPResponse(self._socket, method=sent.method.upper())
        answer.begin()
        found = Got(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
        if answer.will_close:
            self.close()
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        return found

    def close(self) -> None:
        self._socket.close()


def wrong_with(got: Got, method: str) -> str | None:
    """Why an answer is not as it must be."""
    told = f"{got.status} {got.body[:300]!r}"
    if got.status >= 500:
        return told
    if b"Traceback" in got.body or b"root:x:" in got.body or b"/site-packages/" in got.body:
        return f"it tells too much: {told}"
    if "x-evil" in got.headers:
        return "a header was smuggled in"
    if got.status < 400 or method == "HEAD":
        return None
    try:
        held = json.loads(got.body)
        is_in_shape = set(held) == {"error", "request_id"} and set(held["error"]) == ERROR
        is_short = len(held["error"]["message"]) < 2_000
    except ValueError:
        return f"it is no JSON: {told}"
    is_named = held["request_id"] == got.headers.get("x-request-id")
    return None if is_in_shape and is_short and is_named else f"it is not in shape: {told}"


ERROR = {"type", "message", "field"}
RAW = [
    b"",
    b"\x00" * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /healthz HTTP/1.1\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET  /healthz  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
    b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}{}{}",
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x",
    b"POST /search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"POST /search HTTP/1.1\r\nHost: evil\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\nzz\r\n",
    b"POST /search HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: " + b"b" * 70_000,
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30,
]


def harassed(port: int, draw: random.Random, *, waits: bool) -> None:
    """One raw connection: something is sent, perhaps half of it, and it is left in some rude way."""
    sent = draw.choice(RAW)
    sent = sent[: draw.randrange(len(sent) + 1)] if draw.random() < 0.3 else sent
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(sent)
        how = draw.randrange(3)
        if how == 0:
            raw.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
            )  # a reset
        elif how == 1:
            raw.shutdown(socket.SHUT_WR)
        if waits and how:
            raw.settimeout(0.2)
            try:
                raw.recv(65_536)
            except OSError:
                return


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    rss_mib: float
    descriptors: int
    threads: int
    children: int

    @classmethod
    def by(cls, pid: int) -> Held:
        proc = Path("/proc", str(pid))
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        children = (proc / "task" / str(pid) / "children").read_text().split()
        fds = len(list((proc / "fd").iterdir()))
        return cls(int(status["VmRSS"].split()[0]) / 1024, fds, int(status["Threads"]), len(children))
