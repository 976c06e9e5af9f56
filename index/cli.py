"""`cinedex index`: build, publish, list, check, gc, compact. What is searched, and the room it takes."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from core import writer
from core.collections import Library
from core.commands import Inner, hand_on, nearest
from core.config import Alone, Settings, run_verb
from core.errors import Error, SnapshotError, UsageError
from core.files import reading
from core.query import Effort
from core.running import running
from core.stop import stopping
from core.store import Store
from index import bar, factory
from index.asked import SAMPLE
from index.build import Built, NothingStored, build_snapshot, publish
from index.check import cures, damage
from index.device import chosen_device
from index.follow import Follower
from index.gc import DAY_S, KEEP, gc
from index.listing import Listed, listed, table, to_json
from index.part import MOST_DEAD
from index.plan import Wishes
from index.recall import WANTED, Measured, measure, shortfall
from index.snapshot import Snapshot, folder_of, read_manifest
from index.threads import bound_threads
from index.worn import advice, worn


class StoreSettings(Settings):
    """Which stores: all those of a collection, or one folder."""

    store: Path | None = Field(None, description="one store's folder, in place of a collection's stores")
    collection: str = Field("", description="a collection's name; by default all of them")


class BuildSettings(StoreSettings):
    """Make a snapshot of what the log says now, check it and publish it."""

    publish: bool = Field(True, description="with --no-publish the answers stay as they are")
    fresh: bool = Field(False, description="take over no part of the last snapshot: mends damaged ones")
    dead: float = Field(
        MOST_DEAD,
        ge=0,
        le=1,
        description="share of a part that may be dead; 0: a part with any is made anew",
    )
    factory: str | None = Field(
        None,
        description="a FAISS factory string, for one kind as clip=STRING; auto: by the number of rows",
    )
    memory: str = Field("4G", description="that training and adding may take: a number and M, G or T")
    recall: float | None = Field(
        None,
        gt=0,
        le=1,
        description="of the ten best rows a search shall find; less is not published; "
        f"as before, else {WANTED}",
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="what trains and fills lists; auto: a GPU if there is one"
    )
    follow: bool = Field(False, description="and again whenever `extract` has added something, until stopped")
    follow_seconds: float = Field(5.0, gt=0, le=86_400, description="between two looks at the log")


class PublishSettings(StoreSettings):
    """Make a snapshot the one that is searched; an older number is the way back."""

    number: CliPositionalArg[int] = Field(description="as `cinedex index list` shows it", ge=1, lt=1 << 63)
    below_recall: bool = Field(
        False, description="even if it finds less than it was to; it may be gone back to without"
    )


class ListSettings(StoreSettings):
    """Show the snapshots that are there."""

    json_output: bool = Field(False, alias="json", description="one JSON object instead of a table")


class CheckSettings(StoreSettings):
    """Compare stored bytes with their hashes, and answers with the truth; both unless one is named."""

    files: bool = Field(False, description="every byte of every committed file")
    recall: Annotated[float | None, Alone(str(WANTED))] = Field(
        None,
        gt=0,
        le=1,
        description=f"of the published snapshot, against every stored row; less fails (alone: {WANTED})",
    )
    sample: int = Field(SAMPLE, ge=1, le=4_096, description="stored rows to ask for, and as many texts")


class GcSettings(StoreSettings):
    """Remove what no kept snapshot and no live row needs."""

    keep: int = Field(
        KEEP, ge=1, le=1_000_000, description="newest snapshots to keep; the published one stays as well"
    )
    age_s: float = Field(
        DAY_S,
        ge=0,
        le=3_153_600_000,
        description="seconds; what was in use since then stays, what writers make two hours at least",
    )


class CompactSettings(StoreSettings):
    """Write the live rows of small and of worn shards into new ones."""

    dead: float = Field(
        MOST_DEAD,
        ge=0,
        le=1,
        description="share of a shard that may be dead; 0: all that have any are written anew",
    )


def main(argv: list[str] | None = None) -> int:
    """Hand the rest of the line to the verb that is named first."""
    return hand_on("index", COMMANDS, argv)


def stores(settings: StoreSettings) -> list[Path]:
    """The folders that are meant."""
    if settings.store is not None:
        return [settings.store]
    data, name = settings.data, settings.collection
    library = Library(data)
    known = library.collections()
    if not known:
        raise UsageError(f"{data} holds no store; `extract` makes one, `--data` names another folder.")
    if name and name not in known:
        raise UsageError(f"{data} has no collection {name!r}{nearest(name, list(known))}")
    slugs = known[name] if name else [slug for held in known.values() for slug in held]
    return [library.store_path(slug) for slug in dict.fromkeys(slugs)]


def _each(verb: str, settings: StoreSettings, work: Callable[[Path], int]) -> int:
    """One after the other; what is wrong with one store does not keep the others waiting."""
    codes = [0]
    for root in stores(settings):
        try:
            codes.append(work(root))
        except Error as error:
            _complain(verb, str(error))
            codes.append(error.exit_code)
    return max(codes)


def _build(settings: BuildSettings) -> int:
    if settings.is_flag("follow_seconds") and not settings.follow:
        raise UsageError("--follow-seconds is for --follow, which is not there.")
    wishes = _wishes(settings)
    bound_threads()
    if settings.follow:
        return _build_on(settings, wishes)

    def work(root: Path) -> int:
        try:
            _build_one(Store.open(root), settings, wishes)
        except NothingStored as error:
            _say(str(error))  # what could not be read, `extract` has said
        return 0

    with running(settings.data, "index build"):
        return _each("build", settings, work)


def _wishes(settings: BuildSettings) -> Wishes:
    """Of every build. What is wrong with them is said before the first: a following one would wait on."""
    return Wishes(
        most_dead=settings.dead,
        memory_bytes=memory_bytes(settings.memory),
        factories=None if settings.factory is None else factory.asked(settings.factory),
        wanted=settings.recall,
        device=chosen_device(settings.device),
    )


def _build_one(store: Store, settings: BuildSettings, wishes: Wishes) -> int:
    """The last entry that is covered then."""
    built = build_snapshot(store, publish=settings.publish, fresh=settings.fresh, **wishes)
    snapshot = Snapshot.open(store, built.number)
    _say(f"{store.root.name}: {_told(built, snapshot)}")
    by_kind = (wishes["factories"] or {}) if "=" in (settings.factory or "") else {}
    for kind, string in by_kind.items():  # one string for all kinds is for those that there are
        if kind not in snapshot.rows and string != factory.AUTO:
            _say(f"{store.root.name}: no {kind} rows are there; --factory {kind}=… is not kept for later.")
    if built.made and (told := advice(store, sum(snapshot.rows.values()))):
        _say(f"{store.root.name}: {told}.")
    return snapshot.entry


def memory_bytes(text: str) -> int:
    """What "4G" means."""
    found = re.fullmatch(r"([1-9][0-9]{0,6})([MGT])", text)
    if found is None:
        raise UsageError(f"--memory is {text!r}; a whole number and M, G or T would be right, as 4G.")
    return int(found[1]) << {"M": 20, "G": 30, "T": 40}[found[2]]


def _build_on(settings: BuildSettings, wishes: Wishes) -> int:
    if settings.fresh:
        raise UsageError("--follow with --fresh cannot be; build afresh once, and then follow.")
    follower = Follower(
        partial(stores, settings),
        partial(_build_one, settings=settings, wishes=wishes),
        partial(_complain, "build"),
    )
    with stopping() as stop, running(settings.data, "index build", {"follow": True}):
        follower.follow(stop, settings.follow_seconds)
        # As `serve` ends: told to by SIGTERM, it has done what it was to do.
        return 0 if stop.by == signal.SIGTERM else 130


def _told(built: Built, snapshot: Snapshot) -> str:
    counts = ", ".join(f"{count} {kind} rows" for kind, count in snapshot.rows.items()) or "no rows"
    stays = f"; {built.stays} stays the published one" if built.stays else ""
    if not built.made and not built.published:
        return f"nothing is new since snapshot {built.number} ({counts}){stays}."
    made = f"made of {built.parts_kept} kept and {built.parts_made} new parts" if built.made else "was there"
    published = "published" if built.published else "not published"
    return f"snapshot {built.number} {made}, {published} ({counts}){stays}."


def _publish(settings: PublishSettings) -> int:
    found = stores(settings)
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise UsageError(f"publish takes one store, and these are meant: {names}; name one with --store.")
    store = Store.open(found[0])
    publish(store, settings.number, below_recall=settings.below_recall)
    short = bar.shortfall(read_manifest(folder_of(store.root, settings.number)))
    _say(
        f"{found[0].name}: snapshot {settings.number} published" + (f"; it finds {short}." if short else ".")
    )
    return 0


def _list(settings: ListSettings) -> int:
    found: list[Listed] = []

    def work(root: Path) -> int:
        found.extend(listed(Store.open(root).root))
        return 0

    code = _each("list", settings, work)
    sys.stdout.write(json.dumps(to_json(found), indent=1) + "\n" if settings.json_output else table(found))
    damaged = [each.error for each in found if each.error]
    for error in damaged:
        _complain("list", error)
    return max(code, 1 if damaged else 0)


def _check(settings: CheckSettings) -> int:
    both = settings.files == (settings.recall is not None)
    if settings.is_flag("sample") and settings.files and not both:
        raise UsageError("--sample is for --recall, which is not asked for beside --files.")
    bound_threads()

    def work(root: Path) -> int:
        files = _check_files(root) if settings.files or both else 0
        return max(files, _check_recall(root, settings) if settings.recall or both else 0)

    return _each("check", settings, work)


def _check_files(root: Path) -> int:
    with reading(root):
        is_folder = root.is_dir()
    if not is_folder:
        raise UsageError(f"{root} is not the folder of a store.")
    found = []
    for sentence in damage(root):
        _say(sentence)
        found.append(sentence)
    for cure in cures(root, found):
        _complain("check", cure)
    if not found:
        _say(f"{root.name}: every file is as it was written.")
    return 1 if found else 0


def _check_recall(root: Path, settings: CheckSettings) -> int:
    snapshot = Snapshot.open(Store.open(root))
    measured = measure(snapshot, settings.sample)
    for kind, each in measured.items():
        for line in _measured(kind, each):
            _say(f"{root.name}: snapshot {snapshot.number}, {line}.")
    worse = {kind: each.worse for kind, each in measured.items()}
    if short := shortfall(worse, settings.recall or WANTED):
        raise SnapshotError(
            f"{root} finds {short}; a higher `--recall` of `cinedex index build` spends more on each search, "
            "`--factory` makes an index that finds more."
        )
    return 0


def _measured(kind: str, measured: Measured) -> Iterator[str]:
    for asked, recall in measured.recall.items():
        shown = ", ".join(f"recall@{depth} {share:.4f}" for depth, share in recall.items())
        yield f"{kind} rows by {asked}: {shown}"
    times, effort = measured.latency_ms, measured.effort
    spent = f" of {effort.lists} lists and {effort.candidates} x candidates" if effort != Effort() else ""
    yield f"{kind} rows: a search{spent} takes {times['p50']:.1f} ms, one in a hundred {times['p99']:.1f} ms"


def _gc(settings: GcSettings) -> int:
    def work(root: Path) -> int:
        removed = asdict(gc(Store.open(root), settings.keep, settings.age_s))
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in removed.items())
        _say(f"{root.name}: removed {counts}.")
        return 0

    return _each("gc", settings, work)


def _compact(settings: CompactSettings) -> int:
    def work(root: Path) -> int:
        store = Store.open(root)
        groups = worn(store, most_dead=settings.dead)
        for group in groups:
            writer.compact(store, group)
        shards = sum(map(len, groups))
        _say(f"{root.name}: " + (f"{shards} shards became {len(groups)}." if groups else "no shard is worn."))
        return 0

    return _each("compact", settings, work)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()  # who follows is read while it works


def _complain(verb: str, error: str) -> None:
    sys.stderr.write(f"cinedex index {verb}: {error}\n")


def _command(name: str, settings: type[Any], work: Callable[[Any], int], says: str) -> Inner:
    return Inner(partial(run_verb, settings, work, prog=f"cinedex index {name}"), says)


COMMANDS = {
    "build": _command(
        "build", BuildSettings, _build, "a snapshot of what the log says now, checked and published"
    ),
    "publish": _command(
        "publish",
        PublishSettings,
        _publish,
        "make a snapshot the one that is searched; an older number is the way back",
    ),
    "list": _command("list", ListSettings, _list, "the snapshots that are there"),
    "check": _command(
        "check", CheckSettings, _check, "stored bytes against their hashes, answers against the truth"
    ),
    "gc": _command("gc", GcSettings, _gc, "remove what no kept snapshot and no live row needs"),
    "compact": _command(
        "compact", CompactSettings, _compact, "write the live rows of small and worn shards into new ones"
    ),
}
