"""Decoders in processes of their own: what crashes one, hangs it or eats its memory costs one file.

They are forks of a server that has PyAV and torch loaded, so a new one is there in milliseconds. Pictures go
through a block of memory that both sides map; all else are small messages over one line.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Literal

import torch

from core import logs
from core.errors import Error
from core.types import Facts, Line, Thumbs
from extractor.content import SAMPLE_BYTES, Content, content_of
from extractor.media import fork, plain
from extractor.media.reader import Anew, Picture
from extractor.media.reading import Beat, GoneError, LeftError, Order, Read, Trouble, read
from extractor.media.ring import Handed, Ring, block
from extractor.work import Patience, how_ended

_FILES = 2_000  # that one child reads before a fresh one takes its place
_LOOK_S = 0.2  # how soon it is noticed that nobody wants more, or that a child is silent
_BEAT_S = 0.5
_TOGETHER_S = 0.01  # how long a picture waits for others that can be told of together
_SMALL_BYTES = SAMPLE_BYTES  # a file that is hashed and read at once: asking twice costs as much as either
_CPU_MORE = 20.0  # times what decoding a file is expected to take
_CPU_S_PER_PIXEL = 3e-9
_CPU_S_PER_BYTE = 1e-7  # of hashing, by far
_MOST_CPU_S = 30 * 86_400.0  # whatever a header says


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost."""

    stall_s: float = 120.0  # without a block read, a packet or a picture
    memory_bytes: int = 2 << 30  # of address space, above what a child has before it opens the file; 0: any
    cpu_s: float = 600.0  # besides what its length and size explain
    log_format: logs.LogFormat = "text"
    log_level: int = 20


@dataclass(frozen=True, slots=True)
class _Alive:
    """A sign of life."""


_Times = tuple[float, float, float]  # a picture's start and end, and where its shot begins
# What to do with a file: hash it, perhaps read it right behind that, as before; or read it, as before or so.
_Wish = Literal["hash", "hash and read", "read"] | Order
_Asked = tuple[bytes, _Wish] | int  # so many slots are free
_Answer = _Alive | Anew | Read | OSError | Error
# What the file holds; of pictures in the next slots; and what is behind them.
_Told = tuple[Content | None, tuple[_Times, ...], _Answer | None]


# A child has read a stranger's file, and may be taken over: what it says is read as plain values. It takes
# what we say as pickles: whoever could change that is us already.
_SAID = plain.records(_Alive, Anew, Content, Facts, Line, Read, Thumbs, Trouble)
_TIMES = struct.Struct("<3d")


