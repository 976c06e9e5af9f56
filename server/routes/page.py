"""The page for people: files of the server's own, which ask the server what programs ask it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from core.files import hash_bytes
from server.errors import ApiError
from server.ranged import is_known

FIRST = "index.html"
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, as it is sent; its tag follows from its bytes, since a wheel's files are all of one date."""

    body: bytes
    media_type: str
    etag: str

    def answer(self, request: Request) -> Response:
        """The file, or that the browser has it already; it asks each time, so that an update is seen."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
        if is_known(request, self.etag):
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)


def router() -> APIRouter:
    """The page at / and its files below /page."""
    routes, held = APIRouter(include_in_schema=False), read()

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return held[FIRST].answer(request)

    @routes.api_route("/page/{name}", methods=["GET", "HEAD"])
    async def file(request: Request, name: str) -> Response:
        if name == FIRST or name not in held:
            raise ApiError(404, f"The page has no file {name!r}.")
        return held[name].answer(request)

    return routes


def read() -> dict[str, PageFile]:
    """All files by name; a few kilobytes, kept."""
    found = {each.name: each.read_bytes() for each in files("server").joinpath("static").iterdir()}
    return {
        name: PageFile(body, TYPES[name.rpartition(".")[2]], f'"{hash_bytes(body)}"')
        for name, body in found.items()
    }
