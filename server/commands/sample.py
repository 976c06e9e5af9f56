"""`cinedex sample`: something to look at before there are videos of one's own."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from core import files
from core.collections import Library
from core.config import Settings, run_verb
from core.stop import Stop, stopping
from core.store import Store
from extractor.encoders import shipped
from server.commands.children import Verbs

log = logging.getLogger(__name__)
COLLECTION, FOLDER = "sample", "sample-videos"
STARTER, COLOURS = "starter", "toy:rgb"
STORE = "sample"  # of its own, so that videos of others by the same encoder never lie among these


class SampleCollectionSettings(Settings):
    """Render a few small videos into the data folder and make them searchable, as the collection `sample`;
    where that answers already, nothing is done. The encoder is `starter`, which knows such videos; `toy:rgb`,
    which knows colours, where the starter is not in the installation."""


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(SampleCollectionSettings, fill, argv, prog="cinedex sample")


def fill(settings: SampleCollectionSettings) -> int:
    """Whoever comes at the same time waits, and finds it done."""
    library = Library(settings.data)
    with files.writing(settings.data):
        settings.data.mkdir(parents=True, exist_ok=True)
    # The lock first: who waits for it ends by a signal, which `stopping` would only take note of.
    with files.locked(settings.data / "sample.lock"), stopping() as stop:
        if is_there(library):
            log.info("there already collection=%s", COLLECTION)
            return 0
        return _filled(settings, stop)


def is_there(library: Library) -> bool:
    """Whether the collection has stores, and each of them a snapshot that is published."""
    slugs = library.collections().get(COLLECTION, [])
    return bool(slugs) and all(files.exists(library.store_path(slug) / "CURRENT") for slug in slugs)


def _filled(settings: SampleCollectionSettings, stop: Stop) -> int:
    verbs = Verbs(_pass_on, stop, lambda: None)
    videos, of_it = str(settings.data / FOLDER), ("--collection", COLLECTION)
    encoder = _encoder(settings.data / STORE)
    store = ("--store", str(settings.data / STORE), "--encoder", encoder)
    plain = ("--plain",) if encoder == COLOURS else ()
    is_rendered = files.exists(settings.data / FOLDER)  # it appears whole
    for words in (
        *(() if is_rendered else (("sample-videos", *plain, videos),)),
        ("extract", "--videos", videos, *store, *of_it),
        ("index", "build", *of_it),
    ):
        verbs.run((*words, *_shared(settings)))
        if stop.is_set():
            return 130
    sys.stdout.write(f"{COLLECTION} can be searched\n")
    return 0


def _encoder(store: Path) -> str:
    """A store that was begun keeps its own."""
    if files.exists(store / "store.json"):
        return Store.open(store).spec.name
    return STARTER if STARTER in shipped() else COLOURS


def _shared(settings: Settings) -> list[str]:
    words = ["--data", str(settings.data), "--log-format", settings.log_format]
    words += ["--config", str(settings.config)] if settings.config else []
    return words + (["--quiet"] if settings.quiet else [])


def _pass_on(line: str) -> None:
    sys.stderr.write(line + "\n")
