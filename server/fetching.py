"""A picture from another host, where the operator allows that one: docs/http-api.md, "Parts of a query"."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio
import httpx

from server.errors import ApiError
from server.spent import Spent

FETCH_S = 10.0  # for all pictures of a request: names, connections and bodies
_PORTS = {"http": 80, "https": 443}
_AT_ONCE, _WAITING = 16, 64
_HEADERS = {
    "User-Agent": "cinedex",
    "Accept": "image/jpeg, image/png, image/webp",
    "Accept-Encoding": "identity",
}
_REFUSED = tuple(  # what Python calls global, and IPv6 addresses that a gateway may take for an IPv4 one
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",
            "192.88.99.0/24",
            "::/96",
            "::ffff:0:0/96",
            "64:ff9b::/32",
            "2001::/32",
            "2002::/16",
        ),
    )
)
Resolve = Callable[[str, int], Awaitable[str]]  # a host and a port → the address to connect to


class NotPublicError(Exception):
    """A name leads to where only this machine, or its network, can get."""


def is_public_address(address: str) -> bool:
    """Whether an address is one of the internet at large."""
    found = ipaddress.ip_address(address)
    is_refused = any(found in network for network in _REFUSED)  # of the other version none is
    return found.is_global and not (is_refused or found.is_multicast or found.is_reserved)


async def public_address(host: str, port: int) -> str:
    """The address that a name leads to now. All of them must be public, or it is trusted with none."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not addresses or not all(map(is_public_address, addresses)):
        raise NotPublicError(host)
    return addresses[0]


@dataclass(frozen=True, slots=True)
class Fetching:
    """Hosts that pictures may be fetched from: names, with a port where it is not the scheme's own."""

    hosts: frozenset[str]
    max_bytes: int
    limiter: anyio.CapacityLimiter
    resolve: Resolve = public_address
    trust: ssl.SSLContext | None = None  # None: where nothing is fetched

    @classmethod
    def of(cls, hosts: Sequence[str], max_bytes: int, resolve: Resolve = public_address) -> Fetching:
        # Once for all pictures: to read all authorities takes a tenth of a second.
        trust = httpx.create_ssl_context(trust_env=False) if hosts else None
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        return cls(frozenset(map(str.lower, hosts)), max_bytes, limiter, resolve, trust)

    async def all(self, urls: Sequence[tuple[str, str]], spent: Spent | None = None) -> list[bytes]:
        """What (field, URL) pairs lead to, in order."""
        spent = spent or Spent()
        if urls and not spent.is_in and self.limiter.statistics().tasks_waiting >= _WAITING:
            raise ApiError(429, "Too many pictures are being fetched.")
        found: list[bytes] = []
        began = anyio.current_time()
        try:
            with anyio.move_on_after(FETCH_S - spent.fetching_s):
                for field, url in urls:
                    async with self.limiter:
                        spent.is_in = True
                        found.append(await self.one(field, url))
        finally:
            spent.fetching_s += anyio.current_time() - began
        if len(found) < len(urls):
            field = urls[len(found)][0]
            raise ApiError(422, f"{field}: the picture did not come within {FETCH_S:g} s.", field)
        return found

    async def one(self, field: str, url: str) -> bytes:
        """The body of one answer."""
        asked = httpx.URL(url)
        port = asked.port or _PORTS[asked.scheme]
        self._require_allowed(field, asked.host, asked.port)
        try:
            address = await self.resolve(asked.host, port)
            return await self._body(field, asked, address)
        except NotPublicError:
            message = f"{field}: the host {asked.host} is not at a public address."
            raise ApiError(400, message, field) from None
        except (OSError, httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise ApiError(422, f"{field}: {asked.host} does not answer.", field) from error

    def _require_allowed(self, field: str, host: str, port: int | None) -> None:
        name = host.lower() if port is None else f"{host.lower()}:{port}"
        if name in self.hosts:
            return
        if not self.hosts:
            message = f"{field}: pictures are fetched from nowhere here; --image-hosts allows hosts."
        else:
            message = f"{field}: pictures are not fetched from {name!r} here; --image-hosts names others."
        raise ApiError(400, message, field)

    async def _body(self, field: str, url: httpx.URL, address: str) -> bytes:
        """Asked of that very address: a name that leads elsewhere by now changes nothing. No redirect is
        followed, no proxy asked."""
        host = url.netloc.decode("ascii")
        trust = self.trust or True
        async with httpx.AsyncClient(
            verify=trust, follow_redirects=False, trust_env=False, timeout=FETCH_S
        ) as client:
            request = client.build_request(
                "GET",
                url.copy_with(host=address),
                headers={**_HEADERS, "Host": host},
                extensions={"sni_hostname": url.host},
            )
            answer = await client.send(request, stream=True)
            try:
                if answer.status_code != 200:
                    raise ApiError(422, f"{field}: {url.host} answers {answer.status_code}.", field)
                return await self._read(field, answer)
            finally:
                await answer.aclose()

    async def _read(self, field: str, answer: httpx.Response) -> bytes:
        held = bytearray()
        async for piece in answer.aiter_raw():
            held += piece
            if len(held) > self.max_bytes:
                message = f"{field}: the picture is larger than {self.max_bytes} bytes."
                raise ApiError(422, message, field)
        return bytes(held)
