"""`cinedex status`: collections, stores, rows, snapshots, failures, disk, what is stale, what runs now."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from core import files
from core.collections import Library
from core.config import Settings, run_verb
from core.errors import UsageError
from core.logs import plain
from core.running import Running, runs
from core.store import Store
from server.commands.screen import in_words
from server.commands.state import StoreState, failures, state_of


class StatusSettings(Settings):
    """Say what a data folder holds, what is stale in it, and what runs on it now."""

    collection: str = Field("", description="a collection's name; by default all of them")
    failures: bool = Field(False, description="list every place that failed, and why")
    json_output: bool = Field(False, alias="json", description="one JSON object instead of lines")


@dataclass(frozen=True, slots=True)
class Root:
    """Where videos were last seen."""

    name: str
    where: str
    is_there: bool  # of an address: nobody looked


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(StatusSettings, status, argv, prog="cinedex status")


def status(settings: StatusSettings) -> int:
    """Show it; 1 where a store is damaged."""
    library = Library(settings.data)
    with files.reading(settings.data):
        known = library.collections()
    if settings.collection:
        if settings.collection not in known:
            there = ", ".join(known) or "none"
            raise UsageError(
                f"{settings.data} has no collection {settings.collection!r}; there are: {there}."
            )
        known = {settings.collection: known[settings.collection]}
    if settings.failures:
        return _list_failures(library, known, is_json=settings.json_output)
    states = {
        name: [state_of(library.store_path(slug), is_default=slug == slugs[0]) for slug in slugs]
        for name, slugs in known.items()
    }
    roots, now = _roots(library), runs(settings.data)
    if settings.json_output:
        sys.stdout.write(json.dumps(_as_json(settings.data, states, roots, now), indent=1) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(settings.data, states, roots, now)))
    return 1 if any(state.error for held in states.values() for state in held) else 0


def _roots(library: Library) -> list[Root]:
    found = [Root(name, str(folder), os.path.isdir(folder)) for name, folder in library.roots().items()]
    return found + [Root(name, base, True) for name, base in library.bases().items()]


def _list_failures(library: Library, known: Mapping[str, Sequence[str]], *, is_json: bool) -> int:
    slugs = dict.fromkeys(slug for held in known.values() for slug in held)
    found = [
        {"store": slug, "path": word.place.shown, "error": word.error}
        for slug in slugs
        for word in failures(Store.open(library.store_path(slug)).log.last())
    ]
    if is_json:
        sys.stdout.write(json.dumps({"failures": found}, indent=1) + "\n")
        return 0
    for each in found:
        sys.stdout.write(f"{each['store']}  {plain(each['path'])}: {plain(each['error'])}\n")
    sys.stdout.write("" if found else "Nothing has failed.\n")
    return 0


def _as_json(
    data: Path, states: Mapping[str, Sequence[StoreState]], roots: Sequence[Root], now: Sequence[Running]
) -> dict[str, Any]:
    return {
        "data": str(data.absolute()),
        "collections": [
            {"name": name, "stores": [asdict(state) for state in held]} for name, held in states.items()
        ],
        "roots": [asdict(root) for root in roots],
        "running": [asdict(each) for each in now],
    }


def _lines(
    data: Path, states: Mapping[str, Sequence[StoreState]], roots: Sequence[Root], now: Sequence[Running]
) -> Iterator[str]:
    yield f"{data.absolute()}: {_many(len(states), 'collection')}, {_many(len(roots), 'root')}"
    if not states:
        yield "Nothing is there yet; `cinedex open DIR` takes a folder of videos in."
    for name, held in states.items():
        yield ""
        yield name
        for state in held:
            yield from _of_store(state)
    if roots:
        yield ""
        yield "roots"
        yield from (f"  {plain(r.name)}  {plain(r.where)}{'' if r.is_there else '  IS GONE'}" for r in roots)
    yield ""
    yield "running" if now else "Nothing runs now."
    yield from map(_of_running, now)


def _of_store(state: StoreState) -> Iterator[str]:
    which = ", the default one" if state.default else ""
    yield f"  {state.store}: {state.encoder or 'DAMAGED'}{which}"
    if state.error:
        yield f"    {state.error}"
        return
    yield f"    sampled    {_sampling(state.sampling)}"
    yield f"    searched   {_searched(state)}"
    if stale := ", ".join(_stale(state)):
        cure = "build` makes it new" if state.whole is None else f"publish {state.whole}` shows it"
        yield f"    stale      {stale}; `cinedex index {cure}"
    if state.failed:
        reasons = "; ".join(f"{count} × {plain(why)}" for why, count in state.reasons.items())
        yield f"    failed     {_many(state.failed, 'place')}: {reasons}"
    yield f"    disk       {_disk(state)}"
    if state.encoder_missing:
        yield f"    encoder    {state.encoder_missing}"


def _sampling(held: Mapping[str, Any]) -> str:
    if held["preset"]:
        return str(held["preset"])
    points = {"fps": f"{held['fps']:g} pictures a second", "uniform": f"{held['count']} pictures a video"}
    clips = f"clips of {held['clip_seconds']:g} s every {held['stride_seconds']:g} s"
    clips = "one clip a video" if held["whole"] else "a clip a shot" if held["points"] == "shots" else clips
    return f"{points.get(held['points'], held['points'])}, {clips}"


def _searched(state: StoreState) -> str:
    found = state.snapshot
    if found is None:
        return "nothing: no snapshot is published"
    rows = ", ".join(f"{count} {kind}" for kind, count in found.rows.items()) or "no"
    when = datetime.fromtimestamp(found.published).astimezone().isoformat(" ", "seconds")
    recall = "" if found.recall is None else f", recall {found.recall:.3f}"
    return f"{found.sources} videos and texts, {rows} rows; snapshot {found.number} of {when}{recall}"


def _stale(state: StoreState) -> Iterator[str]:
    if state.new:
        yield f"{state.new} new"
    if state.removed:
        yield f"{state.removed} removed"
    if state.commits and not state.new and not state.removed:
        yield f"{_many(state.commits, 'commit')} of lines, columns, places or failures"


def _disk(state: StoreState) -> str:
    disk = state.disk
    kinds = {"vectors": disk.vectors, "thumbnails": disk.thumbnails, "index": disk.index, "rest": disk.rest}
    held = ", ".join(f"{name} {files.shown_size(count)}" for name, count in kinds.items())
    frees = [f"gc frees {files.shown_size(disk.gc_frees)}"] if disk.gc_frees else []
    frees += [f"compact frees about {files.shown_size(disk.compact_frees)}"] if disk.compact_frees else []
    return "; ".join([f"{files.shown_size(disk.total)}: {held}", *frees])


def _of_running(each: Running) -> str:
    minutes = (time.time() - each.started) / 60
    told = {"serve": "url", "open": "url"}.get(each.verb)
    what = f": {in_words(each, str(each.facts.get('videos', '')))}" if each.verb == "extract" else ""
    what = f": {each.facts.get(told, '')}" if told else what
    return f"  {each.verb}, process {each.pid} on {each.host}, for {minutes:.0f} min{what}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
