"""A snapshot of what the log says now: keep the parts that are still good, make what is missing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from core import files, npy
from core.errors import SnapshotError
from core.files import exists
from core.store import Store
from core.types import KINDS
from index import bar, calibration, columns, factory, making, mapped, part, passages, recall, sources
from index.bare import is_bare
from index.live import files_of, pack
from index.part import About, Part, Run, cut
from index.plan import Means, Plan, Wishes, plans, told
from index.progress import Progress
from index.rows import View
from index.snapshot import (
    CURRENT,
    FORMAT,
    MANIFEST,
    Snapshot,
    folder_of,
    manifest_seal,
    numbers,
    published,
    read_manifest,
)
from index.survey import survey

log = logging.getLogger(__name__)


class NothingStored(SnapshotError):
    """A store without a row, which is nobody's fault."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a build came to."""

    number: int
    made: bool  # False: a snapshot of all this was there
    published: bool
    parts_kept: int = 0
    parts_made: int = 0
    stays: int = 0  # the published snapshot, where it is another one and was left


@dataclass(frozen=True)
class Kept:
    """A part with its runs: what of it lives."""

    about: About
    runs: tuple[Run, ...]
    live: tuple[bool, ...]

    @property
    def count(self) -> int:
        """Rows, live or not."""
        return self.about.rows

    @property
    def live_rows(self) -> int:
        return sum(run.count for run, live in zip(self.runs, self.live, strict=True) if live)


def build(store: Store) -> int:
    """Build, check and publish; the snapshot's number."""
    return build_snapshot(store).number


def build_snapshot(
    store: Store, *, publish: bool = True, fresh: bool = False, **wishes: Unpack[Wishes]
) -> Built:
    """The same, told in full. fresh: nothing is taken over, which mends what is damaged.

    factories: FAISS' strings for some kinds, "auto" for what the table says. wanted: recall@10.
    """
    factory.require(wishes.get("factories") or {}, store.spec.dim)
    with locked(store):
        if is_bare(store):
            raise NothingStored(f"{store.root} holds nothing to build from; `extract` fills it.")
        last = store.log.last()
        newest = _newest(store)
        open_now = _open_now(store)
        means = Means.of(_told_before(store, newest), **wishes)
        there = 0 if fresh else _there_already(newest, open_now, last.number, means)
        if there:
            built = Built(there, made=False, published=False)
        else:
            before = None if fresh else _to_go_on_from(newest, open_now, means)
            built = _made(View(store, last), before, means)
        return _published(store, built) if publish else built


def _told_before(store: Store, newest: Snapshot | None) -> Mapping[str, Any]:
    """The manifest of what is published, whose wishes hold on: those of a snapshot that found too little, or
    that was only tried, do not. Where none is it is the newest one's, unless that finds too little."""
    try:
        return read_manifest(folder_of(store.root, published(store.root)[0]))
    except SnapshotError:
        pass
    if newest is None or bar.shortfall(newest.held):
        return {}
    return newest.held


def _there_already(newest: Snapshot | None, open_now: Snapshot | None, entry: int, means: Means) -> int:
    """The number of the snapshot of all this, 0 where there is none."""
    for each in (newest, open_now):
        if each and each.entry == entry and _is_as_wished(each, means):
            return each.number
    if not newest or not open_now or newest.entry != entry or not _is_as_wished(open_now, means):
        return 0
    # Who went back to an older one stays there until something is new.
    return newest.number if _is_passed_over(newest.store.root, newest.number) else 0


def _to_go_on_from(newest: Snapshot | None, open_now: Snapshot | None, means: Means) -> Snapshot | None:
    """The one whose parts are as these are to be, where either is."""
    return next((each for each in (newest, open_now) if each and means.asks_for(each.held)), newest)


def _open_now(store: Store) -> Snapshot | None:
    """What is published, if it opens."""
    try:
        return Snapshot.open(store)
    except SnapshotError as error:
        log.debug("nothing usable is published: %s", error)
        return None


def _is_as_wished(snapshot: Snapshot, means: Means) -> bool:
    wanted = float(snapshot.held.get("recall_wanted", recall.WANTED))
    held = [(part.live, part.about.rows) for part in snapshot.parts]
    held += [(words.live, words.about.rows) for words in snapshot.words]
    is_alive = all(_is_alive(live, rows, means) for live, rows in held)
    return is_alive and means.asks_for(snapshot.held) and wanted == means.wanted and "words" in snapshot.held


