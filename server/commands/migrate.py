"""`cinedex migrate --to ENCODER`: a store of the same videos beside the one that answers, then the switch."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from core.collections import Library
from core.config import Settings, run_verb
from core.errors import Error, StoreError, UsageError
from core.logs import plain
from core.running import running, runs
from core.stop import stopping
from core.store import Store, store_slug
from core.types import Points, Sampling
from extractor.encoders.lacking import address_of_lacking
from extractor.encoders.weights import RANDOM
from index.snapshot import Snapshot
from server import temporary
from server.commands.carried import (
    Missing,
    carry_removals,
    carry_texts,
    has_line_vectors,
    missing,
    write_list,
)
from server.commands.children import Verbs
from server.commands.screen import Screen, in_words

_PASSES = 5  # while others add to the old store
_SHOWN = 10
SAMPLING = ("points", "fps", "count", "preset", "skip_still", "whole", "clip_seconds", "stride_seconds")


class MigrateSettings(Settings):
    """Fill a store of another encoder from the same videos while the old one answers, then switch to it. To
    resume, run it again."""

    to: str | None = Field(None, description="the encoder, family:variant")
    weights: Path | None = Field(None, description="a checkpoint of your own for that encoder")
    random_weights: int | None = Field(
        None, ge=0, lt=1 << 63, description="no weights but random ones, by this seed"
    )
    s3d_weights: Path | None = Field(None, description="of videoclip: its other file, s3d_howto100m.pth")
    collection: str = Field("default", description="whose default store is replaced")
    points: Points | None = Field(None, description="which pictures; all of these: else as in the old store")
    fps: float | None = Field(None, gt=0, le=1000, description="pictures a second")
    count: int | None = Field(None, ge=1, le=100_000, description="so many a video, with --points uniform")
    preset: str | None = Field(None, description="an author's choice of pictures")
    skip_still: float | None = Field(None, ge=0, lt=1, description="leave out what differs less, as 0.01")
    whole: bool | None = Field(None, description="one clip a video, over all its points")
    clip_seconds: float | None = Field(None, gt=0, le=86_400, description="length of a clip")
    stride_seconds: float | None = Field(
        None, gt=0, le=86_400, description="from one clip's start to the next"
    )
    frames: bool | None = Field(None, description="whether each picture is a row too")
    allow_missing: bool = Field(False, description="go without videos whose files are gone")
    drop_old: bool = Field(False, description="take the old store out of the collection; its files stay")
    dry_run: bool = Field(False, description="do nothing: say what there is to do")

    @property
    def encoder(self) -> str:
        """Where to."""
        assert self.to is not None
        return self.to

    @field_validator("to")
    @classmethod
    def _is_named(cls, value: str | None) -> str | None:
        if value is not None and value.partition(":")[0] in ("", "auto"):
            raise ValueError("it must be family:variant")
        return value


@dataclass(frozen=True, slots=True)
class Stores:
    """The one that answers, and the one that shall; the new one need not be there yet."""

    library: Library
    collection: str
    old: Store
    path: Path  # of the new one

    def new(self) -> Store | None:
        return Store.open(self.path) if (self.path / "store.json").exists() else None


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(MigrateSettings, migrate, argv, prog="cinedex migrate")


def migrate(settings: MigrateSettings) -> int:
    """One run: 0 switched, 130 stopped before."""
    if settings.to is None:
        raise UsageError("Name the encoder to go over to, as in --to open_clip:MODEL/TAG.")
    library = Library(settings.data)
    slugs = library.collections().get(settings.collection, [])
    if not slugs:
        raise UsageError(f"{settings.data} has no collection {settings.collection!r}.")
    old = Store.open(library.store_path(slugs[0]))
    sampling = old.sampling.but(_asked(settings))
    if _is_that(old, settings, sampling):
        return _already(library, settings, slugs)
    stores = Stores(library, settings.collection, old, _path(library, settings, old, sampling))
    address = "" if _has_weights(settings) or stores.new() else address_of_lacking(settings.encoder)
    found = missing(old, stores.new(), library)
    _say(_in_words(found, stores))
    if address:
        _say(
            f"The weights of {settings.encoder} are not on this machine; they are downloaded from {address}."
        )
    if settings.dry_run:
        _say(f"Nothing was done; {stores.path.name} would be filled and answer in place of {old.root.name}.")
        return 0
    _refuse_gone(found, settings)
    temporary.sweep()
    screen = Screen(settings.log_format, quiet=settings.quiet)
    with stopping(signal.SIGHUP) as stop, running(settings.data, "migrate", {"to": settings.encoder}):
        verbs = Verbs(screen.hear, stop, lambda: _look(screen, settings.data))
        _fill(stores, verbs, settings, sampling)
        screen.draw("")
        if stop.is_set():
            return 130
        _switch(stores, settings)
    return 0


def _has_weights(settings: MigrateSettings) -> bool:
    return settings.weights is not None or settings.random_weights is not None


def _asked(settings: MigrateSettings) -> dict[str, Any]:
    found = {name: value for name in SAMPLING if (value := getattr(settings, name)) is not None}
    return found | ({} if settings.frames is None else {"keep_frames": settings.frames})


def _is_that(store: Store, settings: MigrateSettings, sampling: Sampling) -> bool:
    """Whether a store is what is asked for; by other weights it is another one."""
    is_own = not _has_weights(settings)
    if settings.random_weights is not None:
        is_own = store.spec.weights == f"{RANDOM}{settings.random_weights}"
    return _is_called(store, settings.encoder) and is_own and store.sampling == sampling


def _is_called(store: Store, encoder: str) -> bool:
    """By its whole name, or by its family's, which stands for a variant of it."""
    return encoder.removesuffix(":") in (store.spec.name, store.spec.name.partition(":")[0])


