"""`cinedex open DIR`: take videos in, build, serve and show the page; Ctrl-C ends all of it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from contextlib import suppress
from pathlib import Path

import httpx
from pydantic import Field
from pydantic_settings import CliPositionalArg

from core import files
from core.collections import Library
from core.config import CollectionName, EncoderName, Settings, run_verb
from core.errors import Error, StoreError, UsageError
from core.running import running, runs
from core.stop import Stop, stopping
from server.cli import bind
from server.commands.arrivals import Arrivals
from server.commands.building import Building
from server.commands.children import LOOK_S, Child, Failed, Verbs, child
from server.commands.screen import Screen, in_words

PORT = 8000
_FIRST_COMMIT_S = 20.0  # answers come early; extract waits longer and longer for the next
_ASK_S = 1.0
_TOO_MUCH = "--prune=force"  # of what `extract` says where so much is gone that it asks first
_NOTHING = " holds no videos."  # of what it says of a folder without any


class OpenSettings(Settings):
    """Take in what is new in these folders, build, serve, and open the page in a browser. Ctrl-C ends it."""

    folders: CliPositionalArg[list[Path]] = Field([], description="of videos; none: serve what there is")
    encoder: EncoderName = Field(None, description="family:variant or auto; else the store's own, or auto")
    collection: CollectionName = Field("default", description="what clients call the stores of these videos")
    port: int | None = Field(
        None, ge=0, le=65_535, description=f"of the page; else {PORT}, or a free one where that is taken"
    )
    watch: bool = Field(False, description="go on with what comes into these folders, changes there or goes")
    browser: bool = Field(True, description="with --no-browser the address is only printed")


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(OpenSettings, open_folders, argv, prog="cinedex open")


def open_folders(settings: OpenSettings) -> int:
    """Serve what is there at once, and take in beside it what is new, until somebody ends it."""
    for folder in settings.folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} {'is no folder' if folder.exists() else 'does not exist'}.")
    if not settings.folders and not Library(settings.data).collections():
        raise UsageError(f"{settings.data} holds no collection yet; name a folder of videos.")
    with files.writing(settings.data):
        settings.data.mkdir(parents=True, exist_ok=True)  # for what runs to be told in it, from now on
    screen = Screen(settings.log_format, quiet=settings.quiet)
    serve = ["serve", *_shared(settings), "--port", str(_port(settings.port))]
    # Whatever it was: a terminal that is closed ends it as Ctrl-C does.
    with stopping(signal.SIGHUP) as stop, child(serve, screen.hear) as server:
        url = server.first_line()
        if not url:
            if stop.is_set():
                return _code(stop)
            raise server.failure()
        sys.stdout.write(f"{url}/\n")
        sys.stdout.flush()
        with running(settings.data, "open", {"url": url}):
            Opening(settings, screen, stop, server, BrowserPage(url, settings.browser)).all()
        screen.draw("")
    return _code(stop)


def _code(stop: Stop) -> int:
    """As of `serve`: told to by SIGTERM, it has done what it was to do."""
    return 0 if stop.by == signal.SIGTERM else 130


class BrowserPage:
    """The address, shown in a browser once there is something to see."""

    def __init__(self, url: str, wanted: bool) -> None:
        self.url, self._is_due, self._next = url, wanted and can_browse(), 0.0

    def show_if_ready(self, *, is_last: bool = False) -> None:
        """At the latest when all is taken in."""
        if not self._is_due or (time.monotonic() < self._next and not is_last):
            return
        self._next = time.monotonic() + _ASK_S
        if is_last or self._is_ready():
            self._is_due = False
            # Some browsers are waited for, for as long as they run.
            threading.Thread(target=webbrowser.open, args=(f"{self.url}/",), daemon=True).start()

    def _is_ready(self) -> bool:
        answer = self._asked("/readyz")
        return answer is not None and answer.status_code == 200

    def serves(self, collection: str, number: int) -> bool:
        """Whether a collection answers from its default store's snapshot of that number, or a newer one."""
        answer = self._asked("/collections")
        served = answer.json()["collections"] if answer is not None and answer.status_code == 200 else ()
        snapshots = [each["encoders"][0]["snapshot"] for each in served if each["name"] == collection]
        return bool(snapshots) and (snapshots[0] or 0) >= number

    def asks_for_key(self) -> bool:
        """Whether who has none is told nothing of what is served."""
        answer = self._asked("/collections")
        return answer is not None and answer.status_code == 401

    def _asked(self, route: str) -> httpx.Response | None:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}{route}", timeout=_ASK_S, trust_env=False)
        return None


