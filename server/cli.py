"""`cinedex serve`: bind, say where, answer until told to stop."""

from __future__ import annotations

import ctypes
import ipaddress
import logging
import multiprocessing
import os
import socket
import sys
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from core import files, logs
from core.config import run_verb
from core.errors import Error, UsageError
from core.running import running
from index.device import chosen_device
from server.limits import cpus
from server.settings import ServeSettings
from server.workers import supervise, unblock

if TYPE_CHECKING:
    from server.access import Access, Closed

log = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(ServeSettings, serve, argv, prog="cinedex serve")


def serve(settings: ServeSettings) -> int:
    """Answer until SIGTERM or Ctrl-C, then finish what was taken."""
    threads = _share_cpus(settings)
    if settings.openapi:
        from server.app import openapi_text

        sys.stdout.write(openapi_text())
        return 0
    from server.access import Access

    closed = multiprocessing.get_context("spawn").RawValue(ctypes.c_bool)  # no lock: a worker may be killed
    _refuse_strangers(settings, Access.of(settings, closed))
    _tell_names(settings)
    chosen_device(settings.device)  # or an error, before anything is bound
    files.require_temporary()
    listening = bind(settings.host, settings.port)
    log.info("listening host=%s port=%d", settings.host, listening.getsockname()[1])

    def heeding() -> None:
        url = address(listening, settings)
        sys.stdout.write(url + "\n")
        sys.stdout.flush()
        told.enter_context(running(settings.data, "serve", {"url": url}))

    with ExitStack() as told:
        if settings.workers > 1:
            work = partial(_work, settings, threads, closed)
            return supervise(work, listening, settings.workers, heeding)
        from server.answering import answer

        answer(settings, threads, listening, heeding, closed=closed)
    return 0


def _work(
    settings: ServeSettings, threads: int, closed: Closed, listening: socket.socket, is_first: bool
) -> None:
    """What each of several workers does, in a process of its own."""
    logs.set_up(settings.log_format, logging.WARNING if settings.quiet else logging.INFO)
    from server.answering import answer

    answer(settings, threads, listening, unblock, is_first=is_first, closed=closed)


def _share_cpus(settings: ServeSettings) -> int:
    """Requests run side by side, so each searches with one thread: FAISS and torch both read this. An encoder
    works for many at once and has all cores of its process: so many threads, or 0 where the user has said.
    Its threads sleep while they wait for each other: others are on these cores too."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "OMP_NUM_THREADS" in os.environ:
        return 0
    os.environ["OMP_NUM_THREADS"] = "1"
    return cpus(settings.workers)


def _refuse_strangers(settings: ServeSettings, access: Access) -> None:
    if access.is_by_key:
        return
    name, host = ("published", settings.published) if settings.published else ("host", settings.host)
    is_outside = not is_loopback(host)
    if is_outside and not settings.insecure:
        raise UsageError(
            f"{name}: {host} can be reached from outside, and there are no keys; "
            "`cinedex keys create` makes one, --insecure says that none is meant."
        )
    if is_outside or not is_loopback(
        settings.host
    ):  # what is published says nothing of a container's network
        where = settings.host if is_loopback(host) else host
        log.warning("whoever reaches the server may ask it, since it has no keys host=%s", where)


def _tell_names(settings: ServeSettings) -> None:
    from server.gate import is_wildcard

    if is_wildcard(settings.host) and not settings.allowed_hosts:
        log.info(
            "asked for by any address of this machine; names take --allowed-hosts host=%s", settings.host
        )


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
        listening = socket.create_server((name, port), family=family, backlog=2048)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise Error(f"{host} port {port} cannot be bound: {why}.") from error
    # Its connections inherit it, and asyncio sets it only where it is told the protocol: without it the
    # second piece of an answer waits 40 ms for the client's word that the first one came.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address(listening: socket.socket, settings: ServeSettings) -> str:
    """What to type into a browser: where a port is published, else where it is bound. One that is reached at
    every address is told by this machine's own."""
    from server.gate import bare, is_wildcard

    host, port = settings.host, listening.getsockname()[1]
    if settings.published:
        host, port = settings.published, settings.published_port or port
    name = bare(host)
    if is_wildcard(name):
        name = "::1" if ":" in name else "127.0.0.1"
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
