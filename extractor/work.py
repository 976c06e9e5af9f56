"""What goes to a worker and what comes back. No torch here: whoever only counts does not need it."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal

from core.log import Task
from core.logs import LogFormat
from core.types import Kind, Place
from core.writer import MAX_SECONDS
from extractor.url import Url

Outcome = Literal["done", "copy", "skipped", "failed"]
Way = Literal["planned", "retried", "full"]  # how a video's pictures are come by
WAYS: tuple[Way, ...] = ("planned", "retried", "full")  # each for where the one before it does not hold
Key = tuple[str, bytes]
_SHORT_S, _SHORT = 2.0, 0.1  # what a video may lack of its header's length: sound may be longer than pictures


def key_of(place: Place) -> Key:
    """A place whatever its stamp."""
    return place.root, place.path


def size_of(place: Place) -> int:
    """The bytes of its file as its stamp says; 0 for what is no file."""
    size = place.stamp.partition("-")[0]
    return int(size) if size.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Writing:
    """Captions, and how they are to be written."""

    by: str = ""  # family:variant; "": the encoder whose vectors the store holds
    beams: int = 1
    download: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """How everything that is to do is to be done."""

    store: Path
    encoder: str
    sampling: Mapping[str, Any] = field(default_factory=dict)  # what was asked; the rest is the store's
    options: Mapping[str, Any] = field(default_factory=dict)  # of the encoder: weights, scale, …
    batch: int = 16  # pictures, or texts, encoded together
    decoders: int = 1  # videos read at once by one worker, each by a process of its own
    workers: int = 1  # processes; 0: none but this one, and threads that decode
    devices: tuple[str, ...] = ("auto",)  # the workers use them in turn
    precision: str = "auto"
    compile: bool = False
    decoder: str = "cpu"  # of videos; or "cuda": the worker's GPU
    cores: int = 0  # of a worker: the encoder has those that no decoder is busy on; 0: what torch thinks best
    again: bool = False
    retry_failed: bool = False
    shots: bool = False  # record where they begin, whatever the points
    careful: bool = False  # one source at a time, a commit after each
    commit_s: float = MAX_SECONDS  # to the first commit; to each next one twice as long, up to that
    stall_s: float = 120.0  # a file without progress for that long is given up
    memory_bytes: int = 2 << 30  # what decoding one file may take
    thumbs: bool = True
    embed_lines: bool = False  # vectors for subtitles too
    captions: Writing | None = None  # of each clip
    log_format: LogFormat = "text"
    log_level: int = 20
    beside: tuple[Path, ...] = ()  # the collection's other stores, which hear of new columns too

    @property
    def device_of_each(self) -> tuple[str, ...]:
        """One for every worker."""
        return tuple(islice(cycle(self.devices), max(1, self.workers)))


@dataclass(frozen=True, slots=True)
class Spool:
    """The folder where what addresses name is kept for a while, and how much of it."""

    folder: Path
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the bytes of a place far away are, and where they are kept meanwhile."""

    url: Url
    spool: Spool


@dataclass(frozen=True, slots=True)
class Work:
    """One place to embed, and where its bytes are."""

    task: Task
    file: bytes = b""
    remote: Remote | None = None  # instead of a file
    text: str | None = None  # a library text instead of a file
    columns: str | None = None
    named: bool = False  # by the user: what it lacks is a failure, not a reason to pass it over
    source: str = ""  # the content it is known to be: only what lies beside it is to be read

    @property
    def place(self) -> Place:
        return self.task.place

    @property
    def key(self) -> Key:
        return key_of(self.place)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one place. True once a `Committed` follows."""

    place: Place
    outcome: Outcome
    source: str = ""
    rows: Mapping[Kind, int] = field(default_factory=dict)
    seconds: float = 0.0  # of the video
    header_s: float = 0.0  # that it says it has
    lost_packets: int = 0
    still_points: int = 0
    way: str = ""  # how a video's pictures were come by: "planned", "retried" or "full"
    transfer: str = ""  # "pq" or "hlg": it is HDR
    error: str = ""  # failed: why; skipped: "not_video" or "still"
    cut: str = ""  # a text that is longer than the encoder reads
    lines: int = 0  # of subtitles, new to the store
    captions: int = 0
    sidecars: int = 0
    is_settled: bool = False  # some of what lies beside it could not be read: not again in this run

    @property
    def is_damaged(self) -> bool:
        """Whether it gave pictures, but perhaps not all: some packets are broken, or it ends early."""
        missing_s = self.header_s - self.seconds
        return bool(self.lost_packets) or missing_s > max(_SHORT_S, _SHORT * self.header_s)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A worker has its encoder; "" where an encoder has no precision to choose or no picture
    came that would have been in it, None where none was tried."""

    device: str
    precision: str = ""
    cosine: float | None = None  # to fp32, the worst of some pictures
    batch_pictures: int = 0  # encoded together: of an encoder of runs `--batch` says how many runs


@dataclass(frozen=True, slots=True)
class Encoded:
    """So many pictures more; said now and then, since a long video reports only when it ends."""

    pictures: int


@dataclass(frozen=True, slots=True)
class Committed:
    """Everything a worker reported up to here is in the store; where its time went since the last one."""

    entry: int | None
    wait_pictures: float = 0.0
    encode: float = 0.0
    write: float = 0.0
    cpu: float = 0.0  # of a worker and what it started; in the parent's own process it is the parent's
    wait_encoder: float = 0.0  # of its decoders together


@dataclass(frozen=True, slots=True)
class Stalled:
    """A file makes no progress: its thread cannot be ended, so its worker is, all else being committed."""

    seconds: float

    @property
    def why(self) -> str:
        return f"made no progress for {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker ended before its time: these reports are not true, and this is what it had in hand."""

    why: str
    reports: tuple[Report, ...] = ()
    open: tuple[Work, ...] = ()
    reported: tuple[Work, ...] = ()  # what the reports are of

    @property
    def count(self) -> int:
        return len(self.open) + len(self.reported)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is done before then: it is not one of the hours to work in."""

    until: datetime


Event = Loaded | Report | Encoded | Committed | Lost | Waiting


@dataclass(frozen=True, slots=True)
class Left:
    """What is to do still."""

    count: int
    bytes: int
    is_all: bool  # or only what has been found so far


class Patience:
    """A clock that stands still while this process does: Ctrl-Z, a laptop that sleeps, a long batch."""

    def __init__(self, most: float) -> None:
        self._most, self._at, self.now = most, time.monotonic(), 0.0

    def look(self) -> float:
        """What it shows; however long ago the last look was, it went on by `most` at most."""
        at = time.monotonic()
        self.now += min(at - self._at, self._most)
        self._at = at
        return self.now


def how_ended(code: int | None) -> str:
    """Why a process is no more, in words."""
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
