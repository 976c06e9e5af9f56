"""A folder of videos, a library beside it, and `extract` over both; what is true afterwards."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.store import Store
from core.types import KINDS, Kind
from extractor.cli import main

LONG_AGO_NS = 1_700_000_000_000_000_000
Rows = tuple[list[float], list[float], bytes]


def age(path: Path, ns: int = LONG_AGO_NS) -> Path:
    """Make it look as if it had been there for long: what is fresh is waited for."""
    os.utime(path, ns=(ns, ns))
    return path


@dataclass(frozen=True)
class Shelf:
    """`films/` and `data/` in a folder of the test's own."""

    folder: Path

    @property
    def films(self) -> Path:
        return self.folder / "films"

    @property
    def store(self) -> Store:
        return Store.open(self.folder / "data" / "toy-rgb")

    def put(self, video: Path, name: str = "", ns: int = LONG_AGO_NS) -> Path:
        """A copy of a video under that name."""
        path = self.films / (name or video.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(video, path)
        return age(path, ns)

    def flags(self, *flags: str) -> list[str]:
        """A whole line, in this process and without a word, unless the flags say otherwise."""
        given = {flag.partition("=")[0] for flag in flags}
        common = {
            "--data": str(self.folder / "data"),
            "--encoder": "toy:rgb",
            "--report": str(self.folder / "report.json"),
            "--workers": "0",
        }
        if not given & {"--videos", "--texts"}:
            common["--videos"] = str(self.films)
        if "--store" in given:
            del common["--data"]
        return [*(f"{k}={v}" for k, v in common.items() if k not in given), *flags, "--quiet"]

    def extract(self, *flags: str, code: int = 0) -> dict[str, Any]:
        """Run `extract`, and give its report."""
        assert main(self.flags(*flags)) == code
        return self.report()

    def report(self) -> dict[str, Any]:
        held: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        counts = held["done"] + held["copies"] + sum(held["skipped"].values()) + len(held["failed"])
        assert held["found"] == counts
        return held

    def live(self) -> dict[str, list[str]]:
        """Every live source with the paths of its places."""
        known = self.store.log.last()
        return {live.id: sorted(os.fsdecode(p.path) for p in live.places) for live in known.live()}

    def paths(self) -> list[str]:
        """The paths of all live places."""
        return sorted(path for paths in self.live().values() for path in paths)


def outcome(report: dict[str, Any]) -> dict[str, int]:
    """What of it is not nothing."""
    found = {"done": report["done"], "copies": report["copies"], "failed": len(report["failed"])}
    return {name: count for name, count in (found | report["skipped"]).items() if count}


def vectors(store: Store) -> dict[tuple[str, Kind], Rows]:
    """The rows of every source that count: starts, ends and the vectors' very bytes."""
    found: dict[tuple[str, Kind], Rows] = {}
    times: Counter[tuple[str, str]] = Counter()
    for winner in store.log.last().winners():
        shard = store.shard(winner.shard)
        lines = [
            i
            for i, row in enumerate(shard.sources.to_pylist())
            if (row["id"], row["layer"]) == (winner.source, winner.layer)
        ]
        times[winner.source, winner.layer] += len(lines)
        for kind in KINDS:
            if shard.count(kind):
                rows = shard.rows(kind)
                mine = np.isin(rows.source, lines)
                if mine.any():
                    data = np.asarray(shard.vectors(kind))[mine].tobytes()
                    found[winner.source, kind] = (rows.start[mine].tolist(), rows.end[mine].tolist(), data)
    assert set(times.values()) <= {1}, "a source is in its shard twice"
    return found


FIRST = (
    "int(os.environ['FIRST'])"  # within a trap: the process that was started first, whose end ends the rest
)

# What a process loads before anything else: it acts when this file is opened, every time or once.
_TRAP = """
import os, signal, sys, time
os.environ.setdefault("FIRST", str(os.getpid()))
def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)) and os.fsencode(args[0]).endswith({name!r}):
        if {when} and not os.path.exists({marker!r}):
            os.close(os.open({marker!r}, os.O_CREAT)) if {once} else None
            {act}
sys.addaudithook(hook)
"""


def trap(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    act: str,
    *,
    once: bool = True,
    when: str = "True",
) -> None:
    """Let every process that starts from now on do that when it opens the file of that name."""
    marker = str(folder / "sprung")
    code = _TRAP.format(name=name.encode(), marker=marker, once=once, act=act, when=when)
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights, so that permissions mean something."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