class Opening:
    """One `cinedex open`, whose server runs."""

    def __init__(
        self, settings: OpenSettings, screen: Screen, stop: Stop, server: Child, page: BrowserPage
    ) -> None:
        self._settings, self._screen, self._stop = settings, screen, stop
        self._server, self._page = server, page
        self._library = Library(settings.data)
        build = ["index", "build", *_shared(settings), "--collection", settings.collection]
        self._building = Building(
            self._library, settings.collection, Verbs(screen.hear, stop, self._look), build
        )
        self._name = ""
        self._told_empty: set[Path] = set()
        self._why_not = unwritable(self._library)

    def all(self) -> None:
        """Take in folder after folder; then serve until the end."""
        if self._why_not:
            self._screen.hear(f"{self._why_not} What is there is served; nothing new is taken in.")
        arrivals = Arrivals(self._settings.folders if self._settings.watch and not self._why_not else ())
        if not self._why_not:
            self._take_in_all()
        is_told = False
        while not self._stop.wait(LOOK_S):
            self._look(is_last=True)
            if not is_told and (said := self._at_last()):
                is_told = True
                self._screen.say(f"{said}; Ctrl-C ends it.")
            if arrivals.are_due():
                is_told = False
                try:
                    self._take_in_all()
                except Failed as error:  # a disk that is away comes back
                    self._name = ""
                    self._screen.say(str(error))

    def _take_in_all(self) -> None:
        for folder in self._settings.folders:
            if not self._stop.is_set():
                self._take_in(folder)
        self._building.build_if_due(is_last=True)
        self._name = ""

    def _at_last(self) -> str:
        """What there is to say once all is taken in; "" while it is not answered for."""
        url = self._page.url
        if self._page.asks_for_key():  # which nobody has told us
            return (
                f"{url}/ asks for a key" if self._why_not else f"All of it is taken in; {url}/ asks for a key"
            )
        if self._building.has_nothing():
            return f"Nothing that can be searched was found; {url}/ says so"
        is_served = self._building.is_served(self._page.serves)
        what = "what is there" if self._why_not else "all of it"
        return f"{url}/ answers for {what}" if is_served else ""

    def _take_in(self, folder: Path) -> None:
        self._name = _located(folder).name or str(folder)
        words = ["extract", "--videos", str(folder), "--prune", *_shared(self._settings)]
        words += ["--collection", self._settings.collection, "--commit-seconds", str(_FIRST_COMMIT_S)]
        words += ["--encoder", self._settings.encoder] if self._settings.encoder else []
        words += root_flags(folder, self._library)
        code = 0
        try:
            code, _ = Verbs(self._screen.hear, self._stop, self._look_and_build).run(words, good=(0, 3))
        except Failed as error:
            if self._settings.watch and str(error).endswith(_NOTHING):
                if folder not in self._told_empty:  # it is looked at again whenever something comes
                    self._screen.say(f"{self._name} holds no videos yet; what comes is taken in.")
                self._told_empty.add(folder)
            elif _TOO_MUCH in str(error):
                self._screen.say(f"{error} Until then it is still found.")
            else:
                raise self._with_a_way_out(error) from error
        if code == 3:
            self._screen.say(f"{self._name}: some cannot be read; `cinedex status --failures` lists them.")
        self._building.build_if_due(is_last=True)

    def _with_a_way_out(self, error: Failed) -> Failed:
        """Who has no model yet, and was given one by `auto`, may want to see it work without."""
        if self._settings.encoder not in (None, "auto") or "`cinedex download " not in str(error):
            return error
        return Failed(f"{error} To try it all without a model, add --encoder toy:rgb.", error.exit_code)

    def _look_and_build(self) -> None:
        self._look()
        self._building.build_if_due()

    def _look(self, *, is_last: bool = False) -> None:
        if self._server.process.poll() is not None:
            raise self._server.failure()
        self._page.show_if_ready(is_last=is_last)
        if self._name:
            mine = [each for each in runs(self._settings.data) if each.verb == "extract"]
            self._screen.draw(in_words(mine[-1] if mine else None, self._name))
        else:
            self._screen.draw("")


def _shared(settings: OpenSettings) -> list[str]:
    """What all verbs are told alike."""
    words = ["--data", str(settings.data), "--log-format", settings.log_format, "--quiet"]
    return words + (["--config", str(settings.config)] if settings.config else [])


def _port(asked: int | None) -> int:
    """As asked; else the usual one if nobody has it, else any."""
    if asked is not None:
        return asked
    try:
        found: socket.socket = bind("127.0.0.1", PORT)
    except Error:
        return 0
    found.close()
    return PORT


def can_browse() -> bool:
    """Whether there is a screen, or somebody has said what to call; a browser of text would take the
    terminal."""
    names = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(os.environ.get(name) for name in names)


def unwritable(library: Library) -> str:
    """Why nothing can be taken in, where there is something that can be served without; "" where it can."""
    if not library.collections():
        return ""
    try:
        with files.writing(library.lock):
            library.lock.open("ab").close()
    except StoreError as error:
        return str(error)
    return ""


def root_flags(folder: Path, library: Library) -> list[str]:
    """A name for a folder whose own is that of another root, which is still there."""
    folder, roots = _located(folder), library.roots()
    if any(folder.is_relative_to(_located(known)) for known in roots.values()):
        return []
    is_free = folder.name not in library.bases() and not _is_there(roots.get(folder.name))
    if is_free:
        return []
    names = [f"{folder.parent.name}-{folder.name}", *(f"{folder.name}-{n}" for n in range(2, 1000))]
    return ["--root", next(name for name in names if name not in roots and name not in library.bases())]


def _located(folder: Path) -> Path:
    """As `extract` says where a folder lies: without "..", and a link by its own name."""
    return Path(os.path.abspath(folder))


def _is_there(folder: Path | None) -> bool:
    return folder is not None and folder.exists()
