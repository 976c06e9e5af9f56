"""`cinedex open`, as people type it: real processes on tiny videos."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from core.collections import Library
from core.commands import main
from core.running import Running, runs
from server.commands.arrivals import Arrivals
from server.commands.open import root_flags
from tests.extractor.shelf import Shelf
from tests.server.worlds import make_keys, samples, until

CODE = "import sys; from core.commands import main; sys.exit(main())"


@dataclass
class Opened:
    """A `cinedex open` that runs."""

    process: subprocess.Popen[str]
    data: Path
    log: Path
    url: str

    def paths(self, query: str) -> list[str]:
        """Of the answer, best first; [] while there is none."""
        body = {"query": query, "level": "frame", "group_by": "video"}
        answer = httpx.post(f"{self.url}search", json=body, timeout=30)
        return [found["path"] for found in answer.json().get("results", [])]

    def videos(self, path: str) -> list[dict[str, object]]:
        """Those at a path."""
        answer = httpx.get(f"{self.url}videos", params={"prefix": path}, timeout=30)
        found: list[dict[str, object]] = answer.json()["videos"]
        return found

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def opened(data: Path, *words: str, **environment: str) -> Iterator[Opened]:
    """Without a terminal and, unless told, without a screen."""
    log = data.parent / "open.log"
    plain = {k: v for k, v in os.environ.items() if k not in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")}
    with log.open("w") as errors:
        command = [sys.executable, "-c", CODE, "open", *words, "--data", str(data), "--port", "0"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=plain | {"OMP_NUM_THREADS": "1", **environment},
        )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, log.read_text()
        yield Opened(process, data, log, url)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def is_there(pid: int) -> bool:
    """Whether a process is there and no zombie, which only waits to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> set[int]:
    """Of a process, however deep."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found: set[int] = set()
    more = {pid}
    while more := {child for child, parent in parents.items() if parent in more} - found:
        found |= more
    return found


def verb(data: Path, name: str) -> Callable[[], Running | None]:
    return lambda: next((each for each in runs(data) if each.verb == name), None)


@pytest.fixture
def shelf(tmp_path: Path, videos: Path, broken: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "blue.mp4"):
        shelf.put(videos / name)
    shelf.put(broken / "zeros.mp4")
    return shelf


def test_a_folder_is_taken_in_served_and_shown_and_ctrl_c_ends_all_of_it(
    shelf: Shelf, videos: Path, tmp_path: Path
) -> None:
    data, shown = tmp_path / "data", tmp_path / "shown"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {shown}\n')
    browser.chmod(0o755)
    words = (str(shelf.films), "--encoder", "toy:rgb")
    with opened(data, *words, BROWSER=str(browser)) as first:
        until(lambda: "answers for all of it" in first.log.read_text(), 60)
        assert first.paths("red")[0] == "films/red.mp4" and first.paths("blue")[0] == "films/blue.mp4"
        until(shown.exists)
        assert shown.read_text().strip() == first.url
        assert "some cannot be read; `cinedex status --failures` lists them." in first.log.read_text()
        assert {each.verb for each in runs(data)} == {"open", "serve"}
        pids = descendants(first.process.pid)
        assert pids
        assert first.end() == 130
        assert not [pid for pid in pids if is_there(pid)]
    assert runs(data) == [] and not (data / "running").exists()
    assert "Traceback" not in first.log.read_text()

    shelf.put(videos / "green.mp4")
    before = sorted((data / "toy-rgb" / "shards").iterdir())
    with opened(data, *words, CINEDEX_WORKERS="0") as again:
        until(lambda: again.paths("red")[:1] == ["films/red.mp4"], 60)  # at once, from what was there
        until(lambda: "answers for all of it" in again.log.read_text(), 60)
        assert again.paths("green")[0] == "films/green.mp4"
        assert len(sorted((data / "toy-rgb" / "shards").iterdir())) == len(before) + 1, "only what is new"
        assert again.end(signal.SIGTERM) == 0


def test_run_again_it_takes_in_what_is_new_or_changed_and_lets_go_of_what_is_gone(
    shelf: Shelf, videos: Path, tmp_path: Path
) -> None:
    words = (str(shelf.films), "--encoder", "toy:rgb", "--no-browser")
    shelf.put(videos / "rotated.mp4")
    with opened(tmp_path / "data", *words, CINEDEX_WORKERS="0") as first:
        until(lambda: "answers for all of it" in first.log.read_text(), 60)
        found = {"films/red.mp4", "films/blue.mp4", "films/rotated.mp4"}
        assert set(first.paths("red")) == found
        assert first.end() == 130
    shelf.put(videos / "green.mp4")
    shelf.put(videos / "short.webm", "red.mp4")
    (shelf.films / "blue.mp4").unlink()
    with opened(tmp_path / "data", *words, CINEDEX_WORKERS="0") as again:
        until(lambda: "answers for all of it" in again.log.read_text(), 60)
        assert set(again.paths("red")) == {"films/red.mp4", "films/green.mp4", "films/rotated.mp4"}
        (held,) = again.videos("films/red.mp4")
        assert held["codec"] == "vp9", "what it holds now"
        assert again.end() == 130
    for name in ("red.mp4", "rotated.mp4", "green.mp4"):
        (shelf.films / name).unlink()
    with opened(tmp_path / "data", *words, CINEDEX_WORKERS="0") as third:
        until(lambda: "answers for all of it" in third.log.read_text(), 60)
        assert "films would lose 3 of 4 places" in third.log.read_text()
        assert len(third.paths("red")) == 3, "a disk may have been away"
        assert third.end() == 130


def test_watching_it_goes_on_with_what_comes_and_goes(shelf: Shelf, videos: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    words = (str(new), str(shelf.films), "--encoder", "toy:rgb", "--no-browser", "--watch")
    with opened(tmp_path / "data", *words, CINEDEX_WORKERS="0") as found:
        until(lambda: "answers for all of it" in found.log.read_text(), 120)
        assert "new holds no videos yet; what comes is taken in." in found.log.read_text()
        shutil.copy(videos / "rotated.mp4", new)
        shelf.put(videos / "green.mp4")
        (shelf.films / "blue.mp4").unlink()
        wanted = {"films/red.mp4", "films/green.mp4", "new/rotated.mp4"}
        until(lambda: set(found.paths("red")) == wanted, 120)
        shelf.films.rename(tmp_path / "away")
        until(lambda: f"{shelf.films} does not exist" in found.log.read_text(), 120)
        (tmp_path / "away").rename(shelf.films)
        shelf.put(videos / "white.mp4")
        until(lambda: "films/white.mp4" in found.paths("white"), 120)
        assert found.end() == 130
    assert runs(tmp_path / "data") == []


def test_what_is_still_being_copied_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.commands.arrivals._LEAST_S", 0.0)
    monkeypatch.setattr("server.commands.arrivals._SHARE", 0)
    film = tmp_path / "a.mp4"
    arrivals = Arrivals([tmp_path])
    assert not arrivals.are_due() and not arrivals.are_due()
    film.write_bytes(b"half")
    assert not arrivals.are_due()
    film.write_bytes(b"half and half")
    assert not arrivals.are_due()
    assert arrivals.are_due() and not arrivals.are_due()
    film.unlink()
    assert not arrivals.are_due() and arrivals.are_due()


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGHUP, id="terminal-closed", marks=pytest.mark.slow),
    ],
)
def test_whatever_ends_it_half_way_leaves_no_process_and_loses_nothing(
    shelf: Shelf, tmp_path: Path, number: int
) -> None:
    data = tmp_path / "data"
    words = (str(shelf.films), "--encoder", "toy:rgb", "--no-browser")
    with opened(data, *words) as first:
        until(lambda: verb(data, "extract")() is not None or (data / "toy-rgb").exists(), 60)
        pids = descendants(first.process.pid)
        first.end(number)
        until(lambda: not [pid for pid in pids if is_there(pid)], 60)
    assert (
        main(
            [
                "extract",
                "--videos",
                str(shelf.films),
                "--data",
                str(data),
                "--encoder=toy:rgb",
                "--quiet",
                "--allow-failed",
                "--workers=0",
            ]
        )
        == 0
    )
    assert shelf.paths() == ["blue.mp4", "red.mp4"]


def test_what_extract_cannot_do_ends_it_with_its_sentence(tmp_path: Path) -> None:
    empty, data = tmp_path / "empty", tmp_path / "data"
    empty.mkdir()
    with opened(data, str(empty), "--encoder", "toy:rgb") as found:
        assert found.process.wait(60) == 2
    (sentence,) = [line for line in found.log.read_text().splitlines() if "holds no videos" in line]
    assert sentence == f"cinedex open: --videos {empty} holds no videos."
    assert "Traceback" not in found.log.read_text()
    assert runs(data) == []


def test_a_port_that_is_taken_ends_it_where_it_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["open", str(tmp_path), "--data", str(tmp_path / "data"), "--port", str(port)]) == 1
    told = capsys.readouterr()
    assert told.err == f"cinedex open: 127.0.0.1 port {port} cannot be bound: Address already in use.\n"
    assert told.out == ""


@pytest.mark.parametrize("made", ["nothing", "file"])
def test_what_is_no_folder_is_refused_before_anything_is_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], made: str
) -> None:
    asked = tmp_path / "films"
    if made == "file":
        asked.touch()
    assert main(["open", str(asked), "--data", str(tmp_path / "data")]) == 2
    why = "is no folder" if made == "file" else "does not exist"
    assert capsys.readouterr().err == f"cinedex open: {asked} {why}.\n"
    assert not (tmp_path / "data").exists()


def test_without_a_folder_there_must_be_something_to_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["open", "--data", str(tmp_path)]) == 2
    assert "holds no collection yet; name a folder of videos." in capsys.readouterr().err


def test_a_folder_without_anything_that_can_be_read_is_said_to_be_so(broken: Path, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(broken / "zeros.mp4")
    with opened(tmp_path / "data", str(shelf.films), "--encoder", "toy:rgb") as found:
        until(lambda: "Nothing that can be searched was found" in found.log.read_text(), 60)

        def reason() -> str:
            answer = httpx.post(f"{found.url}search", json={"query": "red"}, timeout=30)
            assert answer.status_code == 503
            return str(answer.json()["error"]["message"])

        until(lambda: "holds nothing to search yet" in reason(), 60)  # once its encoder is loaded
        assert found.end() == 130


def test_with_keys_it_says_that_the_page_asks_for_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    samples(data)
    make_keys(data)
    with opened(data, CINEDEX_WORKERS="0") as served:
        until(lambda: f"All of it is taken in; {served.url} asks for a key" in served.log.read_text(), 60)
        assert "answers for all of it" not in served.log.read_text()
        assert served.end() == 130


def test_a_second_folder_of_the_same_name_is_given_another_one(tmp_path: Path) -> None:
    library = Library(tmp_path / "data")
    first, second, third = (tmp_path / name / "films" for name in ("a", "b", "c/b"))
    for folder in (first, second, third):
        folder.mkdir(parents=True)
    assert root_flags(first, library) == []
    library.claim_root("films", first)
    assert root_flags(first, library) == [] and root_flags(first / "2024", library) == []
    assert root_flags(second, library) == ["--root", "b-films"]
    library.claim_root("b-films", second)
    assert root_flags(third, library) == ["--root", "films-2"]
    first.rmdir()
    assert root_flags(third, library) == [], "what is gone may have moved here"


@pytest.mark.parametrize(
    "typed", ["films", "films/", "./films", "../here/films", "lib/../films", "films/2024/.."]
)
def test_however_a_folder_is_typed_it_is_the_same_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    here = tmp_path / "here"
    (here / "films" / "2024").mkdir(parents=True)
    (here / "lib").mkdir()
    monkeypatch.chdir(here)
    library = Library(tmp_path / "data")
    library.claim_root("films", Path(typed))
    assert library.roots() == {"films": here / "films"}
    assert root_flags(Path(typed), library) == root_flags(here / "films", library) == []


@pytest.mark.parametrize(
    ("typed", "root"), [("../films", "films"), pytest.param(".", "lib", marks=pytest.mark.slow)]
)
def test_a_folder_that_is_typed_from_within_another_is_taken_in_once(
    shelf: Shelf, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, root: str
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "red.mp4").write_bytes((videos / "red.mp4").read_bytes())
    monkeypatch.chdir(tmp_path / "lib")
    data = tmp_path / "data"
    for _ in range(2):
        with opened(data, typed, "--encoder", "toy:rgb", "--no-browser", CINEDEX_WORKERS="0") as found:
            until(lambda log=found.log: "answers for all of it" in log.read_text(), 60)  # type: ignore[misc]
            assert found.end() == 130
    assert Library(data).roots() == {root: tmp_path / root}
    assert len([*(data / "toy-rgb" / "shards").iterdir()]) == 1


def test_what_cannot_be_written_is_served_as_it_is(shelf: Shelf, videos: Path, tmp_path: Path) -> None:
    shelf.extract("--allow-failed")
    data = tmp_path / "data"
    assert main(["index", "build", "--data", str(data), "--quiet"]) == 0
    (data / "collections.lock").unlink()
    (data / "collections.lock").mkdir()  # which stops whoever may write everything, too
    with opened(data, str(shelf.films), "--no-browser") as found:
        until(lambda: "answers for what is there" in found.log.read_text(), 60)
        assert found.paths("red")[0] == "films/red.mp4"
        (warning,) = [line for line in found.log.read_text().splitlines() if "cannot be written" in line]
        assert warning == (
            f"{data}/collections.lock cannot be written: Is a directory. "
            "What is there is served; nothing new is taken in."
        )
        assert found.end() == 130


def test_without_a_model_it_says_how_to_do_without(shelf: Shelf, tmp_path: Path) -> None:
    data, weights = tmp_path / "data", tmp_path / "weights"
    words = (str(shelf.films), "--no-browser")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(weights), "CINEDEX_WEIGHTS": str(weights)}
    with opened(data, *words, **offline) as found:
        assert found.process.wait(60) == 1
    (sentence,) = [line for line in found.log.read_text().splitlines() if line.startswith("cinedex open: ")]
    assert "run `cinedex download " in sentence
    assert sentence.endswith(" To try it all without a model, add --encoder toy:rgb.")
