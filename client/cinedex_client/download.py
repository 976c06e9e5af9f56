"""A file that is being fetched: whole under its name, or not there."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from cinedex_client.calls import Call
from cinedex_client.errors import ClientError
from cinedex_client.questions import given


class Download:
    """What came so far, in a file beside the one it becomes.

    A video's id is a hash of its bytes: what is left of a broken download of its file is their beginning, and
    is gone on with, another day as well. A clip has no such name, and begins anew.
    """

    def __init__(self, call: Call[None], to: str | PathLike[str]) -> None:
        self._call, self._to = call, Path(to)
        if self._to.is_dir():
            raise ClientError(f"{self._to} is a folder; the file to write must be named.")
        self._goes_on = call.route.startswith("/media/")
        name = call.video_id.replace("/", "_") if self._goes_on else uuid4().hex
        self._path = self._to.with_name(f".{self._to.name}.{name}.part")

    def __enter__(self) -> Self:
        self._path.touch()
        self._file = self._path.open("r+b")
        self._most = self._held = self._file.seek(0, 2)
        return self

    def request(self) -> dict[str, Any]:
        """What httpx is told. The last byte is asked for again: there is an answer even to what is whole."""
        headers = {"accept-encoding": "identity"}
        if self._goes_on and self._held:
            headers["range"] = f"bytes={self._held - 1}-"
        return {
            "method": "GET",
            "url": self._call.path,
            "params": given(**self._call.params),
            "headers": headers,
        }

    def begins(self, answer: httpx.Response) -> bool:
        """Whether the answer holds what is missing, or all of it."""
        start = self._held - 1 if answer.status_code == 206 else 0
        if answer.status_code == 206 and not _starts_at(answer, start):
            raise ClientError(f"{self._call.path} answers with other bytes than were asked for.")
        if answer.is_success or answer.status_code == 416:  # what is here is longer: it is none of that video
            self._held = self._file.seek(start)
            self._file.truncate()
        return answer.is_success

    def write(self, piece: bytes) -> bool:
        """Take what came; whether it is more than ever."""
        self._file.write(piece)
        self._held += len(piece)
        is_more = self._held > self._most
        self._most = max(self._most, self._held)
        return is_more

    def finish(self) -> Path:
        """Give it its name."""
        self._file.close()
        return self._path.replace(self._to)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not (self._goes_on and self._held):
            self._path.unlink(missing_ok=True)


def _starts_at(answer: httpx.Response, first: int) -> bool:
    said: str = answer.headers.get("content-range", "")
    return said.startswith(f"bytes {first}-")
