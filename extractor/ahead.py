"""Decoding that runs ahead of the encoder: threads, each minding a decoder, fill a bounded queue."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from math import prod
from typing import Literal

from core.types import Facts, Line, Thumbs
from extractor.content import Content, samples_of
from extractor.media.reader import Anew, Picture
from extractor.media.reading import Beat, Decoder, GoneError, LeftError, Order, Read, Trouble
from extractor.spool import ChangedError, is_unchanged, spooled
from extractor.stock import Stock
from extractor.work import Patience, Way, Work, size_of

log = logging.getLogger(__name__)
# Messages, nearly all of them pictures, that may wait for the encoder: at least so many, or so many for each
# decoder, unless these would take more memory.
_STOCK, _STOCK_EACH, _STOCK_BYTES = 128, 16, 128 << 20
_LOOK_S = 0.2  # how soon a waiting thread notices that it is to stop
_JOIN_S = 2.0
CHANGED = "it changed while it was read"

_TRIES = 2  # of a file whose decoder went away, the second time with a fresh one

Claim = Literal["mine", "known", "taken"]


@dataclass(frozen=True, slots=True)
class Begun:
    """A video's pictures follow, from the first one on; said again, those before are void."""

    work: Work
    source: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture of a video that has begun."""

    source: str
    picture: Picture


@dataclass(frozen=True, slots=True)
class Ended:
    """A video's pictures have all been sent, or what went wrong."""

    source: str
    facts: Facts
    trouble: Trouble | None = None
    thumbs: Thumbs = field(default_factory=Thumbs)
    lines: tuple[Line, ...] = ()  # of its own text tracks
    way: Way = "full"  # how its pictures were come by


@dataclass(frozen=True, slots=True)
class Settled:
    """A place without pictures: a text to encode ("mine"), a content that the store or a worker has."""

    work: Work
    source: str
    claim: Claim


@dataclass(frozen=True, slots=True)
class Unread:
    """A place whose content is not even known."""

    work: Work
    trouble: Trouble


Message = Begun | Seen | Ended | Settled | Unread
# By its sign of life, and by what tells it that nobody wants more.
MakeDecoder = Callable[[Beat, Callable[[], bool]], Decoder]


class Claims:
    """Which contents are known or in hand, so that of two copies one is decoded. Its lock guards the log."""

    def __init__(
        self,
        is_known: Callable[[str], bool],
        alike: Callable[[str], Mapping[str, Content]] = lambda stamp: {},
    ) -> None:
        self.lock = threading.Lock()
        self._is_known, self._alike = is_known, alike
        self._taken: set[str] = set()

    def take(self, source: str) -> Claim:
        """Whose a content is; "mine" takes it."""
        with self.lock:
            if source in self._taken:
                return "taken"
            if self._is_known(source):
                return "known"
            self._taken.add(source)
            return "mine"

    def knows(self, source: str) -> bool:
        """Whether the store has it."""
        with self.lock:
            return self._is_known(source)

    def alike(self, stamp: str) -> Mapping[str, Content]:
        """What a file with this stamp may hold, by its samples, without reading it whole."""
        with self.lock:
            return self._alike(stamp)

    def drop(self, sources: Collection[str]) -> None:
        """Of these contents the store knows, or another place may try them."""
        with self.lock:
            self._taken.difference_update(sources)


@dataclass(slots=True)
class _Hand:
    """What one thread has in hand, and when that last got on."""

    work: Work | None = None
    at: float = 0.0
    waits: bool = False  # for the encoder
    rested_s: float = 0.0  # by waiting for it


