"""Decoders in processes of their own: the same pictures, and whatever happens to one costs one file."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from multiprocessing import Pipe, forkserver
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import UsageError
from core.types import Facts, Look, Sampling
from extractor.content import content_of
from extractor.media import children, plain
from extractor.media.children import Child, Limits
from extractor.media.fork import prepare
from extractor.media.reader import Picture, Reader
from extractor.media.reading import GoneError, Order, Read
from extractor.work import Lost, Report
from tests.extractor.shelf import FIRST, Shelf, outcome, trap, vectors
from tests.extractor.test_cli import run_command
from tests.extractor.test_executors import is_running, run_of

SAMPLING, LOOK = Sampling(fps=5.0), Look(size=48)
EACH = ("red.mp4", "late.mp4", "short.webm", "vfr.mkv", "with-sound.mkv", "rotated.mp4")
# Called so, a function of C keeps the interpreter's lock.
HANG = "__import__('ctypes').PyDLL(None).sleep(600)"


def child_of(limits: Limits | None = None, size: int = 48) -> Child:
    return Child(limits or Limits(), size, lambda: None, lambda: False)


@pytest.fixture
def child() -> Iterator[Child]:
    with closing(child_of()) as child:
        yield child


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Six videos, not extracted."""
    shelf = Shelf(tmp_path)
    for name in EACH:
        shelf.put(videos / name)
    return shelf


def read(child: Child, path: Path, sampling: Sampling = SAMPLING) -> tuple[list[Picture], Read]:
    *pictures, last = child.read(os.fsencode(path), Order(sampling, LOOK))
    assert isinstance(last, Read)
    return [picture for picture in pictures if isinstance(picture, Picture)], last


def assert_as_here(child: Child, path: Path) -> None:
    with Reader(path) as reader:
        here = list(reader.pictures(SAMPLING, LOOK))
        facts = reader.facts
    there, last = read(child, path)
    assert (last.facts, last.trouble) == (facts, None)
    assert [(p.t, p.end) for p in there] == [(p.t, p.end) for p in here]
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(there, here, strict=True))


def test_a_child_gives_the_very_pictures_that_are_read_here(child: Child, videos: Path) -> None:
    for path in sorted(videos.iterdir()):
        assert child.content(os.fsencode(path)) == content_of(os.fsencode(path))
        assert_as_here(child, path)  # more pictures than there are slots


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("kind", ["a pickle", "another value", "half a time", "no end"])
def test_a_decoder_that_was_taken_over_runs_nothing_here_and_costs_its_file(
    kind: str, child: Child, videos: Path, tmp_path: Path
) -> None:
    said = {
        "a pickle": pickle.dumps(Trap(tmp_path / "ran")),
        "another value": plain.written((None, b"", "red")),
        "half a time": plain.written((None, b"1234", None)),
        "no end": plain.written((None, b"", None))[:-1],
    }[kind]
    child.content(os.fsencode(videos / "red.mp4"))
    assert child._running is not None
    line, theirs = Pipe()
    child._running = replace(child._running, line=line)
    theirs.send_bytes(said)
    with pytest.raises(GoneError, match="said what no decoder says"):
        list(child.read(os.fsencode(videos / "red.mp4"), Order(SAMPLING, LOOK)))
    assert not (tmp_path / "ran").exists()
    assert_as_here(child, videos / "red.mp4")