def _made(view: View, newest: Snapshot | None, means: Means) -> Built:
    kept: list[Kept] = []
    made: list[Kept] = []
    progress = Progress()
    planned = plans(view, newest, means, progress)
    for plan in planned:
        good, merged = _taken_over(view, newest, plan, means)
        kept += good
        made += [*merged, *_missing(view, [*good, *merged], plan, means, progress)]
    number = _write(view, [*kept, *made], means, told(planned, means), newest, progress)
    progress.end()
    log.info("built snapshot=%d entry=%d kept=%d made=%d", number, view.last.number, len(kept), len(made))
    return Built(number, made=True, published=False, parts_kept=len(kept), parts_made=len(made))


def _published(store: Store, built: Built) -> Built:
    """Publish it unless what is published covers more, or was chosen when this one was there."""
    open_now = _open_now(store)
    if open_now is not None:
        if open_now.number == built.number:
            return built
        passed_over = not built.made and _is_passed_over(store.root, built.number)
        if passed_over or open_now.entry > _entry(store, built.number):
            return replace(built, stays=open_now.number)
    _publish(store, built.number)
    return replace(built, published=True)


def _is_passed_over(root: Path, number: int) -> bool:
    """Whether CURRENT was written after this snapshot, as by who went back to an older one.

    One that is newer than CURRENT waits to be published: its build was killed, or told not to publish.
    """
    current, made = root / CURRENT, folder_of(root, number) / MANIFEST
    with files.reading(current):
        return current.stat().st_mtime_ns >= made.stat().st_mtime_ns


def _entry(store: Store, number: int) -> int:
    return int(read_manifest(folder_of(store.root, number))["entry"])


def publish(store: Store, number: int, *, below_recall: bool = False) -> None:
    """Make a snapshot the one that is searched, whether it is newer or older. below_recall: even if it finds
    less than it was to, which nobody has to say again of one that was published so."""
    with locked(store):
        _publish(store, number, below_recall)


def _publish(store: Store, number: int, below_recall: bool = False) -> None:
    current = _current_number(store.root)
    held = Snapshot.open(store, number).held
    bar.require(store.root, number, held, below_recall=below_recall or number == current)
    before = folder_of(store.root, current)
    if exists(before):
        with files.writing(before):
            os.utime(before)  # gc keeps it a day from now: a cursor may still use it
    seal = manifest_seal(folder_of(store.root, number))
    files.replace_text(store.root / CURRENT, f"{number:06d} {seal}\n")


def _current_number(root: Path) -> int:
    """What CURRENT names, whether it is there or not; 0 where it names nothing."""
    try:
        return published(root)[0]
    except SnapshotError:  # none, or a damaged name that is about to be mended
        return 0


def locked(store: Store) -> AbstractContextManager[None]:
    """Build, publish and gc of one store take turns."""
    return files.locked(store.root / "lock")


def _newest(store: Store) -> Snapshot | None:
    """The newest snapshot that opens."""
    for number in reversed(numbers(store.root)):
        try:
            return Snapshot.open(store, number)
        except SnapshotError as error:
            log.warning("snapshot=%d is left aside: %s", number, error)
    return None


def _is_alive(live_rows: int, rows: int, means: Means) -> bool:
    """Whether a part may be kept."""
    return live_rows >= (1 - means.most_dead) * rows


def _taken_over(
    view: View, newest: Snapshot | None, plan: Plan, means: Means
) -> tuple[list[Kept], list[Kept]]:
    """Parts of this training that are mostly alive; of those that are outgrown larger ones, which are new."""
    found = [] if newest is None else _looked_at(view, newest, plan)
    good = [kept for kept in found if _is_alive(kept.live_rows, kept.about.rows, means)]
    more = sum(run.count for run in plan.runs) - sum(kept.live_rows for kept in good)
    most_rows = _most_rows(view, plan, means)
    groups = [group for group in cut(_outgrown(good, more, most_rows), most_rows) if len(group) > 1]
    merging = {kept.about.name for group in groups for kept in group}
    merged = (_merged(view, plan, group) for group in groups)
    return [k for k in good if k.about.name not in merging], [m for m in merged if m]


