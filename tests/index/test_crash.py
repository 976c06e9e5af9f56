"""A build, publish, compact or gc killed at any of its durable steps leaves answers, and no halves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import pytest

import core.log
from core.store import Store
from core.types import KINDS, Kind
from core.writer import compact
from index.build import build, build_snapshot, publish
from index.check import damage
from index.gc import collect
from index.snapshot import Snapshot, numbers
from index.worn import worn
from tests.durable import Start, every_step
from tests.index.test_snapshot import told
from tests.index.worlds import DIM, Answer, World, lived_in

QUERIES = ((np.arange(2 * DIM).reshape(2, DIM) - DIM) / 8).astype(np.float32)
PICTURES: tuple[Kind, ...] = ("frame", "clip")
TEXTS: tuple[Kind, ...] = ("text",)
Action = Callable[[Store], object]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    # Threads of OpenMP do not survive a fork.
    faiss.omp_set_num_threads(1)


@pytest.fixture(params=["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def start(request: pytest.FixtureRequest) -> Start:
    """How processes are started: one that is spawned has nothing of this one's, as on a user's machine."""
    found: Start = request.param
    return found


def answers(store: Store, number: int | None = None) -> list[Answer]:
    """What a snapshot that opens answers; stored rows must be there as well."""
    snapshot = Snapshot.open(store, number)
    for source in snapshot.sources.ids():
        kinds = TEXTS if source.startswith("t-") else PICTURES
        assert all(len(snapshot.vectors(source, kind)[0]) for kind in kinds)
    return [told(hits) for kind in snapshot.rows for hits in snapshot.search(kind, QUERIES, 1000)]


def truth(world: World) -> list[Answer]:
    kinds = [kind for kind in KINDS if world.rows(kind)[0]]
    return [world.best(kind, query, 1000) for kind in kinds for query in QUERIES]


class Scene:
    """A store to go back to before each step, and what it answered before anything was done."""

    def __init__(self, folder: Path, before: Callable[[World], None]) -> None:
        self.origin, self.root = folder / "origin", folder / "store"
        self.world = lived_in(self.origin, steps=4)
        build(self.world.store)
        before(self.world)
        self.before = answers(self.world.store)
        self.after = truth(self.world)

    def prepare(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.origin, self.root)

    @property
    def store(self) -> Store:
        return Store.open(self.root)

    def run(self, start: Start, action: Action, check: Action = build) -> int:
        """Kill `action` at each step; what is there then answers as before or after, and so it does again."""

        def checked(step: int) -> None:
            assert answers(self.store) in (self.before, self.after), f"after step {step}"
            for number in numbers(self.root):
                assert answers(self.store, number)
            action(self.store)
            check(self.store)
            assert answers(self.store) == self.after, f"again after step {step}"
            assert list(damage(self.root)) == []
            sweep_all(self.store)
            assert answers(self.store) == self.after
            assert not list(self.root.rglob(".*"))

        return every_step(Opened(action, self.root), checked, self.prepare, start)


@dataclass(frozen=True)
class Opened:
    """Something to do to a store, in whatever process: hence no closure."""

    action: Action
    root: Path

    def __call__(self) -> object:
        return self.action(Store.open(self.root))


def sweep_all(store: Store) -> None:
    collect(store, keep=1, age_s=0, written_age_s=0)


def compact_worn(store: Store) -> None:
    for group in worn(store):
        compact(store, group)


def build_trained(store: Store) -> None:
    build_snapshot(store, factories={"frame": "IVF2,SQfp16"})


def nothing(store: Store) -> None:
    pass


def changed(world: World) -> None:
    world.add(3)
    world.remove(sorted(set(world.held) - world.hidden)[0])


def test_a_build_killed_at_any_step_leaves_the_old_answers_or_the_new(tmp_path: Path, start: Start) -> None:
    scene = Scene(tmp_path, changed)
    assert scene.before != scene.after
    assert scene.run(start, build) > 25


def test_a_build_killed_while_or_after_it_trains_leaves_the_old_answers_or_the_new(
    tmp_path: Path, start: Start
) -> None:
    scene = Scene(tmp_path, changed)
    assert scene.run(start, build_trained, check=build_trained) > 30
    assert len(list((scene.root / "trained").iterdir())) == 2


def test_a_first_build_killed_at_any_step_publishes_all_or_nothing(tmp_path: Path, start: Start) -> None:
    scene = Scene(tmp_path, changed)
    for name in ("parts", "snapshots"):
        shutil.rmtree(scene.origin / name)
        (scene.origin / name).mkdir()
    (scene.origin / "CURRENT").unlink()

    def check(step: int) -> None:
        if (scene.root / "CURRENT").exists():
            assert answers(scene.store) == scene.after
        build(scene.store)
        assert answers(scene.store) == scene.after
        assert list(damage(scene.root)) == []

    assert every_step(Opened(build, scene.root), check, scene.prepare, start) > 25


def test_a_publish_killed_at_any_step_leaves_the_one_or_the_other(tmp_path: Path, start: Start) -> None:
    def before(world: World) -> None:
        changed(world)
        build_snapshot(world.store, publish=False)

    scene = Scene(tmp_path, before)
    assert scene.before != scene.after
    assert scene.run(start, partial(publish, number=2), check=nothing) >= 3


def test_a_compaction_killed_at_any_step_changes_no_answer(tmp_path: Path, start: Start) -> None:
    def before(world: World) -> None:
        changed(world)
        world.replace(sorted(set(world.held) - world.hidden)[0])
        build(world.store)

    scene = Scene(tmp_path, before)
    assert scene.before == scene.after
    assert scene.run(start, compact_worn) >= 8


def test_a_gc_killed_at_any_step_loses_nothing(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 6)

    def before(world: World) -> None:
        changed(world)
        world.compact()
        build(world.store)

    scene = Scene(tmp_path, before)
    assert scene.before == scene.after
    assert scene.run(start, sweep_all) > 25
