"""`make demo`: sample videos, extract, build, serve, ask. DEMO_EXIT=1 ends it after the answers.

By `starter`, which knows the sample world, where its weights are in the package, else by `toy:rgb`.
"""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from extractor.encoders import shipped

if TYPE_CHECKING:
    from extractor.world.film import Film  # what only the films of turns need

FOLDER = Path(os.environ.get("DEMO_FOLDER", "build/demo"))
START_SECONDS = 300.0

STARTER, MOTION = "starter", "starter-motion"
FILMS, SECONDS, SEED = 3, float(os.environ.get("DEMO_SECONDS") or 120), 7
ASKED, MOST_LETTERS = 5, 60  # sentences of the films, none longer
OUTSIDE = "a goalkeeper saves a penalty"
TURNS, TURN_SECONDS = 4, 8.0  # films of one thing that goes one way, and back
LEAST_SHARED = 0.5  # of what two spans cover together, for one to be the other


def main() -> int:
    """The demo, until it is told to end, with what it has started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever began us may have ignored it
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return demo()
    except KeyboardInterrupt:
        return 130


def demo() -> int:
    """The whole path, from nothing to answers over HTTP."""
    say("Cinedex demo: everything it makes is in " + str(FOLDER))
    FOLDER.mkdir(parents=True, exist_ok=True)
    known = [each for each in shipped() if each in (STARTER, MOTION)]
    if STARTER in known:
        of_scenes(known)
    else:
        of_colours()
    return 0


def of_colours() -> None:
    """Plain films, by an encoder without weights."""
    videos, data = str(FOLDER / "videos"), str(FOLDER / "data")
    if not Path(videos).exists():
        verb("sample-videos", "--plain", videos)
    verb("extract", "--videos", videos, "--encoder", "toy:rgb", "--collection", "sample", "--data", data)
    verb("index", "build", "--data", data)
    with served(data) as address, httpx.Client(base_url=address, timeout=30) as client:
        for text in ("red", "a green circle", "blue"):
            show(client, text, {"query": text, "level": "frame", "limit": 3})
        best = ask(client, {"query": "red", "level": "frame", "limit": 1})["results"][0]
        part = {name: best[name] for name in ("video_id", "start", "end")}
        like = f"videos like {best['path']} from {best['start']:.0f} to {best['end']:.0f} s"
        show(client, like, {"query": [part], "level": "frame", "group_by": "video", "limit": 3})
        stay(address)


@dataclass(frozen=True, slots=True)
class Asked:
    """A sentence, and the only seconds of a video that it is true of."""

    text: str
    video: str
    start: float
    end: float

    @property
    def expected(self) -> str:
        return f"{self.start:6.2f} s to {self.end:6.2f} s of {self.video}"

    def is_at(self, result: dict[str, Any]) -> bool:
        """Whether that is the second to look at."""
        return bool(result["path"] == self.video and self.start <= result["best"]["t"] < self.end)

    def is_most_of(self, result: dict[str, Any]) -> bool:
        """Whether both are the same seconds, nearly."""
        shared = min(self.end, result["end"]) - max(self.start, result["start"])
        covered = max(self.end, result["end"]) - min(self.start, result["start"])
        return bool(result["path"] == self.video and shared >= LEAST_SHARED * covered)


def of_scenes(known: list[str]) -> None:
    """Films of the sample world, by the encoders that were trained on it."""
    world = FOLDER / "world"
    videos, data = world / "videos", str(world / "data")
    world.mkdir(exist_ok=True)
    if not (videos / "films").exists():
        many = ("--count", str(FILMS), "--seconds", f"{SECONDS:g}", "--seed", str(SEED))
        verb("sample-videos", *many, "--out", str(videos / "films"), to=world / "shots.txt")
    back = turns(videos / "turns") if MOTION in known else []
    for encoder in known:
        told = ("--videos", str(videos), "--encoder", encoder, "--collection", "sample", "--data", data)
        verb("extract", *told)
    verb("index", "build", "--data", data)
    with served(data) as address, httpx.Client(base_url=address, timeout=30) as client:
        found = [find(client, each) for each in chosen(videos / "films")]
        say(f"\n{sum(found)} of {len(found)} at the right second.")
        refused(client, OUTSIDE)
        if back:
            compare(client, back)
        say("\n" + ask(client, {"query": OUTSIDE})["encoder_notice"])
        stay(address)


def chosen(folder: Path) -> list[Asked]:
    """Some of the sentences that `sample-videos` wrote beside its films, evenly spread."""
    with (folder / "queries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [row["query"] for row in rows]
    single = [
        Asked(row["query"], f"videos/films/{row['video']}", float(row["start"]), float(row["end"]))
        for row in rows
        if texts.count(row["query"]) == 1 and len(row["query"]) <= MOST_LETTERS
    ]
    count = min(ASKED, len(single))
    return [single[(2 * number + 1) * len(single) // (2 * count)] for number in range(count)]


def find(client: httpx.Client, asked: Asked) -> bool:
    """A sentence, where its answer is, and where it is found."""
    body = {"query": asked.text, "level": "frame", "limit": 2, **within("videos/films/")}
    results = show(client, asked.text, body)
    is_right = bool(results) and asked.is_at(results[0])
    say(f"  {'right' if is_right else 'wrong'}: it is {asked.expected}")
    return is_right


def refused(client: httpx.Client, text: str) -> None:
    """What no film shows."""
    if show(client, text, {"query": text, "level": "frame", "limit": 1, "min_confidence": "medium"}):
        say("  wrong: none of the films shows it")


def turns(folder: Path) -> list[Asked]:
    """Films of one thing that goes one way and back, with a sentence for each way."""
    from core import files
    from extractor.world.film import there_and_back

    made = {f"turn-{n + 1}.mp4": there_and_back("sample", SEED, n, TURN_SECONDS) for n in range(TURNS)}
    if not folder.exists():
        with files.draft(folder) as draft:
            for name, film in made.items():
                write(film, draft / name)
    return [asked for name, film in made.items() for asked in ways(film, f"videos/turns/{name}")]


def write(film: Film, path: Path) -> None:
    """As `sample-videos` does."""
    from extractor.world.film import frames
    from extractor.world.questions import SAME_AGAIN, Sample

    Sample(path.name, (), partial(frames, film), SAME_AGAIN).write(path)


def ways(film: Film, video: str) -> Iterator[Asked]:
    """Where its thing goes, shot by shot."""
    from extractor.world.chance import Chance
    from extractor.world.grammar import sentence
    from extractor.world.query import Named, Query

    for shot in film.shots:
        (thing,) = shot.scene.things
        claim = Query((Named(thing.shape, thing.colour, motion=thing.motion),))
        yield Asked(sentence(claim, Chance("sample", SEED, video)), video, shot.start, shot.end)


def compare(client: httpx.Client, asked: list[Asked]) -> None:
    """Which way a thing goes, by the mean of a clip's pictures, and by their order."""
    say(f"\nWhich way? {TURNS} films of a thing that goes one way and back; no single picture tells which.")
    found = {}
    for encoder in (STARTER, MOTION):
        found[encoder] = [first_clip(client, each, encoder) for each in asked]
    is_right = {
        encoder: [each.is_most_of(clip) for each, clip in zip(asked, clips, strict=True)]
        for encoder, clips in found.items()
    }
    for encoder, all_of_them in is_right.items():
        say(f"  {encoder:14}  {sum(all_of_them)} of {len(asked)} right")
    example = is_right[STARTER].index(False) if False in is_right[STARTER] else 0
    say(f"\n{asked[example].text}\n  it is            {asked[example].expected}")
    for encoder, clips in found.items():
        clip = clips[example]
        says = "right" if is_right[encoder][example] else "wrong"
        say(f"  {encoder:14} {clip['start']:6.2f} s to {clip['end']:6.2f} s: {says}")


