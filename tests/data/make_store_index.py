"""Make `store-v1-index`, once: a store of format 1 with what was added to it by the index.

    python tests/data/make_store_index.py FOLDER

Videos with columns and lines, of which one was removed between two builds; an older snapshot without the
later videos; trained and lossy parts of one training, files of words, columns of several types, measured
recall with its queries and truth, confidence, and in `answers.json` what is found. It is never made again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.query import Condition, Filter, Where
from core.store import Store
from core.types import Kind
from extractor.world.sample_videos import main as write_samples
from index.build import build_snapshot
from index.lexical import WordKind
from index.snapshot import Snapshot
from index.terms import terms
from tests.data.make_store import age, answers, remove, run

FACTORIES: dict[Kind, str] = {"frame": "IVF2,SQ8", "clip": "IVF1,SQfp16"}
SRT = "1\n00:00:00,500 --> 00:00:02,000\n{}\n"
SAID = ("a red circle", "ein grüner Kreis", "青い四角", "nothing", "at all", "was said", "since then")
WORDS: dict[str, WordKind] = {"red": "lines", "gruner kreis": "lines", "青い": "lines", "sample 02": "names"}
FILTERS = {
    "number": Condition("metadata.year", (("gte", 2001),)),
    "tag": Condition("metadata.tags", (("eq", "odd"),)),
    "path": Condition("path", (("prefix", "films/sample-0"),)),
    "rows": Condition("start", (("gte", 2), ("lte", 4))),
}


def main(folder: Path) -> None:
    """Fill FOLDER, which must not exist."""
    with tempfile.TemporaryDirectory() as work:
        films = Path(work) / "films"
        write_samples(["--plain", str(films), "--count", str(len(SAID)), "--seconds", "4"])
        videos = sorted(films.glob("*.mp4"))
        for video, said in zip(videos, SAID, strict=True):
            video.with_suffix(".srt").write_text(SRT.format(said))
        age(films)
        extract(Path(work), videos[:-1], folder)
        build_snapshot(Store.open(folder), factories=FACTORIES)
        extract(Path(work), videos, folder)
    store = Store.open(folder)
    remove(store, min(live.id for live in store.log.last().live()))  # of the first build, a sixth of a part
    build_snapshot(store)
    (folder / "answers.json").write_text(json.dumps(found(store), indent=1) + "\n")


def extract(work: Path, videos: list[Path], folder: Path) -> None:
    """By a list with columns, eight pictures a second."""
    listed = work / "list.jsonl"
    lines = (
        {"path": str(video), "year": 2000 + number, "tags": ["odd" if number % 2 else "even", "all"]}
        for number, video in enumerate(videos)
    )
    listed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run(
        "--videos",
        str(listed),
        "--root",
        "films",
        "--store",
        str(folder),
        "--encoder",
        "toy:rgb",
        "--fps",
        "8",
    )


def found(store: Store) -> dict[str, Any]:
    """What is found by vectors, by words and within filters."""
    snapshot = Snapshot.open(store)
    return {
        "hits": answers(store),
        "told": {words: told(snapshot, words, kind) for words, kind in WORDS.items()},
        "kept": {name: kept(snapshot, condition) for name, condition in FILTERS.items()},
        "recall": snapshot.held["recall"],
    }


def told(snapshot: Snapshot, words: str, kind: WordKind) -> list[list[Any]]:
    """The best passages."""
    hits, _ = snapshot.told(kind, terms(words), 3)
    return [[hit.source, hit.start, hit.origin, hit.text] for hit in hits]


def kept(snapshot: Snapshot, condition: Condition) -> list[list[Any]]:
    """The best frame rows for the first probe among those that a condition keeps."""
    probes = snapshot.store.probes()
    assert probes is not None
    [hits] = snapshot.search("frame", probes[:1], 5, filter=Filter(where=Where(must=(condition,))))
    return [[row.source, row.start] for row in hits.segments]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