def _already(library: Library, settings: MigrateSettings, slugs: Sequence[str]) -> int:
    """What a run that was killed after the switch leaves to do."""
    _say(f"{slugs[0]}, of {settings.encoder}, is the default store of {settings.collection} already.")
    if settings.drop_old and len(slugs) > 1 and not settings.dry_run:
        _dropped(library, settings, slugs[0], slugs[1])
    return 0


def _path(library: Library, settings: MigrateSettings, old: Store, sampling: Sampling) -> Path:
    """The folder of the new store: one that was begun, or a name that is free."""
    slugs = library.free_slugs(settings.collection, store_slug(settings.encoder))
    return next(path for path in map(library.store_path, slugs) if _is_its(path, settings, old, sampling))


def _is_its(path: Path, settings: MigrateSettings, old: Store, sampling: Sampling) -> bool:
    """Whether it is free, or the store that was begun."""
    if not (path / "store.json").exists():
        return True
    found = Store.open(path)
    is_it = _is_called(found, settings.encoder) and found.sampling == sampling
    if settings.random_weights is not None:
        is_it &= found.spec.weights == f"{RANDOM}{settings.random_weights}"
    return is_it and found.root != old.root


def _in_words(found: Missing, stores: Stores) -> str:
    parts = [f"{len(found.videos)} videos of {found.seconds / 3600:.1f} hours and {len(found.texts)} texts"]
    parts += [f"{len(found.gone)} videos whose files are gone"] if found.gone else []
    parts += [f"{len(found.told)} that {stores.path.name} could not take"] if found.told else []
    return f"{stores.old.root.name} → {stores.path.name}: {', '.join(parts)}."


def _refuse_gone(found: Missing, settings: MigrateSettings) -> None:
    if not found.gone or settings.allow_missing:
        return
    shown = [plain(source.places[0].shown) for source in found.gone]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    raise Error(
        f"The files of {', '.join(shown[:_SHOWN])}{more} are not where they were: bring them back, "
        "`cinedex remove` them, or go without them by --allow-missing."
    )


def _look(screen: Screen, data: Path) -> None:
    mine = [each for each in runs(data) if each.verb == "extract"]
    screen.draw(in_words(mine[-1] if mine else None, "videos"))


# --- filling -----------------------------------------------------------------------------------------


