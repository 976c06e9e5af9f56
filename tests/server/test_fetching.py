"""Pictures from other hosts: which, at which addresses, and how much of them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server import fetching
from server.errors import ApiError
from server.fetching import Fetching, NotPublicError, is_public_address, public_address
from server.library import ServedLibrary
from tests.server.conftest import Running, in_thread
from tests.server.sent import picture
from tests.server.test_errors import refusal
from tests.server.worlds import samples, until

RED = picture("red")
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "172.32.0.1",
    "192.169.0.1",
    "2606:2800:220:1::1",
    "2a00:1450::1",
]
NOT_PUBLIC = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "100::1"),
    *(
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
    ),
    *("2001:0:1::1", "::ffff:0:127.0.0.1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public_address(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_this_machine_or_its_network_is_not(address: str) -> None:
    assert not is_public_address(address)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "::1", "0.0.0.0", "2130706433", "127.1", "10.1.2.3"]
)
def test_no_spelling_of_this_machine_leads_to_it(host: str) -> None:
    with pytest.raises((NotPublicError, OSError)):
        anyio.run(public_address, host, 80)


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(host: str, port: int, **how: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (address, port)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(anyio, "getaddrinfo", both)
    with pytest.raises(NotPublicError):
        anyio.run(public_address, "example.org", 80)


class Host(BaseHTTPRequestHandler):
    """A host of pictures, of which some misbehave."""

    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Host"]))  # type: ignore[attr-defined]
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/red.png")
            self.end_headers()
            return
        if self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            self.server.stop.wait(30)  # type: ignore[attr-defined]
            return
        self.send_response(200 if self.path.startswith("/red") else 404)
        self.end_headers()
        self.wfile.write(RED if self.path != "/red-and-more" else RED + bytes(100_000))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def host() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.asked, server.stop = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=partial(server.serve_forever, 0.01))
    thread.start()
    yield server
    server.stop.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


async def here(host: str, port: int) -> str:
    """As if example.org were this very machine."""
    assert host == "example.org"
    return "127.0.0.1"


def fetched(server: ThreadingHTTPServer, *paths: str, most: int = 50_000) -> list[bytes]:
    name = f"example.org:{server.server_port}"
    fetching = Fetching.of([name.upper()], most, here)
    urls = [(f"query[{number}].image_url", f"http://{name}{path}") for number, path in enumerate(paths)]
    return anyio.run(fetching.all, urls)


def test_a_picture_comes_from_the_address_that_was_looked_at(host: ThreadingHTTPServer) -> None:
    assert fetched(host, "/red.png?size=1", "/red") == [RED, RED]
    name = f"example.org:{host.server_port}"
    assert host.asked == [("/red.png?size=1", name), ("/red", name)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/none", "example.org answers 404."),
        ("/moved", "example.org answers 302."),
        ("/red-and-more", "the picture is larger than 50000 bytes."),
    ],
)
def test_another_answer_is_none(host: ThreadingHTTPServer, path: str, says: str) -> None:
    with pytest.raises(ApiError) as raised:
        fetched(host, "/red", path)
    assert (raised.value.http_status, raised.value.field) == (422, "query[1].image_url")
    assert str(raised.value) == f"query[1].image_url: {says}"
    assert [asked for asked, _ in host.asked] == ["/red", path]  # type: ignore[attr-defined]


def test_a_picture_that_does_not_come_is_not_waited_for(
    host: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 0.3)
    with pytest.raises(ApiError, match=r"query\[0\]\.image_url: the picture did not come within 0\.3 s\."):
        fetched(host, "/slow")


def test_all_pictures_of_a_request_share_its_time(
    host: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 0.4)

    async def slowly(name: str, port: int) -> str:
        await anyio.sleep(0.1)  # so that eight take longer than there is, and none by itself
        return "127.0.0.1"

    asking = Fetching.of([f"example.org:{host.server_port}"], 50_000, slowly)
    urls = [("f", f"http://example.org:{host.server_port}/red")] * 8
    with pytest.raises(ApiError, match=r"f: the picture did not come within 0\.4 s\."):
        anyio.run(asking.all, urls)


def test_authorities_are_read_once_and_only_where_hosts_are_allowed(
    host: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ssl.SSLContext] = []
    make = ssl.create_default_context

    def counted(*how: Any, **more: Any) -> ssl.SSLContext:
        made.append(make(*how, **more))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    Fetching.of([], 1_000)
    assert not made
    assert fetched(host, "/red", "/red", "/red") == [RED] * 3
    assert len(made) == 1


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for example.org that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certified") / "both.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(pem) + secret)
    return path


def test_a_certificate_is_that_of_the_name_and_not_of_the_address(
    host: ThreadingHTTPServer, certified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified)
    host.socket = context.wrap_socket(host.socket, server_side=True)

    async def everywhere(name: str, port: int) -> str:
        return "127.0.0.1"

    def get(name: str) -> list[bytes]:
        fetching = Fetching.of([f"{name}:{host.server_port}"], 50_000, everywhere)
        return anyio.run(fetching.all, [("f", f"https://{name}:{host.server_port}/red")])

    with pytest.raises(ApiError, match=r"f: example\.org does not answer\."):
        get("example.org")  # nobody vouches for it
    monkeypatch.setattr("certifi.where", lambda: str(certified))
    assert get("example.org") == [RED]
    with pytest.raises(ApiError, match=r"f: other\.org does not answer\."):
        get("other.org")


def test_who_does_not_answer_is_told(host: ThreadingHTTPServer) -> None:
    fetching = Fetching.of(["example.org:1"], 1_000, here)
    with pytest.raises(ApiError, match=r"f: example\.org does not answer\."):
        anyio.run(fetching.all, [("f", "http://example.org:1/red")])


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://example.org/a", True),
        ("https://EXAMPLE.org/a", True),
        ("http://example.org:80/a", True),
        ("http://example.org:81/a", False),
        ("http://other.org:8080/a", True),
        ("http://other.org/a", False),
        ("http://www.example.org/a", False),
        ("http://example.org.evil.net/a", False),
        ("http://example.org./a", False),
    ],
)
def test_hosts_are_allowed_by_their_exact_names(url: str, allowed: bool) -> None:
    async def nowhere(host: str, port: int) -> str:
        raise NotPublicError(host)

    fetching = Fetching.of(["example.org", "other.org:8080"], 1_000, nowhere)
    with pytest.raises(ApiError, match="is not at a public address" if allowed else "are not fetched from"):
        anyio.run(fetching.all, [("f", url)])


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "example.org",
            "ftp://example.org/a",
            "file:///etc/passwd",
            "http://",
            "http://user@example.org/",
        ),
        *("http://example.org/a b", "http://example.org/ü", "http://example.org/#a", "http://example.org:x/"),
        *(
            "http://example.org:0/",
            "http://example.org:99999/",
            "http://[::1/",
            "data:image/png;base64,aGVsbG8=",
        ),
        *("http://example.org/" + "a" * 2_050, "http:///a", "http://example.org\\@evil.net/"),
        *("http://999.1.1.1/x.png", "http://[::g]/", "http://xn--a/", "http://[::1]x/", "http://xn--/"),
    ],
)
def test_what_is_no_url_is_refused(sample_server: Running, url: str) -> None:
    body: dict[str, Any] = {"query": [{"image_url": url}]}
    assert refusal(sample_server, 400, "invalid_request", json=body)["field"] == "query[0].image_url"
    body = {"image_url": url or " "}  # an empty one is none there
    error = refusal(sample_server, 400, "invalid_request", path="/knn-service", json=body)
    assert error["field"] == "image_url"


def test_nothing_is_fetched_unless_hosts_are_allowed(sample_server: Running) -> None:
    body = {"query": [{"image_url": "http://example.org/a.png"}]}
    error = refusal(sample_server, 400, "invalid_request", json=body)
    assert error["message"] == (
        "query[0].image_url: pictures are fetched from nowhere here; --image-hosts allows hosts."
    )


def test_a_picture_of_another_host_finds_videos_and_this_machine_is_never_asked(
    tmp_path: Path, host: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples(tmp_path / "data")
    library = ServedLibrary.of_data(tmp_path / "data")
    names = [f"{name}:{host.server_port}" for name in ("example.org", "localhost")]
    for name, resolve, status in (("example.org", here, 200), ("localhost", public_address, 400)):
        monkeypatch.setattr("server.app.Fetching.of", partial(Fetching.of, resolve=resolve))
        with in_thread(library, image_hosts=names) as http:
            until(lambda: http.get("/readyz").status_code == 200)
            url = f"http://{name}:{host.server_port}/red.png"
            answer = http.post("/search", json={"query": [{"image_url": url}]})
            assert answer.status_code == status, answer.text
            if status == 200:
                assert answer.json()["results"][0]["path"] == "films/red-then-blue.mp4"
            else:
                says = "query[0].image_url: the host localhost is not at a public address."
                assert answer.json()["error"]["message"] == says
    assert len(host.asked) == 1  # type: ignore[attr-defined]
