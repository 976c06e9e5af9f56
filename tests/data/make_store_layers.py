"""Make `store-v1-layers`, once: a store of format 1 with what was added to it by subtitles and thumbnails.

    python tests/data/make_store_layers.py FOLDER

A video with a text track and sidecars of which one went again, a copy with a sidecar of its own, a video
without any, vectors of lines, thumbnails, a compacted shard, a checkpoint that holds sidecars with
entries after it, a published snapshot, and in `answers.json` what is to be found. It is never made again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import core.log
from core.files import hash_bytes
from core.store import Store
from core.writer import compact
from extractor.world.sample_videos import main as write_samples
from index.build import build
from tests.data.make_store import age, answers, run
from tests.extractor.subtitled import Track, write_subtitled

SAID = [(0, 1500, "a red circle"), (2000, 3500, "something blue"), (4000, 5000, "green at last")]
SRT = "1\n00:00:00,500 --> 00:00:02,000\n{}\n"


def main(folder: Path) -> None:
    """Fill FOLDER, which must not exist."""
    core.log.CHECKPOINT_ENTRIES = 4
    with tempfile.TemporaryDirectory() as work:
        films = Path(work) / "films"
        write_samples(["--plain", str(films), "--count", "2", "--seconds", "6"])
        plain = films / "sample-01.mp4"
        write_subtitled(films / "film.mp4", plain, [Track("mov_text", SAID, "eng")])
        plain.unlink()
        for name, text in (
            ("film.de.srt", "ein Kreis"),
            ("film.srt", "it went"),
            ("film.json", "no transcript"),
        ):
            (films / name).write_text(SRT.format(text))
        extract(films, folder)
        (films / "film.srt").unlink()
        extract(films, folder)
        shutil.copyfile(films / "film.mp4", films / "copy \N{SNOWMAN}.mp4")
        (films / "copy \N{SNOWMAN}.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nof the copy\n")
        extract(films, folder)
        (films / "film.pt-BR.srt").write_text(SRT.format("um círculo"))
        extract(films, folder)
    store = Store.open(folder)
    compact(store, sorted(store.log.last().shards())[:2])
    build(store)
    held = {"hits": answers(store), "lines": lines(store), "thumbs": thumbs(store)}
    (folder / "answers.json").write_text(json.dumps(held, indent=1) + "\n")


def extract(films: Path, folder: Path) -> None:
    age(films)
    run("--videos", str(films), "--store", str(folder), "--encoder", "toy:rgb", "--embed-subtitles")


def lines(store: Store) -> dict[str, list[list[Any]]]:
    """The live lines of each source, by its first path."""
    known = store.log.last()
    found: dict[str, list[list[Any]]] = {}
    for live in known.live():
        mine = found.setdefault(os.fsdecode(live.places[0].path), [])
        for winner in known.winners():
            if winner.source == live.id and live.has_layer(winner.layer):
                shard = store.shard(winner.shard)
                rows = [(row["id"], row["layer"]) for row in shard.sources.to_pylist()]
                told = shard.lines().of(rows.index((live.id, winner.layer)))
                mine += ([line.start, line.end, line.text, line.language] for line in told)
        mine.sort()
    return found


def thumbs(store: Store) -> dict[str, list[list[Any]]]:
    """When each thumbnail is shown, and the hash of its bytes."""
    known = store.log.last()
    found = {}
    for live in known.live():
        held = store.shard(known.shard_of(live.id, "visual")).thumbs(live.id)
        pairs = zip(held.times, held.tiles, strict=True)
        found[os.fsdecode(live.places[0].path)] = [[t, hash_bytes(tile)] for t, tile in pairs]
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