def _outgrown(parts: Sequence[Kept], more: int, most_rows: int) -> list[Kept]:
    """The smallest, up to one that has no more rows than all smaller ones and what is new together.

    They become one part, and what is new one of its own, which may be as large as another. That keeps parts
    few: a search looks into the same lists of every one. And the largest of them is copied only where what is
    smaller and what is new have as many rows as it has.
    """
    # Parts that are about as large as memory allows cannot be merged.
    small = sorted((k for k in parts if k.live_rows <= most_rows // 2), key=lambda kept: kept.live_rows)
    below = more + np.cumsum([0, *(kept.live_rows for kept in small)])
    upto = [n + 1 for n, kept in enumerate(small) if more and kept.live_rows <= below[n]]
    return small[: max(upto, default=0)]


def _merged(view: View, plan: Plan, group: Sequence[Kept]) -> Kept | None:
    """None where they cannot be: then their live rows are added anew."""
    try:
        about = making.merge(view.store, plan, [(kept.about, kept.runs) for kept in group])
    except SnapshotError as error:
        log.info("%s parts are made anew: %s", plan.kind, error)
        return None
    runs = tuple(run for kept in group for run in kept.runs)
    return Kept(about, runs, tuple(live for kept in group for live in kept.live))


def _looked_at(view: View, newest: Snapshot, plan: Plan) -> Iterator[Kept]:
    for held in newest.parts:
        if held.about.kind != plan.kind or held.about.trained != plan.trained:
            continue
        try:
            runs = tuple(part.runs_of(part.read(view.store.root / "parts", held.about.name)))
        except SnapshotError as error:
            log.warning("part=%s is made anew: %s", held.about.name, error)
            continue
        yield Kept(held.about, runs, tuple(map(view.is_live, runs)))


def _missing(
    view: View, kept: Sequence[Kept], plan: Plan, means: Means, progress: Progress
) -> Iterator[Kept]:
    """New parts of the live rows that are in none."""
    have = {(run.shard, run.first) for each in kept for run in each.runs}
    wanted = [run for run in plan.runs if (run.shard, run.first) not in have]
    if not wanted:
        return
    for shard in sorted({run.shard for run in wanted}):
        view.store.shard(shard).whole(f"{plan.kind}.npy", f"{plan.kind}.parquet")
    progress.begin(f"{plan.kind}: adding", sum(run.count for run in wanted))
    for runs in cut(wanted, _most_rows(view, plan, means)):
        about = making.make(view.store, plan, runs, progress, means.device)
        Part.open(view.store.root / "parts", about)
        yield Kept(about, tuple(runs), (True,) * len(runs))


def _most_rows(view: View, plan: Plan, means: Means) -> int:
    """Of a part, made or merged."""
    return min(means.part_rows, making.most_rows(view.store, plan, means.memory_bytes))


def _write(
    view: View,
    kept: Sequence[Kept],
    means: Means,
    how: Mapping[str, Any],
    before: Snapshot | None,
    progress: Progress,
) -> int:
    """The snapshot's folder; its number."""
    store, known = view.store, view.known()
    # Above CURRENT's as well: no number ever means two snapshots, not even where one was lost.
    number = max([_current_number(store.root), *numbers(store.root)]) + 1
    final = folder_of(store.root, number)
    with files.draft(final) as folder:
        with files.writing(final):
            sources.write(folder / sources.FILE, view.live, known)
            columns.write(folder / columns.FILE, view.live, known)
            for each in kept:
                _write_live(folder, view, each)
            told_before = [words.about for words in before.words] if before else ()
            words = passages.write(folder, view, known, told_before, means.most_dead)
        held = {**_described(view, folder, kept), **how, "words": words}
        held |= calibration.added(Snapshot.of(store, folder, number, held), folder)
        held |= survey(Snapshot.of(store, folder, number, held), folder, before, progress)
        with files.writing(final):
            (folder / MANIFEST).write_text(files.sealed(held))
    return number


def _write_live(folder: Path, view: View, kept: Kept) -> None:
    numbered, live = files_of(kept.about.name)
    lines = [view.lines.get(run.source, -1) if alive else -1 for run, alive in _pairs(kept)]
    rows = np.repeat(np.array(kept.live, np.bool_), [run.count for run in kept.runs])
    npy.write(folder / numbered, [np.array(lines, "<i4")])
    npy.write(folder / live, [pack(rows)])


def _pairs(kept: Kept) -> Iterator[tuple[Run, bool]]:
    return zip(kept.runs, kept.live, strict=True)


def _described(view: View, folder: Path, kept: Sequence[Kept]) -> dict[str, Any]:
    rows = {kind: sum(each.live_rows for each in kept if each.about.kind == kind) for kind in KINDS}
    return {
        "format": FORMAT,
        "encoder": view.store.spec.fingerprint,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "entry": view.last.number,
        "sources": len(view.live),
        "rows": {kind: count for kind, count in rows.items() if count},
        "parts": [each.about.to_json() | {"live": each.live_rows} for each in kept],
        "files": mapped.stamps(sorted(folder.iterdir())),
    }
