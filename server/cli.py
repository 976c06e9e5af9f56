"""`cinedex serve`: bind, say where, answer until told to stop."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import sys
from types import FrameType
from typing import TYPE_CHECKING

from core.config import run
from core.errors import Error, UsageError
from core.running import running
from index.device import chosen_device
from server.limits import cpus
from server.settings import ServeSettings

if TYPE_CHECKING:
    import uvicorn

    from server.access import Access

log = logging.getLogger(__name__)
_FINISH_S = 30


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run(ServeSettings, serve, argv, prog="cinedex serve")


def serve(settings: ServeSettings) -> int:
    """Answer until SIGTERM or Ctrl-C, then finish what was taken."""
    _share_cpus(settings)
    for talker in ("uvicorn", "faiss"):
        logging.getLogger(talker).setLevel(logging.WARNING)
    import uvicorn

    from server.access import Access
    from server.app import create_app, openapi_text
    from server.heads import TimedHeads
    from server.library import ServedLibrary

    if settings.openapi:
        sys.stdout.write(openapi_text())
        return 0
    _refuse_strangers(settings, Access.of(settings))
    device = chosen_device(settings.device)
    listening = bind(settings.host, settings.port)
    library = ServedLibrary.of_data(settings.data, trusted=settings.trust_import, device=device)
    app = create_app(library, settings)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_FINISH_S,
            lifespan="on",
            http=TimedHeads,
            ws="none",
            forwarded_allow_ips=settings.trusted_proxies,
        )
    )
    _finish_on_sigterm(server)
    sys.stdout.write(address(listening, settings.host) + "\n")
    sys.stdout.flush()
    with running(settings.data, "serve", {"url": address(listening, settings.host)}):
        server.run(sockets=[listening])
    return 0


def _finish_on_sigterm(server: uvicorn.Server) -> None:
    """Until uvicorn's own handler is there, and after: it raises the signal again when it is done, and to
    have finished on SIGTERM is a success."""

    def finish(signal: int, frame: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, finish)


def _share_cpus(settings: ServeSettings) -> None:
    """Requests run side by side, so each gets its share of threads: torch and FAISS both read this."""
    at_once = settings.max_concurrent or cpus()
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpus() // at_once)))


def _refuse_strangers(settings: ServeSettings, access: Access) -> None:
    host = settings.host
    if is_loopback(host) or access.is_by_key:
        return
    if not settings.insecure:
        raise UsageError(
            f"host: {host} can be reached from outside, and there are no keys; "
            "`cinedex keys create` makes one, --insecure says that none is meant."
        )
    log.warning("whoever reaches the server may ask it, since it has no keys host=%s", host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, or an Error that says what is in the way."""
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        return socket.create_server((name, port), family=family, backlog=2048)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise Error(f"{host} port {port} cannot be bound: {why}.") from error


def address(listening: socket.socket, host: str) -> str:
    """What to type into a browser."""
    name = f"[{host.strip('[]')}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"