class Child:
    """A `Decoder` whose files are read elsewhere. Used by one thread; `beat` is called while it waits."""

    def __init__(
        self, limits: Limits, size: int, beat: Beat, is_left: Callable[[], bool], run: int = 1
    ) -> None:
        """`size` and `run`: of the look of all orders."""
        self._limits, self._beat, self._is_left = limits, beat, is_left
        self._size, self._run = size, run
        self._running: _Running | None = None
        self._files = 0
        self._is_read = False  # the last file that was hashed: the next one probably will be
        self._begun: tuple[bytes, Iterator[Picture | Content | _Answer]] | None = None  # read unasked
        self._lost: tuple[bytes, GoneError] | None = None  # by that

    def content(self, file: bytes) -> Content:
        """What the file holds; an OSError, or a GoneError. A small one is read before that is asked."""
        self._let_go()
        self._files += 1
        if self._files > _FILES:
            self.close()
            self._files = 1
        running, goes_on = self._alive(), False
        if self._is_read and running.order is not None:
            goes_on = os.stat(file).st_size <= _SMALL_BYTES
        self._is_read = False
        if goes_on:
            try:
                return self._hashed(running, file, goes_on=True)
            except GoneError as error:  # it may be reading it that does this, so that is what is told of it
                self._lost = file, error
        return self._hashed(self._alive(), file, goes_on=False)

    def _hashed(self, running: _Running, file: bytes, *, goes_on: bool) -> Content:
        answers = self._answers(running, (file, "hash and read" if goes_on else "hash"))
        for said in answers:
            if isinstance(said, Content):
                self._begun = (file, answers) if goes_on else None
                return said
        raise AssertionError("a child answers, or is gone")

    def read(self, file: bytes, order: Order) -> Iterator[Picture | Anew | Read]:
        """Its pictures and a `Read`; a GoneError at any time."""
        self._is_read = True
        lost, self._lost = self._lost, None
        if lost and lost[0] == file:
            raise lost[1]
        running = self._alive()
        if self._begun and self._begun[0] == file and order is running.order:
            answers = self._begun[1]
        else:
            self._let_go()
            running = self._alive()
            wish: _Wish = "read" if order is running.order else order
            running.order = order
            answers = self._answers(running, (file, wish))
        self._begun = None
        for said in answers:
            if isinstance(said, Picture | Anew):
                yield said
            elif isinstance(said, Read):
                yield said
                return

    def _let_go(self) -> None:
        """Hear out what was read unasked and nobody wants."""
        begun, self._begun = self._begun, None
        if begun:
            with suppress(GoneError, OSError, Error):
                while not isinstance(next(begun[1]), Read):
                    pass

    def close(self) -> None:
        """End it, whatever it does."""
        self._begun = None
        if self._running is not None:
            self._running.kill()
            self._running = None

    def _alive(self) -> _Running:
        if self._running is None:
            self._running = _Running.start(self._limits, self._size, self._run)
        return self._running

    def _answers(self, running: _Running, asked: _Asked) -> Iterator[Picture | Content | _Answer]:
        running.say(asked)
        while True:
            content, pictures, said = self._heard(running)
            taken = [Picture(t, end, running.ring.take(), shot) for t, end, shot in pictures]
            if taken and not isinstance(said, Read):  # with the next file all slots are free anyway
                running.say(len(taken))
            if content is not None:
                yield content
            yield from taken
            if isinstance(said, OSError | Error):
                raise said
            if said is not None:
                yield said

    def _heard(self, running: _Running) -> _Told:
        clock = Patience(1.0)
        try:
            while not running.has_said(_LOOK_S):
                self._beat()
                if self._is_left():
                    raise LeftError
                if clock.look() > self._limits.stall_s:
                    raise self._given_up(f"made no progress for {self._limits.stall_s:g} s")
            return running.heard()
        except (EOFError, OSError):
            raise self._given_up("") from None
        except plain.NotPlainError:
            raise self._given_up("said what no decoder says") from None

    def _given_up(self, why: str) -> GoneError:
        running = self._running
        assert running is not None
        self._running = None
        code = running.kill() if why else running.ended()
        if not why and code == -signal.SIGXCPU:
            why = "took far more CPU time than its length explains"
        return GoneError(
            why or how_ended(code), is_chance=not why, is_final=code != -signal.SIGKILL or bool(why)
        )


@dataclass
class _Running:
    """One process, seen from here."""

    process: BaseProcess
    line: Connection
    ring: Ring
    order: Order | None = None  # the last one that it was told

    def __post_init__(self) -> None:
        self._look = select.poll()  # Connection.poll takes ten times as long
        self._look.register(self.line, select.POLLIN)

    @classmethod
    def start(cls, limits: Limits, size: int, run: int) -> _Running:
        return fork.started(lambda: cls._started(limits, size, run))

    @classmethod
    def _started(cls, limits: Limits, size: int, run: int) -> _Running:
        memory = block(size, run)
        line, theirs = fork.pipe()
        try:
            process = fork.process(_live, (theirs, Handed(memory), size, run, limits))
            return cls(process, line, Ring(memory, size, run))
        finally:
            theirs.close()
            os.close(memory)

    def say(self, what: _Asked) -> None:
        with suppress(OSError):  # its end is noticed where we listen
            self.line.send_bytes(pickle.dumps(what))

    def has_said(self, seconds: float) -> bool:
        """Whether there is something to hear, or nobody to hear any more, within that time."""
        return bool(self._look.poll(1000 * seconds))

    def heard(self) -> _Told:
        """A NotPlainError for what no child of ours says."""
        match plain.read(self.line.recv_bytes(plain.MOST_BYTES), _SAID):
            case (
                (None | Content()) as content,
                bytes(times),
                (None | _Alive() | Anew() | Read() | OSError() | Error()) as said,
            ) if not len(times) % _TIMES.size:
                return content, tuple(_TIMES.iter_unpack(times)), said
        raise plain.NotPlainError("no answer of a decoder's")

    def kill(self) -> int | None:
        """End it now; its exit code, None where even SIGKILL does not reach it."""
        self.process.kill()
        return self.ended()

    def ended(self) -> int | None:
        """The exit code of one that is ending by itself; it has a moment for that."""
        self.line.close()
        return fork.ended(self.process)


