"""`make demo`: sample videos, extract, build, serve, ask. DEMO_EXIT=1 ends it after the answers."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(os.environ.get("DEMO_FOLDER", "build/demo"))
START_SECONDS = 60.0


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
        say(f"\nLook at it: {address}/   (what programs can ask it: {address}/docs)")
        if os.environ.get("DEMO_EXIT") != "1":
            say("Ctrl-C stops it.")
            wait_for_interrupt()
    return 0


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


def verb(*words: str) -> None:
    """Show a command as one would type it, and run it."""
    typed = words if words[0] == "extract" else ("cinedex", *words)
    say(f"\n$ {shlex.join(typed)}")
    with started(*words) as process:
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


def show(client: httpx.Client, title: str, body: dict[str, Any]) -> None:
    """A question and its answers, with their times."""
    answer = ask(client, body)
    say(f"\n{title}  ({answer['took_ms']['total']:.0f} ms)")
    for result in answer["results"]:
        for moment in result.get("moments", [result])[:1]:
            times = (
                f"{moment['start']:5.2f} s to {moment['end']:5.2f} s, best at {moment['best']['t']:5.2f} s"
            )
            say(f"  {moment['score']:6.3f}  {times}  {result['path']}")


def wait_for_interrupt() -> None:
    """Until Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say("")


if __name__ == "__main__":
    sys.exit(main())
