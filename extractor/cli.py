"""`extract`: videos and texts in, vectors into the store."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from pydantic import Field, field_validator

from core.collections import Library
from core.config import Settings, run
from core.errors import StoreError, UsageError
from core.store import Store, store_slug
from core.types import Sampling
from extractor.find import target_of
from extractor.job import Run, Wanted
from extractor.progress import Progress
from extractor.tally import Tally
from extractor.texts import texts_target
from extractor.work import Committed, Job, Report

log = logging.getLogger(__name__)


class ExtractSettings(Settings):
    """Videos and texts in, vectors into the store. To resume, run it again."""

    videos: str | None = Field(None, description="a folder, one file, or a glob in quotes")
    texts: Path | None = Field(None, description="library texts: a .txt, .jsonl or .csv file")
    encoder: str | None = Field(None, description="family:variant; else the store's own")
    store: Path | None = Field(None, description="a store's folder, instead of one in --data")
    collection: str = Field("default", description="what clients call the stores of these videos")
    root: str = Field("", description="a name for the folder; else a known root's, or the folder's own")
    fps: float | None = Field(None, gt=0, description="pictures a second")
    clip_seconds: float | None = Field(None, gt=0, description="length of a clip")
    stride_seconds: float | None = Field(None, gt=0, description="from one clip's start to the next")
    frames: bool | None = Field(None, description="whether each picture is a row too")
    workers: int = Field(1, ge=0, description="processes; 0: none but this one")
    decoders: int = Field(0, ge=0, description="videos that a worker reads at once; 0: by the cores")
    batch: int = Field(16, ge=1, description="pictures encoded together")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:1")
    prune: Literal["no", "yes", "force"] = Field("no", description="say what is gone, if it is not too much")
    again: bool = Field(False, description="embed again what is done, and restore what was removed")
    retry_failed: bool = Field(False, description="try again what failed before")
    allow_failed: bool = Field(False, description="exit 0 although some failed")
    report: Path | None = Field(None, description="write what was done to this file, as JSON")

    @field_validator("prune", mode="before")
    @classmethod
    def _prune_as_switch(cls, value: Any) -> Any:
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class Chosen:
    """The store to fill, and where it belongs."""

    path: Path
    encoder: str
    library: Library
    slug: str = ""  # of a store in the library; another joins no collection


def main(argv: list[str] | None = None) -> int:
    """`extract`; `--prune` alone means yes."""
    args = sys.argv[1:] if argv is None else argv
    return run(
        ExtractSettings, extract, ["--prune=yes" if arg == "--prune" else arg for arg in args], prog="extract"
    )


def extract(settings: ExtractSettings) -> int:
    """One run: 0 all done, 3 some failed, 130 stopped."""
    if settings.videos is None and settings.texts is None:
        raise UsageError("name what to embed: --videos FOLDER, --texts FILE, or both.")
    sampling = _asked_sampling(settings)
    library = Library(settings.data)
    wanted = _wanted(settings, library)
    chosen = choose_store(settings, library, sampling)
    log.info("store=%s encoder=%s", chosen.path, chosen.encoder)
    tally = Tally()
    with stopping() as stop:
        this = Run(_job(settings, chosen, sampling), wanted, tally, stop, begin=_claim(chosen, wanted))
        try:
            _follow(this, chosen, settings)
            _finish(this, chosen, settings)
        finally:
            if settings.report:
                _write_report(settings.report, tally)
    log.info("%s%s", "stopped: " if stop.is_set() else "", tally.in_words())
    if stop.is_set():
        return 130
    return 3 if tally.failed and not settings.allow_failed else 0


def _wanted(settings: ExtractSettings, library: Library) -> Wanted:
    known = library.roots()
    ours = (settings.data, *([settings.store] if settings.store else []))
    videos = target_of(settings.videos, settings.root, known, ours) if settings.videos is not None else None
    if settings.prune != "no" and videos and videos.kind != "folder":
        raise UsageError(f"--prune needs a whole folder; --videos {settings.videos} is a {videos.kind}.")
    root = "" if videos else settings.root
    if videos:
        known = known | {videos.root: Path(os.fsdecode(videos.folder))}
    return Wanted(videos, texts_target(settings.texts, root, known) if settings.texts is not None else None)


def _asked_sampling(settings: ExtractSettings) -> dict[str, Any]:
    asked = {
        "fps": settings.fps,
        "clip_seconds": settings.clip_seconds,
        "stride_seconds": settings.stride_seconds,
        "keep_frames": settings.frames,
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    replace(Sampling(), **given)  # a mistake is told before anything is made
    return given


def choose_store(settings: ExtractSettings, library: Library, sampling: dict[str, Any]) -> Chosen:
    """The store that is named, or that holds this encoder, or the collection's first, or a new one."""
    if settings.store is not None:
        found = _named_store(settings, library)
    elif settings.encoder is not None:
        found = _store_of(settings.encoder, settings.collection, library)
    else:
        found = _first_store(settings.collection, library)
    if (found.path / "store.json").exists():
        store = Store.open(found.path)
        store.require(store.spec, replace(store.sampling, **sampling))
    return found