class Decoders:
    """Some threads, each with one video at a time; `run` gives what they send, each video's in order, and
    None now and then while nothing comes."""

    def __init__(
        self, feed: Iterator[Work], claims: Claims, wanted: Order, stall_s: float, make: MakeDecoder
    ) -> None:
        """`wanted`: what is asked of each file."""
        self._waited_s = self._rested_s = 0.0
        self._stall_s, self._make = stall_s, make
        self._clock = Patience(self._stall_s / 4)
        self._hands: list[_Hand] = []
        self._mine = threading.local()
        self._feed, self._claims, self._wanted = feed, claims, wanted
        self._feeding = threading.Lock()
        self._stock: Stock[Message | _Dry | Exception] = Stock(_STOCK)
        self._most = _STOCK_BYTES // prod(wanted.look.shape) + 1
        self._closed = threading.Event()

    def run(self, count: int, stop: threading.Event) -> Generator[Message | None, None, None]:
        """The messages of all threads until the feed is dry and they have ended, or `stop` is set."""
        self._hands = [_Hand() for _ in range(count)]
        self._stock = Stock(min(max(_STOCK, _STOCK_EACH * count), self._most))
        threads = [threading.Thread(target=self._thread, args=(hand,), daemon=True) for hand in self._hands]
        for thread in threads:
            thread.start()
        try:
            while count and not stop.is_set():
                message = self._arrived()
                if isinstance(message, Exception):
                    raise message
                if isinstance(message, _Dry):
                    count -= 1
                else:
                    yield message
        finally:
            self._closed.set()
            until = time.monotonic() + _JOIN_S
            for thread in threads:
                thread.join(max(0.0, until - time.monotonic()))

    @property
    def busy(self) -> int:
        """How many are at work, and not waiting for the encoder."""
        return sum(hand.work is not None and not hand.waits for hand in self._hands)

    def waits_s(self) -> tuple[float, float]:
        """Since the last call: how long the encoder waited for pictures, and they all for the encoder."""
        rested_s = sum(hand.rested_s for hand in self._hands)
        found = self._waited_s, rested_s - self._rested_s
        self._waited_s, self._rested_s = 0.0, rested_s
        return found

    @property
    def has_stalled(self) -> bool:
        """Whether a thread has read no block, sent no picture and not waited to send one for too long."""
        now = self._clock.look()
        return any(hand.work and now - hand.at > self._stall_s for hand in self._hands)

    def _arrived(self) -> Message | _Dry | Exception | None:
        started = time.monotonic()
        found = self._stock.get(_LOOK_S)
        self._waited_s += time.monotonic() - started
        return found

    def _thread(self, hand: _Hand) -> None:
        self._mine.hand = hand
        with suppress(LeftError):
            try:
                with closing(self._make(self._beat, self._closed.is_set)) as decoder:
                    while (work := self._next()) is not None:
                        self._beat()
                        hand.work = work
                        self._take(work, decoder)
                        hand.work = None
                self._put(_Dry())
            except LeftError:
                raise
            except Exception as error:  # the thread's edge: the main thread raises it
                self._put(error)
            finally:
                hand.work = None

    def _next(self) -> Work | None:
        with self._feeding:
            return None if self._closed.is_set() else next(self._feed, None)

    def _beat(self) -> None:
        self._mine.hand.at = self._clock.now

    def _beat_or_leave(self) -> None:
        if self._closed.is_set():
            raise LeftError
        self._beat()

    def _put(self, message: Message | _Dry | Exception) -> None:
        hand: _Hand = self._mine.hand
        while not self._closed.is_set():
            self._beat()
            began = time.monotonic()
            is_in = self._stock.put(message, _LOOK_S)
            hand.rested_s += time.monotonic() - began
            hand.waits = not is_in  # until then its decoder has had the time to fill all slots
            if is_in:
                return
        raise LeftError

    def _take(self, work: Work, decoder: Decoder) -> None:
        if work.text is not None:
            source = work.place.stamp
            return self._put(Settled(work, source, self._claims.take(source)))
        if work.source:
            return self._put(Settled(work, work.source, "known"))
        try:
            with spooled(work, self._beat_or_leave) as file:
                self._take_file(work, file, decoder)
        except ChangedError:
            self._put(Unread(work, Trouble(CHANGED)))
        except OSError as error:
            self._put(Unread(work, Trouble(f"it cannot be read: {error.strerror or error}")))

    def _take_file(self, work: Work, file: bytes, decoder: Decoder) -> None:
        content = self._short_cut(work, file) or _content(file, decoder)
        if isinstance(content, Trouble):
            return self._put(Unread(work, content))
        if not is_unchanged(work):
            raise ChangedError
        claim = self._claims.take(content.id)
        if claim != "mine":
            return self._put(Settled(work, content.id, claim))
        read = self._read(work, file, content, decoder)
        trouble = read.trouble if is_unchanged(work) else Trouble(CHANGED)
        facts = replace(read.facts, size=content.size, samples=content.samples)
        self._put(Ended(content.id, facts, trouble, read.thumbs, read.lines, read.way))

    def _short_cut(self, work: Work, file: bytes) -> Content | None:
        alike = self._claims.alike(work.place.stamp)
        content = alike.get(samples_of(file)) if alike else None
        return content if content and content.size == size_of(work.place) else None

    def _read(self, work: Work, file: bytes, content: Content, decoder: Decoder) -> Read:
        lost = Read()
        for _ in range(_TRIES):
            self._put(Begun(work, content.id))
            try:
                for found in decoder.read(file, self._wanted):
                    match found:
                        case Read():
                            return found
                        case Anew():
                            self._put(Begun(work, content.id))
                        case _:
                            self._put(Seen(content.id, found))
            except GoneError as error:
                log.warning("a decoder %s path=%s", error, work.place.shown)
                lost = Read(trouble=_lost(error))
                if not error.is_chance:
                    break
        return lost


def _content(file: bytes, decoder: Decoder) -> Content | Trouble:
    lost = Trouble("")
    for _ in range(_TRIES):
        try:
            return decoder.content(file)
        except OSError as error:
            return Trouble(f"it cannot be read: {error.strerror}")
        except GoneError as error:
            lost = _lost(error)
            if not error.is_chance:
                break
    return lost


def _lost(error: GoneError) -> Trouble:
    return Trouble(f"its decoder {error}", is_final=error.is_final)


class _Dry:
    """A thread has ended: there is no more to take."""
