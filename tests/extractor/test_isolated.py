"""A call elsewhere: its answer, its errors, and every way in which it may not come back."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import stat
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection

import numpy as np
import pytest

from core import logs
from core.errors import UsageError
from core.stop import Unwanted, until_set
from extractor.media import isolated, plain
from extractor.media.isolated import Limits, LostError, call


def _sum(*numbers: int) -> tuple[int, int]:
    return sum(numbers), os.getpid()


def _about() -> list[str]:
    return [text for fact in logs.told().items() for text in fact]


def _refuse(error: Exception) -> None:
    raise error


def _eat() -> None:
    np.ones(1 << 30)


def _crash() -> None:
    ctypes.string_at(0)


def _spin() -> None:
    while True:
        pass


def _die(number: int) -> None:
    os.kill(os.getpid(), number)


def test_what_a_call_returns_comes_back_from_another_process() -> None:
    found, pid = call(Limits(), "it", _sum, 1, 2, 3)
    assert found == 6 and pid != os.getpid()


def test_what_is_logged_there_says_what_it_is_about() -> None:
    with logs.about(request_id="r1"):
        assert call(Limits(), "it", _about) == ["request_id", "r1"]


@pytest.mark.parametrize("error", [UsageError("t: too late.", "t"), FileNotFoundError(2, "gone")], ids=str)
def test_what_a_call_raises_is_raised_here(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        call(Limits(), "it", _refuse, error)
    assert str(raised.value) == str(error) and not isinstance(raised.value, LostError)


@pytest.mark.parametrize(
    ("limits", "function", "args", "why", "status"),
    [
        (Limits(memory_bytes=1 << 28), _eat, (), "it takes more than 0.25 GiB of memory", 422),
        (Limits(), _crash, (), "what decoded it was killed by SIGSEGV", 422),
        (Limits(cpu_s=0.2), _spin, (), "it takes too much CPU time", 422),
        (Limits(wall_s=0.3), time.sleep, (30,), "it takes longer than 0.3 s", 422),
        (Limits(), _die, (signal.SIGKILL,), "what decoded it was killed by SIGKILL", 503),
        (Limits(), _refuse, (ZeroDivisionError(),), "reading it met a bug (ZeroDivisionError)", 422),
        (Limits(), os._exit, (3,), "what decoded it ended with exit code 3", 422),
    ],
)
def test_a_call_that_does_not_come_back_is_one_error(
    limits: Limits, function: object, args: tuple[object, ...], why: str, status: int
) -> None:
    with pytest.raises(LostError) as raised:
        call(limits, "film.mp4", function, *args)  # type: ignore[arg-type]
    assert str(raised.value) == f"film.mp4 cannot be decoded: {why}."
    assert raised.value.http_status == status


class _Told:
    """What would run where it is read, if it were read as a pickle."""

    def __reduce__(self) -> tuple[object, tuple[Exception]]:
        return _refuse, (AssertionError("it ran"),)


def _take_over(said: bytes) -> None:
    """As who has taken the process over: say that instead of an answer."""
    for each in os.listdir("/proc/self/fd"):
        with suppress(OSError, ValueError):
            if stat.S_ISSOCK(os.fstat(int(each)).st_mode) and int(each) > 2:
                Connection(os.dup(int(each))).send_bytes(said)
    os._exit(0)


@pytest.mark.parametrize(
    "said",
    [
        pickle.dumps(_Told()),
        pickle.dumps((_Told(), False)),
        b"",
        plain.written([1, 2, 3]),
        plain.written([np.zeros(9, np.uint8), False])[:-1],
        b"\0" * 7 + b"\x02[]",
    ],
    ids=["pickle", "pickle of two", "nothing", "too much", "cut", "empty"],
)
def test_what_a_process_says_that_was_taken_over_is_read_as_values_alone(said: bytes) -> None:
    with pytest.raises(LostError, match="says what cannot be read"):
        call(Limits(), "film.mp4", _take_over, said)


def _begin_to_say() -> None:
    for each in os.listdir("/proc/self/fd"):
        with suppress(OSError, ValueError):
            if stat.S_ISSOCK(os.fstat(int(each)).st_mode) and int(each) > 2:
                os.write(int(each), b"\0\0\1\0half")
    time.sleep(60)


def test_who_stops_in_the_middle_of_an_answer_is_waited_for_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolated, "_SAY_S", 0.2)
    with pytest.raises(LostError):
        call(Limits(), "film.mp4", _begin_to_say)


@pytest.mark.usefixtures("unwatched")
def test_a_call_leaves_no_process_and_no_descriptor() -> None:
    call(Limits(), "it", _sum, 1)
    gc.collect()  # what earlier tests left behind may not close its own meanwhile
    before = len(os.listdir("/proc/self/fd"))
    _, pid = call(Limits(), "it", _sum, 1)
    with pytest.raises(LostError):
        call(Limits(wall_s=0.2), "it", time.sleep, 30)
    assert len(os.listdir("/proc/self/fd")) <= before
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_call_that_nobody_waits_for_any_more_is_ended() -> None:
    unwanted, raised = threading.Event(), list[type[BaseException]]()

    def ask() -> None:
        until_set(unwanted)
        with pytest.raises(Unwanted) as error:
            call(Limits(), "it", time.sleep, 3_600)
        raised.append(error.type)

    asker = threading.Thread(target=ask)
    asker.start()
    unwanted.set()
    asker.join(30)
    assert raised == [Unwanted]
