"""One process that answers on a socket which others may share, until it is told to finish."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from index.device import chosen_device
from server.access import Closed
from server.app import create_app
from server.heads import TimedHeads
from server.library import ServedLibrary
from server.settings import ServeSettings
from server.workers import FINISH_S

log = logging.getLogger(__name__)
BACKLOG = 2048
SWITCH_S = 0.001
_LOOK_S = 0.05


def answer(
    settings: ServeSettings,
    encoder_threads: int,
    listening: socket.socket,
    heeding: Callable[[], None],
    *,
    is_first: bool = True,
    closed: Closed | None = None,
) -> None:
    """Until SIGTERM or Ctrl-C. heeding: called once a signal is heeded; is_first: not only once it can be
    searched; closed: what workers share."""
    # Whenever the event loop has called the system, to read, to write, to log, a thread that searches may
    # keep Python from it for so long. With Python's own 5 ms a burst of refusals is answered twice as late.
    sys.setswitchinterval(SWITCH_S)
    device = chosen_device(settings.device)
    library = ServedLibrary.of_data(settings.data, trusted=settings.trust_import, device=device)
    server = _Server(
        uvicorn.Config(
            create_app(library, settings, encoder_threads, closed),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=FINISH_S,
            lifespan="on",
            backlog=1,
            reset_contextvars=True,  # what resumes reading would leave its own to all that follow
            http=TimedHeads,
            ws="none",
            forwarded_allow_ips=settings.trusted_proxies,
        )
    )
    _finish_on_sigterm(server)
    heeding()
    while not is_first and not server.should_exit:
        library.look()
        if not library.is_loading:
            break
        time.sleep(_LOOK_S)
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Takes one connection at a time: asyncio takes as many at once as its backlog, and would leave other
    workers none. The system's own is set behind its back."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_complain)
        await super().startup(sockets)
        for each in sockets or []:
            each.listen(BACKLOG)


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Of a connection that cannot be taken, tried again each second, as of a state and no bug."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        log.error("no descriptors are left, new connections wait error=%s", error.strerror)
    else:
        loop.default_exception_handler(context)


def _finish_on_sigterm(server: uvicorn.Server) -> None:
    """Until uvicorn's own handler is there, and after: it raises the signal again when it is done, and to
    have finished on SIGTERM is a success."""

    def finish(signal: int, frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, finish)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup, and of workers
        signal.signal(signal.SIGHUP, finish)