def first_clip(client: httpx.Client, asked: Asked, encoder: str) -> dict[str, Any]:
    """Of that video, by that encoder."""
    body = {"query": asked.text, "level": "clip", "merge_gap_s": None, "limit": 1, "encoder": encoder}
    best: dict[str, Any] = ask(client, body | within(asked.video))["results"][0]
    return best


def within(path: str) -> dict[str, Any]:
    """Looks through what is below it only."""
    return {"filter": {"must": [{"path": {"prefix": path}}]}}


def stay(address: str) -> None:
    """Until Ctrl-C, unless it is to end by itself."""
    say(f"\nLook at it: {address}/   (what programs can ask it: {address}/docs)")
    if os.environ.get("DEMO_EXIT") != "1":
        say("Ctrl-C stops it.")
        wait_for_interrupt()


def say(line: str) -> None:
    """One line to whoever watches, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def started(*words: str, stdout: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A verb, by this very Python, in a session of its own: Ctrl-C ends it by us, once. However we end, it
    does too, since it is tied to the pipe."""
    command = [sys.executable, "-m", "server.commands.tied", *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=stdout, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def verb(*words: str, to: Path | None = None) -> None:
    """Show a command as one would type it, and run it; what it prints may go to a file."""
    typed = words if words[0] == "extract" else ("cinedex", *words)
    say(f"\n$ {shlex.join(typed)}" + (f" > {shlex.quote(str(to))}" if to else ""))
    with ExitStack() as held:
        stdout = held.enter_context(to.open("w")).fileno() if to else None
        process = held.enter_context(started(*words, stdout=stdout))
        if process.wait():
            sys.exit(process.returncode)


@contextmanager
def served(data: str) -> Iterator[str]:
    """A server on a free port of this machine, for as long as the block lasts."""
    say(f"\n$ cinedex serve --port 0 --data {data}")
    words = ("serve", "--port", "0", "--data", data, "--quiet")
    with started(*words, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        if not address:
            sys.exit(server.wait())
        wait_until_ready(address)
        yield address


def wait_until_ready(address: str) -> None:
    """Until /readyz says so."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    sys.exit(f"{address} was not ready after {START_SECONDS:.0f} s.")


def ask(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    """POST /search."""
    answer = client.post("/search", json=body).raise_for_status()
    held: dict[str, Any] = answer.json()
    return held


def show(client: httpx.Client, title: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """A question and its answers, with their times."""
    answer = ask(client, body)
    say(f"\n{title}  ({answer['took_ms']['total']:.0f} ms)")
    if answer["confident"] is False:
        say("  no confident match")
    for result in answer["results"]:
        for moment in result.get("moments", [result])[:1]:
            times = (
                f"{moment['start']:5.2f} s to {moment['end']:5.2f} s, best at {moment['best']['t']:5.2f} s"
            )
            say(f"  {moment['score']:6.3f}  {times}  {result['path']}")
    results: list[dict[str, Any]] = answer["results"]
    return results


def wait_for_interrupt() -> None:
    """Until Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say("")


if __name__ == "__main__":
    sys.exit(main())