def _fill(stores: Stores, verbs: Verbs, settings: MigrateSettings, sampling: Sampling) -> None:
    """Until the old store holds nothing that the new one lacks, others may add to it meanwhile."""
    for _ in range(_PASSES):
        new = stores.new()
        found = missing(stores.old, new, stores.library)
        _refuse_gone(found, settings)
        if new is None and not found.videos:
            raise UsageError(
                f"{stores.old.root} has no videos to take over; "
                f"`extract --texts FILE --encoder {settings.encoder}` makes a store of its texts."
            )
        if found.videos:
            _extract(found, stores, verbs, settings, sampling)
        if verbs.stop.is_set():
            return
        new = stores.new()
        if new is None:
            raise StoreError(f"No video could be read, so that {stores.path} was not made.")
        _carry(missing(stores.old, new, stores.library), stores.old, new)
        verbs.run(["index", "build", *_shared(settings), "--store", str(stores.path)])
        left = missing(stores.old, new, stores.library)
        if verbs.stop.is_set() or not (left.videos or left.texts):
            return


def _extract(
    found: Missing, stores: Stores, verbs: Verbs, settings: MigrateSettings, sampling: Sampling
) -> None:
    with temporary.folder() as folder:
        videos = folder / "videos.jsonl"
        write_list(videos, found.videos)
        words = ["extract", "--videos", str(videos), "--store", str(stores.path), *_shared(settings)]
        words += ["--collection", stores.collection, "--encoder", settings.encoder, *_flags(sampling)]
        words += ["--weights", str(settings.weights)] if settings.weights else []
        words += ["--s3d-weights", str(settings.s3d_weights)] if settings.s3d_weights else []
        seed = settings.random_weights
        words += [] if seed is None else [f"--random-weights={seed}"]
        words += ["--embed-subtitles"] if has_line_vectors(stores.old) else []
        verbs.run(words, good=(0, 3))


def _carry(found: Missing, old: Store, new: Store) -> None:
    carry_removals(old, new)
    if found.texts:
        from extractor.encoders import load_again

        carry_texts(found.texts, new, load_again(new.spec))


def _shared(settings: MigrateSettings) -> list[str]:
    words = ["--data", str(settings.data), "--log-format", settings.log_format, "--quiet"]
    return words + (["--config", str(settings.config)] if settings.config else [])


def _flags(sampling: Sampling) -> list[str]:
    """What makes `extract` sample so, whatever the encoder's own choice is."""
    frames = ["--frames" if sampling.keep_frames else "--no-frames"]
    if sampling.preset:
        return ["--preset", sampling.preset, *frames]
    words = ["--points", sampling.points, "--skip-still", str(sampling.skip_still), *frames]
    words += ["--fps", str(sampling.fps)] if sampling.points in ("fps", "shots") else []
    words += ["--count", str(sampling.count)] if sampling.points == "uniform" else []
    if sampling.whole:
        return [*words, "--whole"]
    lengths = ["--clip-seconds", str(sampling.clip_seconds), "--stride-seconds", str(sampling.stride_seconds)]
    return [*words, "--no-whole", *(lengths if sampling.points != "shots" else [])]


# --- the switch --------------------------------------------------------------------------------------


def _switch(stores: Stores, settings: MigrateSettings) -> None:
    """Only to what answers for everything, or has said why it does not."""
    new = Store.open(stores.path)
    found = missing(stores.old, new, stores.library)
    if found.videos or found.texts:
        count = len(found.videos) + len(found.texts)
        raise StoreError(
            f"{stores.path} still lacks {count} of the sources of {stores.old.root.name}; run it again."
        )
    snapshot = Snapshot.open(new)
    for place, why in found.told.items():
        _say(f"left out: {plain(place)}: {plain(why)}")
    for source in found.gone:
        _say(f"left out: {plain(source.places[0].shown)}: its file is gone")
    slug = stores.path.name
    if slug not in stores.library.collections()[stores.collection]:
        stores.library.add_store(stores.collection, slug)
    if settings.drop_old:
        _dropped(stores.library, settings, slug, stores.old.root.name)
    else:
        stores.library.put_first(stores.collection, slug)
    rows = ", ".join(f"{count} {kind}" for kind, count in snapshot.rows.items())
    _say(f"{slug} answers for {stores.collection} now: snapshot {snapshot.number}, {rows} rows.")


def _dropped(library: Library, settings: MigrateSettings, slug: str, old: str) -> None:
    library.put_first(settings.collection, slug, without=(old,))
    where = library.store_path(old)
    _say(f"{old} is out of {settings.collection}; its files stay in {where} until you delete them.")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