# --- the child's side ------------------------------------------------------------------------------------


def _live(line: Connection, memory: int, size: int, run: int, limits: Limits) -> None:
    """The whole life of a child: one order after another, until the parent is gone."""
    fork.die_with_parent()
    logs.set_up(limits.log_format, limits.log_level)
    torch.set_num_threads(1)
    sender = _Sender(line, Ring(memory, size, run))
    os.close(memory)
    if limits.memory_bytes:
        fork.limit_memory(limits.memory_bytes)
    order: Order | None = None
    with suppress(EOFError, ConnectionError):
        while True:
            file, wish = sender.asked()
            try:
                if wish == "hash" or wish == "hash and read":
                    fork.limit_cpu(limits.cpu_s + os.stat(file).st_size * _CPU_S_PER_BYTE)
                    sender.keep(content_of(file, sender.beat))
                if wish == "hash":
                    sender.say(None)
                else:
                    order = wish if isinstance(wish, Order) else order
                    assert order is not None
                    sender.send_all(file, order, limits)
            except ConnectionError:
                raise
            except (OSError, Error) as error:
                sender.say(error)


class _Sender:
    """What a child says, and which slots are free."""

    def __init__(self, line: Connection, ring: Ring) -> None:
        self._line, self._ring = line, ring
        self._free = ring.count
        self._content: Content | None = None  # that the parent has not been told of
        self._times: list[_Times] = []  # of pictures likewise
        self._since = 0.0  # when the first of them came
        self._beaten = time.monotonic()

    def asked(self) -> tuple[bytes, _Wish]:
        """What to do next."""
        while True:
            asked: _Asked = pickle.loads(self._line.recv_bytes())
            if not isinstance(asked, int):
                self._free = self._ring.count  # who asks has taken all pictures before
                return asked

    def beat(self) -> None:
        """Tell of pictures that have waited long enough; a sign of life, if the last one is a while ago."""
        now = time.monotonic()
        if (self._times or self._content) and now - self._since > _TOGETHER_S:
            self.say(None)
        elif now - self._beaten > _BEAT_S:
            self.say(_Alive())

    def keep(self, content: Content) -> None:
        """Tell of it with what comes next."""
        self._content, self._since = content, time.monotonic()

    def say(self, what: _Answer | None) -> None:
        """Tell of all pictures so far, and that."""
        told = (self._content, b"".join(_TIMES.pack(*each) for each in self._times), what)
        self._content = None
        self._times.clear()
        self._beaten = time.monotonic()
        self._line.send_bytes(plain.written(told))

    def send_all(self, file: bytes, order: Order, limits: Limits) -> None:
        """A file's pictures, each when there is a slot for it."""
        limit = partial(_limit_reading, limits)
        for found in read(file, order, self.beat, limits.memory_bytes, limit):
            if isinstance(found, Anew | Read):
                self.say(found)
            else:
                self._put(found)

    def _put(self, picture: Picture) -> None:
        while not self._free:
            freed: int = pickle.loads(self._line.recv_bytes())
            self._free += freed
        self._free -= 1
        self._ring.put(picture.pixels)
        if not self._times and not self._content:
            self._since = time.monotonic()
        self._times.append((picture.t, picture.end, picture.shot))
        if len(self._times) >= self._ring.count // 2:
            self.say(None)


def _limit_reading(limits: Limits, facts: Facts) -> None:
    """By what decoding all of the file is expected to take."""
    pictures = facts.seconds * (Fraction(facts.frame_rate) if facts.frame_rate else 60)
    expected_s = pictures * facts.width * facts.height * _CPU_S_PER_PIXEL
    fork.limit_cpu(min(limits.cpu_s + _CPU_MORE * expected_s, _MOST_CPU_S))
