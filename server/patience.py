"""How long a request is worked for: until its deadline, and while its client is there."""

from __future__ import annotations

import asyncio

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.gate import error_answer

LEFT = 499  # as nginx has it: only the log and the metrics see it
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_GONE: Message = {"type": "http.disconnect"}


class Bounded:
    """A middleware that ends what takes too long, and what nobody waits for any more.

    The clock runs from the end of a request to the beginning of its answer: a body may come slowly, and a
    film may be sent for hours.
    """

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = _Asked(receive, send, self._seconds)
        with asked.bound:
            try:
                if scope["method"] in _WITHOUT_BODY:
                    asked.is_whole()
                await self._app(scope, asked.receive, asked.send)
            finally:
                asked.end()
        if asked.bound.cancelled_caught and not asked.is_answered:
            status, why = asked.refusal
            await error_answer(status, why, scope["state"]["request_id"])(scope, receive, send)


class _Asked:
    """A request, and who asked it."""

    def __init__(self, receive: Receive, send: Send, seconds: float) -> None:
        self.bound = anyio.CancelScope()
        self.is_answered = False
        self._receive, self._send, self._seconds = receive, send, seconds
        self._left = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._is_told = False  # the application, that the body has ended

    def is_whole(self) -> None:
        """From now on its answer is waited for, and nothing but the client's leaving is received."""
        self.bound.deadline = anyio.current_time() + self._seconds
        self._watch = asyncio.create_task(self._until_left())

    async def _until_left(self) -> None:
        while (await self._receive())["type"] != _GONE["type"]:
            pass
        self._left.set()
        self.bound.cancel()

    async def receive(self) -> Message:
        if self._watch is None:
            message = await self._receive()
            if message["type"] == _GONE["type"]:  # amid its body, which is not wrong for that
                self._left.set()
                self.bound.cancel()
                await anyio.sleep_forever()
            if message["type"] == "http.request" and not message.get("more_body"):
                self._is_told = True
                self.is_whole()
            return message
        if not self._is_told:
            self._is_told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return _GONE

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_answered = True
            self.bound.deadline = float("inf")
        elif not message.get("more_body"):
            self.end()  # after its last piece a server takes every client for gone
        await self._send(message)

    def end(self) -> None:
        """Nothing is watched any more."""
        if self._watch is not None:
            self._watch.cancel()

    @property
    def refusal(self) -> tuple[int, str]:
        if self._left.is_set():
            return LEFT, "The client has gone."
        return 503, f"No answer was found within {self._seconds:g} s; what was begun for it has been ended."
