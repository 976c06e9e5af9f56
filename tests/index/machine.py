"""A store in use, and a naive model of what its snapshots must answer, compared after each thing done."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.log import Task
from core.query import Condition, Filter, Test, Value, Where
from core.store import Store
from core.types import KINDS, Float32Array, Kind, Place
from core.writer import Writer, compact
from index.build import build_snapshot, publish
from index.check import damage
from index.gc import collect
from index.snapshot import Snapshot, numbers
from index.worn import worn
from tests.index.test_snapshot import told
from tests.index.worlds import Answer, World, world

CANDIDATES = 1_000  # more than there are rows: whatever a lossy code says, all are scored again


@dataclass
class Truth:
    """What a snapshot must say: the rows as of its build, and the columns."""

    world: World
    columns: dict[str, dict[str, Any]]

    def best(
        self, kind: Kind, query: Float32Array, k: int, hidden: set[str], only: set[str] | None
    ) -> Answer:
        others = set() if only is None else set(self.world.held) - only
        return self.world.best(kind, query, k, frozenset(hidden | others))

    def tags(self) -> dict[str, int]:
        """Of the sources that lived then."""
        live = set(self.world.held) - self.world.hidden
        return {s: columns["tag"] for s, columns in self.columns.items() if s in live}


@dataclass
class Machine:
    """Everything people do to a store, each as they do it."""

    world: World
    factories: dict[Kind, str]
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    built: dict[int, Truth] = field(default_factory=dict)
    removed_since: dict[int, set[str]] = field(default_factory=dict)
    published: int = 0
    done: list[str] = field(default_factory=list)

    @property
    def chance(self) -> np.random.Generator:
        return self.world.chance

    @property
    def store(self) -> Store:
        return self.world.store

    def run(self, steps: int) -> None:
        """So many things, and after each the same answers as the model's."""
        self.world.add(4)
        self.world.add(2, "text")
        self.retag()
        self.build()
        acts = (
            [self.change] * 3 + [self.build] * 2 + [self.retag, self.compact_worn, self.go_back, self.sweep]
        )
        for _ in range(steps):
            act = acts[int(self.chance.integers(0, len(acts)))]
            self.done.append(act.__name__)
            act()
            self.check()
        self.build()
        self.check()
        assert list(damage(self.store.root)) == []

    def change(self) -> None:
        """Add, replace, remove, restore, compact."""
        before = set(self.world.hidden)
        self.world.step()
        restored = {source for source in before - self.world.hidden if source in self.world.held}
        for since in self.removed_since.values():
            since |= self.world.hidden - before
            since -= restored

    def retag(self) -> None:
        """Other columns of a source: nothing is embedded."""
        live = sorted(set(self.world.held) - self.world.hidden)
        if live:
            source = str(self.chance.choice(live))
            tag = int(self.chance.integers(0, 100))
            self.columns[source] = {"tag": tag}
            writer = Writer(self.store)
            place = Place("films", source.encode() + b".mp4", "1")
            task = Task(place, self.store.log.last().number)
            writer.seen(task, source, columns=f'{{"tag":{tag}}}')
            writer.commit()

    def compact_worn(self) -> None:
        """As `index compact`, of full shards that are small, with a random bar."""
        dead = float(self.chance.choice([0.0, 0.2]))
        for group in worn(self.store, int(self.chance.integers(5, 40)), dead):
            compact(self.store, group)
        lost = {s for s in self.world.hidden if not self.store.log.last().has_rows(s)}
        self.world.held = {s: rows for s, rows in self.world.held.items() if s not in lost}
        self.world.hidden -= lost

    def build(self) -> None:
        built = build_snapshot(
            self.store,
            publish=False,
            part_rows=int(self.chance.integers(5, 60)),
            most_dead=float(self.chance.choice([0.0, 0.2])),
            fresh=bool(self.chance.random() < 0.1),
            factories=self.factories,
        )
        if built.made:
            held = replace(self.world, held=deepcopy(self.world.held), hidden=set(self.world.hidden))
            self.built[built.number] = Truth(held, dict(self.columns))
            self.removed_since[built.number] = set()
        self.publish(built.number)

    def go_back(self) -> None:
        self.publish(int(self.chance.choice(numbers(self.store.root))))

    def publish(self, number: int) -> None:
        publish(self.store, number, below_recall=True)
        self.published = number

    def sweep(self) -> None:
        collect(self.store, int(self.chance.integers(1, 4)), 0, 0)
        there = numbers(self.store.root)
        self.built = {number: truth for number, truth in self.built.items() if number in there}
        assert self.published in there

    def check(self) -> None:
        """The published snapshot, less what was removed since, as a server shows it."""
        snapshot = opened(Store.open(self.store.root))
        assert snapshot.number == self.published
        truth, hidden = self.built[snapshot.number], self.removed_since[snapshot.number]
        view = snapshot.masked(hidden)
        sources = sorted(truth.world.held)
        some = set(self.chance.choice(sources, int(self.chance.integers(0, len(sources) + 1))).tolist())
        of_some = Filter(sources=frozenset(some))
        asked = [(1, None, None), (5, of_some, some), (1000, None, None), (1000, of_some, some)]
        asked += [(1000, *each) for each in self.by_tag(truth)]
        for kind in KINDS:
            queries = self.world.vectors(2)
            for k, filter, only in asked:
                for query, hits in zip(queries, view.search(kind, queries, k, filter=filter), strict=True):
                    best = truth.best(kind, query, k, hidden, only)
                    assert told(hits) == best, (kind, k, filter, self.done)
        for source in sources:
            info = view.source(source)
            is_there = source not in truth.world.hidden | hidden
            assert (info is not None) == is_there, (source, self.done)
            assert info is None or dict(info.columns) == truth.columns.get(source, {}), (source, self.done)

    def by_tag(self, truth: Truth) -> Iterator[tuple[Filter, set[str]]]:
        """Filters by what was said of sources, and those that each keeps; none where nothing was said."""
        tags = truth.tags()
        if not tags:
            return
        tag = int(self.chance.choice(sorted(tags.values())))
        kept: dict[tuple[Test, Value], set[str]] = {
            ("eq", tag): {source for source, held in tags.items() if held == tag},
            ("gte", tag): {source for source, held in tags.items() if held >= tag},
            ("exists", True): set(tags),
            ("exists", False): set(truth.world.held) - set(tags),
        }
        for test, only in kept.items():
            yield Filter(where=Where(must=(Condition("metadata.tag", (test,)),))), only


def opened(store: Store, number: int | None = None) -> Snapshot:
    """At full effort."""
    found = Snapshot.open(store, number)
    effort = {kind: {"lists": 0, "candidates": CANDIDATES} for kind in found.held.get("effort", {})}
    return replace(found, held={**found.held, "effort": effort})


def machine(root: Path, seed: int, factories: dict[Kind, str] | None = None) -> Machine:
    return Machine(world(root, seed), factories or {})