def test_files_are_read_in_children_however_long_the_name_of_the_temporary_folder(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / ("long" * 30)
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    process = run_command(shelf, "--workers=1", "--quiet")
    _, told = process.communicate()
    assert (process.returncode, told) == (0, "")
    assert len(shelf.live()) == len(EACH) and not list(temporary.iterdir())


def test_a_child_tells_what_is_wrong_with_a_file_and_reads_the_next(
    child: Child, videos: Path, broken: Path
) -> None:
    for path in sorted(broken.iterdir()):
        pictures, last = read(child, path)
        assert not pictures and last.facts == Facts()
        assert last.trouble and last.trouble.is_final and path.name in last.trouble.error
    with pytest.raises(FileNotFoundError):
        child.content(b"/nowhere.mp4")
    assert_as_here(child, videos / "red.mp4")


def test_a_mistake_of_the_asker_is_raised_where_it_was_made(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = "from core.errors import UsageError; raise UsageError('made by hand')"
    trap(shelf.folder, monkeypatch, "red.mp4", act, when="isinstance(args[0], str)")
    with pytest.raises(UsageError, match="made by hand"):
        list(run_of(shelf, workers=1).events())


def test_a_child_waits_for_whoever_is_slow(child: Child, videos: Path) -> None:
    pictures = child.read(os.fsencode(videos / "red.mp4"), Order(Sampling(fps=10.0), LOOK))
    first = list(islice(pictures, 3))
    rest = list(pictures)
    assert len(first) + len(rest) == 101
    assert [p.t for p in (*first, *rest[:-1]) if isinstance(p, Picture)] == [n / 10 for n in range(100)]


def test_a_fresh_child_takes_over_after_so_many_files(
    child: Child, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractor.media.children._FILES", 2)
    pids = set()
    for _ in range(5):
        child.content(os.fsencode(videos / "short.webm"))
        assert child._running is not None
        pids.add(child._running.process.pid)
    assert len(pids) == 3


def test_a_small_file_is_read_before_that_is_asked_for_as_long_as_it_is_asked_for(
    child: Child, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes, say = list[Any](), children._Running.say

    def heard(running: Any, asked: Any) -> None:
        wishes.extend(asked[1:] if isinstance(asked, tuple) else ())
        say(running, asked)

    monkeypatch.setattr(children._Running, "say", heard)
    order, found = Order(SAMPLING, LOOK), dict[str, list[Any]]()
    for name in ("red.mp4", "late.mp4", "short.webm", "vfr.mkv", "blue.mp4"):
        file = os.fsencode(videos / name)
        assert child.content(file) == content_of(file)
        if name != "short.webm":  # a copy, let us say
            found[name] = list(child.read(file, order))
    assert wishes == ["hash", order, "hash and read", "hash and read", "hash", "read", "hash and read"]
    for name, (*pictures, last) in found.items():
        with Reader(videos / name) as reader:
            here = list(reader.pictures(SAMPLING, LOOK))
        assert last.trouble is None and [p.t for p in pictures] == [p.t for p in here], name
        assert all(
            np.array_equal(one.pixels, other.pixels) for one, other in zip(pictures, here, strict=True)
        )


def test_another_order_than_the_last_is_followed_though_the_file_was_read_as_that_says(
    child: Child, videos: Path
) -> None:
    first, second = os.fsencode(videos / "red.mp4"), os.fsencode(videos / "blue.mp4")
    child.content(first)
    assert len(list(child.read(first, Order(SAMPLING, LOOK)))) == 51
    child.content(second)
    assert len(list(child.read(second, Order(Sampling(fps=1.0), LOOK)))) == 11


def test_a_file_that_ends_its_decoder_before_it_is_asked_for_fails_by_its_name_and_alone(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(videos / "blue.mp4", "very-deadly.mp4")  # neither the first one nor the last
    crash, when = "os.kill(os.getpid(), signal.SIGSEGV)", "isinstance(args[0], str)"
    trap(shelf.folder, monkeypatch, "very-deadly.mp4", crash, once=False, when=when)
    run = run_of(shelf, workers=1)
    failed = [event for event in run.events() if isinstance(event, Report) and event.outcome == "failed"]
    assert [(each.place.path, each.source) for each in failed] == [
        (b"very-deadly.mp4", content_of(os.fsencode(videos / "blue.mp4")).id)
    ]
    assert run.tally.done == 6 and failed[0].error == "its decoder was killed by SIGSEGV"


def test_a_decoder_that_crashes_once_is_replaced_and_the_file_read_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trap(shelf.folder, monkeypatch, "late.mp4", "os.kill(os.getpid(), signal.SIGSEGV)")
    run = run_of(shelf, workers=1, batch=1)
    assert not [event for event in run.events() if isinstance(event, Lost)]
    assert run.tally.done == 6 and not run.tally.failed
    whole = Shelf(tmp_path / "whole")
    for path in shelf.films.iterdir():
        whole.put(path)
    whole.extract()
    assert vectors(shelf.store) == vectors(whole.store)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its decoder was killed by SIGSEGV"),
        ("os._exit(3)", "its decoder ended with exit code 3"),
        (HANG, "its decoder made no progress for 2 s"),
        ("time.sleep(600)", "its decoder made no progress for 2 s"),
        (
            "[bytearray(1 << 26) for _ in range(1 << 20)]",
            "it takes more than 0.5 GiB of memory to decode",
        ),
    ],
    ids=["crashes", "exits", "hangs with the lock", "hangs", "eats memory"],
)
def test_a_file_that_ends_its_decoder_each_time_fails_and_all_others_are_done(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch, act: str, error: str
) -> None:
    shelf.put(videos / "blue.mp4", "deadly.mp4")
    when = "isinstance(args[0], str)"  # it is opened to be decoded; to be hashed it is called by bytes
    trap(shelf.folder, monkeypatch, "deadly.mp4", act, once=False, when=when)
    # Where none is to be given up for its slowness, none is, however slow the machine.
    stall_s = 2.0 if "no progress" in error else 60.0
    run = run_of(shelf, workers=1, stall_s=stall_s, memory_bytes=1 << 29)
    assert not [event for event in run.events() if isinstance(event, Lost)]
    ((place, told),) = run.tally.failed.values()
    assert (place.path, told) == (b"deadly.mp4", error)
    assert run.tally.done == 6 and run.tally.found == 7
    monkeypatch.undo()
    assert outcome(shelf.extract()) == {"already": 6, "failed_before": 1}
    assert outcome(shelf.extract("--retry-failed")) == {"already": 6, "done": 1}


def test_a_killed_fork_server_is_started_again(child: Child, videos: Path) -> None:
    assert_as_here(child, videos / "short.webm")
    assert forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
    child.close()
    assert_as_here(child, videos / "short.webm")


def test_a_file_that_hangs_before_it_is_hashed_fails_too(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(videos / "blue.mp4", "deadly.mp4")
    trap(shelf.folder, monkeypatch, "deadly.mp4", HANG, once=False)
    run = run_of(shelf, workers=1, stall_s=2.0)
    list(run.events())
    assert [error for _, error in run.tally.failed.values()] == ["its decoder made no progress for 2 s"]
    assert run.tally.done == 6


# A process of its own: a trap must be there before the server that children are forked from.
SCRIPT = """
import sys
from extractor.media.children import Child, Limits
from extractor.media.reading import GoneError, Order
from core.types import Look, Sampling
if __name__ == "__main__":
    child = Child(Limits(cpu_s=1.0), 48, lambda: None, lambda: False)
    try:
        print(child.content(sys.argv[1].encode()))
    except GoneError as error:
        print(error, error.is_chance)
    child.close()
"""


def run_script(shelf: Shelf, path: Path) -> subprocess.Popen[str]:
    (shelf.folder / "script.py").write_text(SCRIPT)
    line = [sys.executable, str(shelf.folder / "script.py"), str(path)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_a_file_that_takes_cpu_time_without_end_is_given_up(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap(shelf.folder, monkeypatch, "red.mp4", "\n            while True: pass", once=False)
    told, _ = run_script(shelf, shelf.films / "red.mp4").communicate()
    assert told == "took far more CPU time than its length explains False\n"


def test_a_decoder_that_hangs_with_the_interpreters_lock_ends_with_its_parent(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = shelf.folder / "pid"
    act = f"os.write(os.open({str(mark)!r}, os.O_CREAT | os.O_WRONLY), str(os.getpid()).encode()); {HANG}"
    trap(shelf.folder, monkeypatch, "red.mp4", act)
    parent = run_script(shelf, shelf.films / "red.mp4")
    wait_for(mark.exists)
    wait_for(lambda: bool(mark.read_text()))
    pid = int(mark.read_text())
    assert is_running(pid)
    parent.kill()
    parent.communicate()
    wait_for(lambda: not is_running(pid))


def wait_for(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_command_killed_while_it_decodes_goes_on_where_it_was_and_leaves_no_process(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = Shelf(tmp_path / "whole")
    for path in shelf.films.iterdir():
        whole.put(path)
    whole.extract()
    mark = shelf.folder / "pid"
    note = f"os.write(os.open({str(mark)!r}, os.O_CREAT | os.O_WRONLY), str(os.getpid()).encode())"
    for name in ("short.webm", "vfr.mkv"):
        for left in (mark, shelf.folder / "sprung"):
            left.unlink(missing_ok=True)
        trap(shelf.folder, monkeypatch, name, f"{note}; os.kill({FIRST}, signal.SIGKILL)")
        killed = run_command(shelf, "--workers=1", "--batch=1")
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        wait_for(lambda: not is_running(int(mark.read_text())))
    shelf.extract()
    assert shelf.live() == whole.live()
    assert vectors(shelf.store) == vectors(whole.store)


def test_decoders_killed_at_any_moment_lose_nothing_and_double_nothing(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Shelf(tmp_path / "whole")
    for path in shelf.films.iterdir():
        whole.put(path)
    whole.extract()
    # Else the decoders live for some 60 ms altogether, and may be over before the killer looks.
    trap(shelf.folder, monkeypatch, ".mp4", "time.sleep(0.2)", once=False)
    run = run_of(shelf, workers=1, decoders=2, batch=2)
    over, killed = threading.Event(), list[int]()
    killer = threading.Thread(target=kill_decoders, args=(over, killed))
    killer.start()
    try:
        list(run.events())
    finally:
        over.set()
        killer.join()
    assert killed
    assert run.tally.found == 6 and run.tally.done + len(run.tally.failed) == 6
    assert {error for _, error in run.tally.failed.values()} <= {"its decoder was killed by SIGKILL"}
    shelf.extract()  # whoever killed them, it is no last word about a file
    assert shelf.live() == whole.live()
    assert vectors(shelf.store) == vectors(whole.store)


def kill_decoders(over: threading.Event, killed: list[int]) -> None:
    """Forks of a fork server below this process, one after another."""
    order = random.Random(7)
    while not over.wait(order.uniform(0.01, 0.08)):
        if found := decoders_below(os.getpid()):
            killed.append(order.choice(found))
            with suppress(ProcessLookupError):
                os.kill(killed[-1], signal.SIGKILL)


def decoders_below(pid: int) -> list[int]:
    """Grandchildren whose command is a fork server's, as is their parent's."""
    parents, servers = {}, set()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if b"forkserver" in (folder / "cmdline").read_bytes():
                    servers.add(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    workers = {child for child, parent in parents.items() if parent == pid}
    roots = {server for server in servers if parents.get(server) in workers}
    return [child for child in servers if parents.get(child) in roots]


def test_a_fork_server_that_is_killed_while_it_is_asked_is_replaced(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Any = forkserver._forkserver
    prepare()
    first, really = server._forkserver_pid, server.ensure_running

    def killed_behind_the_look() -> None:
        really()
        monkeypatch.undo()
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)  # its socket refuses from now on

    monkeypatch.setattr(server, "ensure_running", killed_behind_the_look)
    with closing(Child(Limits(), 32, lambda: None, lambda: False)) as child:
        assert child.content(bytes(shelf.films / "red.mp4")).size > 0
    assert server._forkserver_pid != first
