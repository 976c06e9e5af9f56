"""Make `store-v1`, once: a store of format 1 with everything in it that later versions must go on reading.

    python tests/data/make_store.py FOLDER

Three videos (one removed, one seen at two places), a file that failed and one that was skipped, library texts
with columns, a shard that was compacted away, a checkpoint with entries after it, a published snapshot, and
in `answers.json` what is to be found. It is never made again: a later format gets a folder of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import core.log
from core.store import Store
from core.types import KINDS
from core.writer import Writer, compact
from extractor import cli
from extractor.world.sample_videos import main as write_samples
from index.build import build
from index.snapshot import Snapshot

LONG_AGO_S = 1_700_000_000
TEXTS = [{"key": "a", "text": "a red circle", "tag": "shape"}, {"key": "b", "text": "something blue"}]


def main(folder: Path) -> None:
    """Fill FOLDER, which must not exist."""
    core.log.CHECKPOINT_ENTRIES = 4
    with tempfile.TemporaryDirectory() as work:
        films = Path(work) / "films"
        write_samples(["--plain", str(films), "--count", "3", "--seconds", "6"])
        videos = sorted(films.glob("*.mp4"))
        (films / "broken.mp4").write_bytes(bytes(1000))
        (films / "notes.ogg").write_text("not a video")
        extract(films, folder)
        shutil.copyfile(videos[0], films / "copy \N{SNOWMAN}.mp4")
        extract(films, folder)
        texts = Path(work) / "texts.jsonl"
        texts.write_text("".join(json.dumps(text) + "\n" for text in TEXTS))
        age(texts.parent)
        run("--texts", str(texts), "--store", str(folder), "--encoder", "toy:rgb", "--root", "texts")
    store = Store.open(folder)
    remove(store, last_id(store))
    compact(store, sorted(store.log.last().shards())[:1])
    build(store)
    (folder / "answers.json").write_text(json.dumps(answers(store), indent=1) + "\n")


def extract(films: Path, folder: Path) -> None:
    age(films)
    run("--videos", str(films), "--store", str(folder), "--encoder", "toy:rgb", "--allow-failed")


def run(*flags: str) -> None:
    assert cli.main([*flags, "--workers", "0", "--quiet"]) == 0, flags


def age(films: Path) -> None:
    for path in films.iterdir():
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))


def last_id(store: Store) -> str:
    return max(live.id for live in store.log.last().live() if live.id.startswith("v-"))


def remove(store: Store, source: str) -> None:
    writer = Writer(store)
    writer.removed(source, store.log.last().number)
    writer.commit()


def answers(store: Store) -> dict[str, list[list[list[object]]]]:
    """The best rows for the first probes, by kind."""
    snapshot, probes = Snapshot.open(store), store.probes()
    assert probes is not None
    return {
        kind: [
            [
                [row.source, row.start, row.end, row.text, round(float(score), 4)]
                for row, score in zip(hits.segments, hits.scores, strict=True)
            ]
            for hits in snapshot.search(kind, probes[:8], 3)
        ]
        for kind in KINDS
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
