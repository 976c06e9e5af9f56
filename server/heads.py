"""HTTP/1.1 as uvicorn speaks it by h11, the strict way, but for heads that never end and what is no HTTP."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.gate import error_answer, new_id
from server.headers import HEADERS

HEAD_S = 15.0  # for a whole head, from the connection's or its own first byte on


class TimedHeads(H11Protocol):
    """Whoever sends a head byte by byte, or none, does not hold a connection for ever."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._time()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """In the shape of all errors; an answer that has begun is broken off instead."""
        cycle, begun = self.cycle, self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE)
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # who still works on the request whose body is none
        if not begun:
            self.transport.write(self._refusal())
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """None: whoever asks for a WebSocket or HTTP/2 is answered by HTTP/1.1, whatever is installed."""

    def _refusal(self) -> bytes:
        id = new_id()
        answer = error_answer(400, "The request is no HTTP/1.1, or its head is longer than 64 KiB.", id)
        answer.headers.update({**HEADERS, "X-Request-Id": id, "Connection": "close"})
        status = HTTPStatus.BAD_REQUEST
        head = h11.Response(status_code=status, headers=answer.raw_headers, reason=status.phrase.encode())
        sent = [
            self.conn.send(each) for each in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage())
        ]
        return b"".join(each or b"" for each in sent)

    def _time(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_S, self.timeout_keep_alive_handler)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
