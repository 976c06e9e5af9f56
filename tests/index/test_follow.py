"""`cinedex index build --follow`: a snapshot whenever the log has moved on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.collections import Library
from core.errors import SnapshotError
from core.store import Store
from index.build import build
from index.cli import main
from index.follow import Follower
from index.snapshot import Snapshot
from tests.index.worlds import World, lived_in


@pytest.fixture
def lived(tmp_path: Path) -> World:
    found = lived_in(tmp_path / "toy-rgb")
    Library(tmp_path).add_store("default", "toy-rgb")
    return found


def test_it_builds_when_the_log_has_moved_on_and_only_then(lived: World) -> None:
    built: list[int] = []

    def build_one(store: Store) -> int:
        built.append(build(store))
        return Snapshot.open(store).entry

    follower = Follower(lambda: [lived.store.root], build_one, pytest.fail)
    for _ in range(3):
        follower.look()
    assert built == [1]
    lived.add(1)
    for _ in range(2):
        follower.look()
    assert built == [1, 2]


def test_a_trouble_is_told_once_and_tried_again(lived: World) -> None:
    told: list[str] = []
    tried: list[int] = []

    def build_one(store: Store) -> int:
        tried.append(1)
        raise SnapshotError("There is no room.")

    follower = Follower(lambda: [lived.store.root], build_one, told.append)
    for _ in range(3):
        follower.look()
    assert (len(tried), told) == (3, ["There is no room."])


def test_an_empty_store_is_waited_for(tmp_path: Path, lived: World) -> None:
    empty = Store.create(tmp_path / "empty", lived.store.spec, lived.store.sampling, None)
    follower = Follower(lambda: [empty.root], build, pytest.fail)
    follower.look()


def test_what_has_no_row_left_is_published_as_that(lived: World) -> None:
    follower = Follower(lambda: [lived.store.root], build, pytest.fail)
    follower.look()
    for source in sorted(lived.held):
        lived.remove(source)
    lived.compact()
    follower.look()
    assert Snapshot.open(lived.store).rows == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_following_build_publishes_and_ends_by_a_signal(lived: World, number: int, code: int) -> None:
    data = lived.store.root.parent
    hidden = data / "collections.json"
    hidden.rename(data / "later")
    command = [sys.executable, "-c", "import sys; from index.cli import main; sys.exit(main())", "build"]
    flags = ["--follow", "--follow-seconds=0.05", f"--data={data}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, *flags], **pipes) as process:  # type: ignore[call-overload]
        assert any("holds no store" in line for line in process.stderr)
        os.replace(data / "later", hidden)
        assert any("snapshot 1 made of" in line for line in process.stdout)
        lived.add(1)
        assert any("snapshot 2 made of" in line for line in process.stdout)
        process.send_signal(number)
        assert process.wait() == code
    assert Snapshot.open(lived.store).number == 2


def test_following_afresh_is_refused(lived: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--data", str(lived.store.root.parent), "--follow", "--fresh"]) == 2
    assert "--follow with --fresh cannot be" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "value"), [("--memory", "4X"), ("--factory", "smell=Flat")])
def test_a_flag_that_cannot_be_is_refused_and_not_waited_for(
    lived: World, capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    data = lived.store.root.parent
    (data / "collections.json").unlink()  # nor is it found only once there is a store
    assert main(["build", "--data", str(data), "--follow", flag, value]) == 2
    assert value in capsys.readouterr().err
