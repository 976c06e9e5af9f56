"""The service as a whole: films are extracted, indexed and served by the commands that people use, and asked
over HTTP. How often it says “no confident match” where it should, and where it should not."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from core.commands import main
from core.errors import StoreError
from extractor.media.write import Encoding, write_video
from extractor.world.claims import claim
from extractor.world.film import FPS, Film, film, frames
from extractor.world.grammar import sentence
from extractor.world.questions import SAME_AGAIN
from extractor.world.scene import still
from training.bank import everyday
from training.measures.line import Line, held
from training.measures.sight import QUALITIES, Sight

_FILMS, _FILM_SECONDS = 6, 160.0
_QUESTIONS = 1000
_LEVELS = ("clip", "frame")  # the first is what is searched where nobody says
_PATIENCE_S = 300.0  # for it to be ready, and for an answer

Ask = Callable[[str, str], bool | None]  # a text and a level → whether it is confident


def service(sight: Sight) -> list[Line]:
    """Everyday sentences, and a question about each shot; of pictures, without how things move."""
    seconds = _FILMS * _FILM_SECONDS * sight.size
    count = max(1, round(_FILMS * sight.size))
    films = [film(sight.split, sight.seed, number, seconds / count) for number in range(count)]
    outside = everyday(sight.split, sight.seed, sight.many(_QUESTIONS))
    found = []
    with tempfile.TemporaryDirectory() as folder, _served(sight, films, Path(folder)) as ask:
        for level in _LEVELS:
            true = _questions(sight, films, moving=level == "clip" and sight.knows_order)
            refused = [ask(text, level) is False for text in outside]
            answered = [ask(text, level) is True for text in true]
            found += [
                _line(f"“no confident match”, outside, {level}s", refused),
                _line(f"a confident match, about the films, {level}s", answered),
            ]
    return found


def _line(measure: str, right: Sequence[bool]) -> Line:
    return held(f"service: {measure}", sum(right) / len(right), len(right), 0.90)


def _questions(sight: Sight, films: Sequence[Film], *, moving: bool) -> list[str]:
    """One about each shot, long or short."""
    chance = sight.chance("service", moving)
    scenes = [shot.scene for each in films for shot in each.shots]
    return [sentence(claim(each if moving else still(each, 0.5), chance), chance) for each in scenes]


@contextmanager
def _served(sight: Sight, films: Sequence[Film], folder: Path) -> Iterator[Ask]:
    """A library of the films, for as long as the block lasts; all as the commands do by default."""
    (folder / "films").mkdir()
    for number, each in enumerate(films):
        crf = sight.chance("quality", number).one(QUALITIES)
        how = Encoding(fps=FPS, gop=24, bframes=2, crf=crf, options=SAME_AGAIN)
        write_video(folder / "films" / f"{number}.mp4", frames(each), how)
    data = ("--data", str(folder / "data"), "--quiet")
    weights = () if sight.weights is None else ("--weights", str(sight.weights))
    encoder = ("--encoder", sight.encoder.spec.name, *weights)
    _verb("extract", "--videos", str(folder / "films"), *encoder, "--workers", "0", *data)
    _verb("index", "build", *data)
    # Whatever ends this process ends it too: it is tied to the pipe.
    command = [sys.executable, "-m", "server.commands.tied", "serve", "--port", "0", *data]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            if not address:
                raise StoreError("cinedex serve ended before it answered, and so is not measured.")
            with closing(HTTPConnection(urlsplit(address).netloc, timeout=_PATIENCE_S)) as connection:
                yield _asking(connection)
        finally:
            server.terminate()


def _verb(*words: str) -> None:
    """What it has to say goes where no figures do."""
    with redirect_stdout(sys.stderr):
        code = main([*words])
    if code:
        raise StoreError(f"cinedex {words[0]} ended with {code}, and so there is no service to measure.")


def _asking(connection: HTTPConnection) -> Ask:
    """Once it is ready."""
    end = time.monotonic() + _PATIENCE_S
    while _answer(connection, "GET", "/readyz", "")[0] != 200:
        if time.monotonic() > end:
            raise StoreError(f"cinedex serve was not ready after {_PATIENCE_S:.0f} s.")
        time.sleep(0.1)

    def ask(text: str, level: str) -> bool | None:
        body = json.dumps({"query": text, "level": level, "limit": 1})
        status, said = _answer(connection, "POST", "/search", body)
        if status != 200:
            raise StoreError(f"cinedex serve answered {status} to {body}: {said}.")
        confident: bool | None = json.loads(said)["confident"]
        return confident

    return ask


def _answer(connection: HTTPConnection, method: str, path: str, body: str) -> tuple[int, str]:
    """Connected anew each time: a server lets go of those who say nothing for some seconds, as a busy machine
    makes them."""
    said = {"content-type": "application/json", "connection": "close"}
    connection.request(method, path, body.encode(), said)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()
