"""Logging set-up: text for people, JSON lines for machines, both on stderr.

Facts are written as key=value: `log.info("committed entry=%d rows=%d", 42, 900)`. In JSON they are
fields as well, with their types. What `about` says stands in every line that is logged meanwhile.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO
from unicodedata import category

LogFormat = Literal["text", "json"]

_PLACEHOLDER = re.compile(r"(?:(\w+)=)?%(?:%|[-#0 +]*\d*(?:\.\d+)?[a-zA-Z])")
_SIMPLE = (bool, int, float, str)
_KEY = re.compile(r"(cdx_[0-9a-f]{8}_)[0-9a-fA-F]+")  # of server/keys.py; a beginning of one as well
# Each request, each module that is tried, statistics at the end: nothing to people, unless it is a warning.
_TALKERS = ("httpx", "httpcore", "faiss", "torch", "uvicorn")
_about: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("about", default=())


def set_up(log_format: LogFormat = "text", level: int = logging.INFO) -> None:
    """Send what is logged to stderr in that form; called again, it replaces what it did before."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _ToStderr)]:
        root.removeHandler(handler)
    handler = _ToStderr()
    handler.setFormatter(_Json() if log_format == "json" else _Text(_TEXT, "%H:%M:%S"))
    root.addHandler(handler)
    root.setLevel(level)
    for talker in _TALKERS:
        logging.getLogger(talker).setLevel(max(level, logging.WARNING))


@contextmanager
def about(**facts: str) -> Iterator[None]:
    """What is logged within, by the threads that are asked from here too, says this as well."""
    token = _about.set((*_about.get(), *facts.items()))
    try:
        yield
    finally:
        _about.reset(token)


def told() -> dict[str, str]:
    """What `about` says here, for who goes on in another process."""
    return dict(_about.get())


def hidden(text: str) -> str:
    """With no API key in it, whoever wrote one where."""
    return _KEY.sub(r"\1...", text)


_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _ToStderr(logging.StreamHandler[TextIO]):
    """Whatever sys.stderr is when something is logged, so that a redirected one is heeded."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        raise AttributeError("the stream is always sys.stderr")


class _Text(logging.Formatter):
    """A line, and beneath it a traceback where there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return " ".join([super().formatMessage(record), *(f"{k}={v}" for k, v in _about.get())])

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = facts(record) | dict(_about.get())
        line |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return hidden(json.dumps(line))


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """The values of a message's key=%s places, by key."""
    args = (record.args,) if isinstance(record.args, Mapping) else record.args or ()  # one is there by itself
    names = [m[1] for m in _PLACEHOLDER.finditer(str(record.msg)) if not m[0].endswith("%%")]
    return {name: _fact(value) for name, value in zip(names, args, strict=False) if name}


def _fact(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _fact(held) for name, held in value.items()}
    return value if isinstance(value, _SIMPLE) else str(value)


def plain(text: str) -> str:
    """In one line, and without what a terminal would obey: file names may hold anything."""
    return "".join(c if c.isprintable() or category(c) == "Zs" else repr(c)[1:-1] for c in text)
