"""What a data folder holds and what is stale in it, as of now: told by logs and manifests, not by rows."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core import files, thumbs
from core.errors import Error
from core.log import LastWords, saying
from core.rules import Word
from core.store import Store
from core.types import KINDS, UNKNOWN, EncoderSpec
from extractor.encoders import S3D, TAKE_WEIGHTS, families
from extractor.encoders.recipe import LOCAL_DIR
from extractor.encoders.weights import RANDOM, folder, registered
from index import asked, mapped, recall, sources, truth
from index.gc import freed_bytes
from index.snapshot import CURRENT, current, folder_of, numbers, published, read_manifest
from index.view import removed_since

REASONS = 5
_INDEX = ("parts", "snapshots", "trained")
_DETAIL = re.compile(r" \([^()]*\)$")


@dataclass(frozen=True, slots=True)
class Published:
    """What is searched."""

    number: int
    published: float  # seconds since 1970
    entry: int
    sources: int
    rows: Mapping[str, int]
    recall: float | None  # the worst of all kinds, at 10


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes."""

    vectors: int = 0
    thumbnails: int = 0
    index: int = 0
    rest: int = 0  # facts, lines, the log
    gc_frees: int = 0
    compact_frees: int | None = None  # about; None where something is to be built first

    @property
    def total(self) -> int:
        return self.vectors + self.thumbnails + self.index + self.rest


@dataclass(frozen=True, slots=True)
class StoreState:
    """One store of a collection. Where it is damaged, `error` says so and the rest is empty."""

    store: str
    default: bool
    encoder: str = ""
    encoder_missing: str = ""  # a sentence, where it cannot be loaded here
    sampling: Mapping[str, Any] = field(default_factory=dict)
    sources: int = 0  # that live by the log
    snapshot: Published | None = None
    new: int = 0  # sources that no answer has yet
    removed: int = 0  # since the snapshot; they are in no answer, but in the index
    commits: int = 0  # that the snapshot does not know: of lines, columns and places too
    whole: int | None = None  # a later snapshot, which knows them all and is not published
    failed: int = 0  # places
    reasons: Mapping[str, int] = field(default_factory=dict)
    disk: Disk = field(default_factory=Disk)
    error: str = ""


def state_of(root: Path, *, is_default: bool) -> StoreState:
    """All about one store, or what is wrong with it."""
    try:
        with files.reading(root):
            return _state(Store.open(root), is_default)
    except Error as error:
        return StoreState(root.name, is_default, error=str(error))


def _state(store: Store, is_default: bool) -> StoreState:
    known = store.log.last()
    snapshot = _published(store)
    failed = failures(known)
    reasons = Counter(map(reason, failed))
    new = _new(store, known, snapshot)
    return StoreState(
        store.root.name,
        is_default,
        store.spec.name,
        encoder_missing(store.spec),
        asdict(store.sampling),
        len(known.live_ids()),
        snapshot,
        new,
        len(removed_since(known, snapshot.entry)) if snapshot else 0,
        known.number - snapshot.entry if snapshot else 0,
        _whole(store, known, snapshot) if snapshot else None,
        len(failed),
        dict(reasons.most_common(REASONS)),
        _disk(store, known, snapshot, is_settled=not new),
    )


def failures(known: LastWords) -> list[Word]:
    """The places whose last word is that they failed, by their names."""
    return sorted((said.word for said in saying(known, "failed")), key=lambda word: word.place.shown)


def reason(word: Word) -> str:
    """Why it failed, in words that are the same for all files of which that is true: without its name and
    how much of it."""
    name = os.path.basename(word.place.path).decode(errors="replace")
    told = _DETAIL.sub("", word.error.removesuffix("."))
    return f"it{told.removeprefix(name)}" if told.startswith(f"{name} ") else told


def _published(store: Store) -> Published | None:
    if current(store.root) is None:
        return None
    number = published(store.root)[0]
    held = read_manifest(folder_of(store.root, number))
    _require_sizes(store.root, folder_of(store.root, number), held)
    worst = recall.worst(held["recall"]) if held["recall"] else None
    written = (store.root / CURRENT).stat().st_mtime
    return Published(number, written, held["entry"], held["sources"], held["rows"], worst)


def _require_sizes(root: Path, folder: Path, held: Mapping[str, Any]) -> None:
    """What is searched is there and as long as it was; a build can do without what only builds read."""
    parts = [*held["parts"], *held.get("words", ())]
    stamps = [(folder, held["files"]), *((root / "parts", part["files"]) for part in parts)]
    for where, each in stamps:
        for name, stamp in each.items():
            if name != asked.FILE and not name.endswith(truth.ENDING):
                mapped.require_size(where / name, stamp)


def _whole(store: Store, known: LastWords, snapshot: Published) -> int | None:
    newest = max(numbers(store.root), default=0)
    if newest <= snapshot.number or read_manifest(folder_of(store.root, newest))["entry"] < known.number:
        return None
    return newest


def _new(store: Store, known: LastWords, snapshot: Published | None) -> int:
    """Sources that live and are in no snapshot."""
    if snapshot is None:
        return len(known.live_ids())
    said = {each.word.source for each in saying(known, "done", snapshot.entry)}
    said |= {word.source for word in _restored(known, snapshot.entry)}
    if not said:
        return 0
    folder = folder_of(store.root, snapshot.number)
    held = sources.Sources.open(folder / sources.FILE, read_manifest(folder)["files"].get(sources.FILE))
    return sum(held.find(source) < 0 for source in said if not known.is_removed(source))


def _restored(known: LastWords, entry: int) -> list[Word]:
    said = known.source_words().values()
    return [each.word for each in said if each.entry > entry and each.word.word == "restored"]


def _disk(store: Store, known: LastWords, snapshot: Published | None, *, is_settled: bool) -> Disk:
    groups: Counter[str] = Counter()
    for path, size in files.sizes(store.root).items():
        groups[_group(path.relative_to(store.root))] += size
    frees = None
    if snapshot and is_settled:
        shards = [store.shard(name) for name in known.shards()]
        dead = sum(shard.count(kind) for shard in shards for kind in KINDS) - sum(snapshot.rows.values())
        frees = max(0, dead) * store.spec.dim * 2
    return Disk(**groups, gc_frees=freed_bytes(store), compact_frees=frees)


def _group(path: Path) -> str:
    if path.parts[0] in _INDEX:
        return "index"
    if path.parts[0] == "shards":
        return {".npy": "vectors"}.get(path.suffix, "thumbnails" if path.name == thumbs.FILE else "rest")
    return "rest"


def encoder_missing(spec: EncoderSpec) -> str:
    """Why an encoder cannot be loaded here, as far as that is seen without trying; "" where nothing is."""
    family = spec.name.partition(":")[0]
    if spec.weights == UNKNOWN:
        return ""  # imported vectors: `serve` says what it takes
    if family not in families():
        return f"There is no encoder family {family!r} here; there are {', '.join(families())}."
    is_elsewhere = spec.weights.startswith(RANDOM) or f":{LOCAL_DIR}" in spec.name
    has_weights = family in TAKE_WEIGHTS and spec.weights and not is_elsewhere
    for hash in (spec.weights, dict(spec.options).get(S3D)) if has_weights else ():
        if hash and registered(hash) is None:
            return f"Its weights {hash} are not in {folder()}."
    return ""
