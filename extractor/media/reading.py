"""One file from its bytes to its pictures: what a decoder is asked, and what it answers."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from core.errors import Error, VideoError
from core.types import Facts, Line, Look, Sampling, Thumbs
from extractor.content import Content, content_of
from extractor.media.hardware import CPU
from extractor.media.reader import Anew, Picture, Reader
from extractor.media.sniff import shown_name
from extractor.work import Way

log = logging.getLogger(__name__)

# Of the errors a system has for everything, those that FFmpeg gives for what is in a file.
_OF_DATA = frozenset((errno.EIO, errno.EDOM, errno.ERANGE, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))

Beat = Callable[[], None]  # called at every sign of life


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of a file."""

    sampling: Sampling
    look: Look
    shots: bool = False  # record where they begin, whatever the points
    thumbs: bool = False
    decoder: str = "cpu"  # or "cuda", "cuda:1"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a place has no rows; `is_final`: it would be the same the next time."""

    error: str
    why: str = ""  # "not_video" or "still"
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """What is known of a file once its pictures have been given."""

    facts: Facts = field(default_factory=Facts)
    trouble: Trouble | None = None
    thumbs: Thumbs = field(default_factory=Thumbs)
    lines: tuple[Line, ...] = ()  # of its text tracks
    way: Way = "full"  # how its pictures were come by


class GoneError(Exception):
    """A decoder is no more, and why: "was killed by SIGSEGV". `is_chance`: another try may end otherwise;
    `is_final`: it is the file's doing, not that of who kills processes, as a system without memory does."""

    def __init__(self, why: str, *, is_chance: bool, is_final: bool = True) -> None:
        super().__init__(why)
        self.is_chance, self.is_final = is_chance, is_final


class LeftError(Exception):
    """Nobody wants the rest."""


class Decoder(Protocol):
    """Reads one file at a time; `media.children.Child` is one, `Here` another."""

    def content(self, file: bytes) -> Content:
        """What the file holds, or an OSError; a GoneError if this decoder was lost over it."""
        ...

    def read(self, file: bytes, order: Order) -> Iterator[Picture | Anew | Read]:
        """Its pictures, void where an `Anew` follows, and at the end one `Read`; or a GoneError."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """A decoder in this very process: nothing is started, and a crash in a codec ends everything."""

    beat: Beat

    def content(self, file: bytes) -> Content:
        return content_of(file, self.beat)

    def read(self, file: bytes, order: Order) -> Iterator[Picture | Anew | Read]:
        return read(file, order, self.beat)

    def close(self) -> None:
        pass


def read(
    file: bytes,
    order: Order,
    beat: Beat,
    limit_bytes: int = 0,
    opened: Callable[[Facts], None] = lambda facts: None,
) -> Iterator[Picture | Anew | Read]:
    """All of one file. `limit_bytes`: the memory that this process is held to, if it is; `opened` hears what
    the container says, before the first picture. What a GPU cannot decode, whyever, the CPU does."""
    any_given = False
    for found in _read(file, order, beat, limit_bytes, opened):
        if order.decoder != CPU and isinstance(found, Read) and found.trouble and not found.trouble.why:
            _tell_fallback(file, found.trouble.error)
            if any_given:
                yield Anew()
            yield from _read(file, replace(order, decoder=CPU), beat, limit_bytes, opened)
            return
        any_given = True
        yield found


def _tell_fallback(file: bytes, why: str) -> None:
    name = shown_name(Path(os.fsdecode(file)))
    log.info("decoded by the CPU, since the GPU cannot path=%s why=%s", name, why)


def _read(
    file: bytes, order: Order, beat: Beat, limit_bytes: int, opened: Callable[[Facts], None]
) -> Iterator[Picture | Anew | Read]:
    found, trouble = Read(), None
    try:
        path = Path(os.fsdecode(file))
        with Reader(path, shots=order.shots, thumbs=order.thumbs, beat=beat, decoder=order.decoder) as reader:
            opened(reader.facts)
            yield from reader.planned(order.sampling, order.look)
            if reader.fell_back:
                _tell_fallback(file, reader.facts.codec)
            found = Read(reader.facts, None, reader.thumbs, reader.lines, reader.way)
    except VideoError as error:
        trouble = _of_video(error, limit_bytes)
    except Error:  # what was asked cannot be, of no file
        raise
    except MemoryError:
        trouble = _of_memory(limit_bytes)
    except OSError as error:
        trouble = Trouble(f"it cannot be read: {error.strerror or error}")
    except Exception as error:  # a bug that one video shows must not end the others' work
        log.exception("path=%s", os.fsdecode(file).encode(errors="replace").decode())
        trouble = Trouble(f"reading it met a bug: {type(error).__name__}: {error}")
    yield replace(found, trouble=trouble) if trouble else found


def _of_video(error: VideoError, limit_bytes: int) -> Trouble:
    cause = error.__cause__
    if isinstance(cause, MemoryError):
        return _of_memory(limit_bytes)
    # It may be the machine's trouble and not the file's: the next time it may be otherwise.
    is_outside = isinstance(cause, OSError) and cause.errno not in _OF_DATA
    return Trouble(str(error), error.why, not is_outside)


def _of_memory(limit_bytes: int) -> Trouble:
    """A limit of its own is the file's fault; a machine that has no more is not."""
    if limit_bytes:
        return Trouble(f"it takes more than {limit_bytes / 2**30:g} GiB of memory to decode", is_final=True)
    return Trouble("it cannot be read: there is not enough memory")
