"""Where the system refuses a verb of `cinedex index`, it says so in one sentence and harms nothing."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import faiss
import pytest

from core.store import Store
from index.build import build, build_snapshot
from index.check import damage
from index.cli import main
from index.snapshot import Snapshot
from tests.extractor.shelf import as_nobody
from tests.index.test_snapshot import assert_answers
from tests.index.worlds import World, lived_in, source_id

VERBS = (("build",), ("publish", "1"), ("compact",), ("gc", "--keep", "1"))
LIMITS = ((10, 2_000, 9_000), (10,), (10, 500), ())  # of bytes; gc writes none
READERS = (("list",), ("check",))
Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three old snapshots, the second is published, and each verb has something to do."""
    faiss.omp_set_num_threads(1)  # its threads do not survive a fork
    found = lived_in(tmp_path_factory.mktemp("origin") / "store")
    build(found.store)
    found.add(2)
    build_snapshot(found.store, fresh=True)
    found.remove(source_id(1))
    build_snapshot(found.store, publish=False, fresh=True)
    found.add(60)
    found.restore(source_id(1))
    for path in found.store.root.rglob("*"):
        os.utime(path, (0, 0))
    return found


@pytest.fixture
def lived(origin: World) -> Iterator[World]:
    """A copy in a folder that other users can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        root = shutil.copytree(origin.store.root, Path(folder) / "store")
        yield replace(origin, store=Store.open(root))


def call(lived: World, *verb: str) -> int:
    return main([verb[0], "--store", str(lived.store.root), *verb[1:], "--quiet"])


def on_a_full_disk(lived: World, verb: tuple[str, ...], limit: int) -> tuple[int, str]:
    """The verb's exit code and what it says, in a process of its own in which no file grows beyond that."""

    def child(sending: Connection) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with redirect_stderr(StringIO()) as told:
            code = call(lived, *verb)
        sending.send((code, told.getvalue()))

    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(sending,))
    process.start()
    sending.close()
    told: tuple[int, str] = receiving.recv()
    process.join()
    assert process.exitcode == 0
    return told


def assert_told(shown: str, verb: str, says: str) -> None:
    """One sentence, with the command's name."""
    assert shown.startswith(f"cinedex index {verb}: "), shown
    assert shown.endswith(f"{says}.\n"), shown
    assert shown.count("\n") == 1, shown


def assert_unharmed(lived: World) -> None:
    assert Snapshot.open(Store.open(lived.store.root)).number == 2
    assert list(damage(lived.store.root)) == []


@pytest.mark.parametrize(
    ("verb", "limit"),
    [(verb, limit) for verb, limits in zip(VERBS, LIMITS, strict=True) for limit in limits],
    ids=str,
)
def test_a_full_disk_is_told_and_nothing_is_harmed(
    lived: World, verb: tuple[str, ...], limit: int, capfd: Out
) -> None:
    code, told = on_a_full_disk(lived, verb, limit)
    assert capfd.readouterr().err == "", "no library prints by itself"
    assert code == 1
    assert_told(told, verb[0], "cannot be written: File too large")
    assert_unharmed(lived)
    assert not [path for path in lived.store.root.rglob(".*") if path.parent.name != "shards"]
    assert call(lived, *verb) == 0
    assert list(damage(lived.store.root)) == []
    build(lived.store)
    assert_answers(lived, Snapshot.open(lived.store))


def test_gc_makes_room_on_a_full_disk(lived: World) -> None:
    assert on_a_full_disk(lived, ("gc", "--keep", "1"), 10) == (0, "")
    assert_unharmed(lived)
    assert len(list((lived.store.root / "snapshots").iterdir())) == 2


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: str(verb[0]))
def test_a_folder_that_may_only_be_read_is_told_and_nothing_is_harmed(
    lived: World, verb: tuple[str, ...], capfd: Out
) -> None:
    with as_nobody():
        assert call(lived, *verb) == 1
        assert_unharmed(lived)
    assert_told(capfd.readouterr().err, verb[0], "cannot be written: Permission denied")
    # And where the lock may be taken, and no more.
    (lived.store.root / "lock").chmod(0o666)
    with as_nobody():
        assert call(lived, *verb) == 1
        assert_unharmed(lived)
    assert_told(capfd.readouterr().err, verb[0], "cannot be written: Permission denied")
    assert call(lived, *verb) == 0


@pytest.mark.parametrize("folder", [".", "log", "shards", "parts", "snapshots"])
@pytest.mark.parametrize("mode", [0o000, 0o444])
@pytest.mark.parametrize("verb", VERBS + READERS, ids=lambda verb: str(verb[0]))
def test_a_folder_that_may_not_be_read_is_told_and_never_taken_for_an_empty_one(
    lived: World, verb: tuple[str, ...], folder: str, mode: int, capfd: Out
) -> None:
    root = lived.store.root
    for path in (root, root / "lock", *(path for path in root.rglob("*") if path.is_dir())):
        path.chmod(0o777)
    before = sorted(root.rglob("*"))
    (root / folder).chmod(mode)
    with as_nobody():
        code = call(lived, *verb)
    (root / folder).chmod(0o777)
    shown = capfd.readouterr()
    if (verb[0], folder) in {("list", "log"), ("list", "shards"), ("list", "parts"), ("publish", "log")} | {
        ("publish", "shards"),
        ("compact", "parts"),
        ("compact", "snapshots"),
    }:
        assert code == 0  # it does not look there
        return
    assert code == 1
    if verb[0] == "check":
        assert "cannot be read: Permission denied.\n" in shown.out
        assert "every file is as it was written" not in shown.out
        return
    if (verb[0], mode, folder) == ("list", 0o444, "snapshots"):
        assert shown.err.count("Permission denied.\n") == 3
        return
    *warned, told = shown.err.splitlines(keepends=True)
    assert_told(told, verb[0], "Permission denied")
    assert all("is left aside" in line for line in warned)
    # Which files are to go can be listed there: so a snapshot that nobody needs went before they did not.
    if (verb[0], mode, folder) != ("gc", 0o444, "parts"):
        assert all(path.exists() for path in before)


def test_what_is_not_the_folder_of_a_store_is_told_by_check_as_well(lived: World, capfd: Out) -> None:
    root = lived.store.root
    root.parent.chmod(0)
    with as_nobody():
        assert call(lived, "check") == 1
    root.parent.chmod(0o755)
    assert_told(capfd.readouterr().err, "check", "store cannot be read: Permission denied")