def _named_store(settings: ExtractSettings, library: Library) -> Chosen:
    path = settings.store
    assert path is not None
    is_inside = path.absolute().parent == library.data.absolute()
    slug = path.name if is_inside else ""
    if path.exists() and (not path.is_dir() or (path / "store.json").exists()):
        name = Store.open(path).spec.name
        if settings.encoder is not None and not _is_called(name, settings.encoder):
            raise StoreError(f"{path} holds vectors of {name}, not of {settings.encoder}.")
        return Chosen(path, name, library, slug)
    if settings.encoder is None:
        raise UsageError(f"{path} is no store yet; name an encoder for it, as in --encoder toy.")
    return Chosen(path, _full_name(settings.encoder), library, slug)


def _store_of(encoder: str, collection: str, library: Library) -> Chosen:
    for slug in library.collections().get(collection, ()):
        path = library.store_path(slug)
        if (path / "store.json").exists() and _is_called(name := Store.open(path).spec.name, encoder):
            return Chosen(path, name, library, slug)
    name = _full_name(encoder)
    slug = store_slug(name)
    path = library.store_path(slug)
    if path.exists() and (not path.is_dir() or (path / "store.json").exists()):
        held = Store.open(path).spec.name
        if held != name:
            raise StoreError(f"{path} holds vectors of {held}, not of {name}.")
    return Chosen(path, name, library, slug)


def _first_store(collection: str, library: Library) -> Chosen:
    slugs = library.collections().get(collection)
    if not slugs:
        raise UsageError(
            f"{library.data} has no collection {collection!r} yet; name an encoder, as in --encoder toy."
        )
    path = library.store_path(slugs[0])
    return Chosen(path, Store.open(path).spec.name, library, slugs[0])


def _is_called(name: str, asked: str) -> bool:
    return asked in (name, name.partition(":")[0])


def _full_name(encoder: str) -> str:
    """With the variant; a family alone is asked for its own choice, which imports it."""
    if ":" in encoder:
        return encoder
    from extractor.encoders import load

    return load(encoder).spec.name


def _job(settings: ExtractSettings, chosen: Chosen, sampling: dict[str, Any]) -> Job:
    cores = max(1, len(os.sched_getaffinity(0)) // max(1, settings.workers))
    decoders = settings.decoders or min(4, max(1, cores - 1))
    return Job(
        chosen.path,
        chosen.encoder,
        sampling,
        batch=settings.batch,
        decoders=decoders,
        workers=settings.workers,
        device=settings.device,
        threads=max(1, cores - decoders) if settings.workers else 0,
        again=settings.again,
        retry_failed=settings.retry_failed,
        log_format=settings.log_format,
        log_level=logging.WARNING if settings.quiet else logging.INFO,
    )


def _claim(chosen: Chosen, wanted: Wanted) -> Callable[[], None]:
    def claim() -> None:
        if not chosen.slug:
            return
        known = chosen.library.roots()
        for target in (wanted.videos, wanted.texts):
            if target is not None:
                folder = Path(os.fsdecode(target.folder))
                if known.get(target.root) != folder:
                    chosen.library.claim_root(target.root, folder)

    return claim


def _join(chosen: Chosen, collection: str) -> None:
    if chosen.slug and chosen.slug not in chosen.library.collections().get(collection, ()):
        chosen.library.add_store(collection, chosen.slug)


def _follow(this: Run, chosen: Chosen, settings: ExtractSettings) -> None:
    may_draw = not settings.quiet and settings.log_format == "text"
    progress = Progress(this.tally, lambda: this.ahead.left(), may_draw=may_draw)
    for event in this.events():
        match event:
            case Report(place, "failed", error=error):
                progress.clear()
                log.warning("failed path=%s error=%s", place.shown, error)
            case Committed(entry) if entry is not None:
                _join(chosen, settings.collection)
        progress.show()
    progress.clear()
    for place, error in this.tally.untold:
        log.warning("failed path=%s error=%s", place.shown, error)


def _finish(this: Run, chosen: Chosen, settings: ExtractSettings) -> None:
    if this.links_out:
        log.warning("links that lead out of the root or to folders are not followed links=%d", this.links_out)
    is_there = (chosen.path / "store.json").exists()
    if is_there:
        _join(chosen, settings.collection)
    if this.stop.is_set():
        return
    if settings.prune != "no" and is_there:
        this.prune(force=settings.prune == "force")
        return
    has_none = this.tally.found == this.tally.skipped["not_video"]
    if settings.videos is not None and (has_none or not this.has_listed_videos):
        raise UsageError(f"--videos {settings.videos} holds no videos.")
    if has_none:
        raise UsageError(f"--texts {settings.texts} holds no texts.")


def _write_report(path: Path, tally: Tally) -> None:
    try:
        path.write_text(json.dumps(tally.as_json(), indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"--report {path} cannot be written: {error.strerror}.") from error


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Set by the first SIGTERM or Ctrl-C; the second one ends the process at once."""
    stop = threading.Event()

    def stopped(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    held = {number: signal.signal(number, stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
