"""What the parts of a kind are to be copies of, and which rows are to be in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from core.errors import SnapshotError
from core.types import KINDS, Kind
from index import factory, recall, train
from index.part import MOST_DEAD, Run
from index.progress import Progress
from index.rows import View
from index.snapshot import Snapshot
from index.train import Training

log = logging.getLogger(__name__)

PART_ROWS = 1 << 20  # of 512 numbers: 2 GiB in memory while it is made
MEMORY_BYTES = 4 << 30


class Wishes(TypedDict, total=False):
    """What may be asked of a build."""

    part_rows: int
    memory_bytes: int
    factories: Mapping[Kind, str] | None
    wanted: float | None
    device: str
    most_dead: float


@dataclass(frozen=True, slots=True)
class Means:
    """How parts are made."""

    part_rows: int
    memory_bytes: int
    wanted: float  # of the ten best rows a search shall find
    asked: Mapping[Kind, str]  # factories by name, of this build and those before it
    device: str = "cpu"  # what trains and tells which list a row belongs to
    most_dead: float = MOST_DEAD  # share of a part that is kept

    @classmethod
    def of(cls, told: Mapping[str, Any], **wishes: Unpack[Wishes]) -> Means:
        """What was asked for stays asked for, until something else is, or the factory "auto".

        told: what a snapshot's manifest holds of it.
        """
        before: dict[Kind, str] = dict(told.get("asked", {}))
        wanted = wishes.get("wanted")
        both = {**before, **(wishes.get("factories") or {})}
        asked = {kind: string for kind, string in both.items() if string != factory.AUTO}
        return cls(
            wishes.get("part_rows", PART_ROWS),
            wishes.get("memory_bytes", MEMORY_BYTES),
            float(told.get("recall_wanted", recall.WANTED)) if wanted is None else wanted,
            asked,
            wishes.get("device", "cpu"),
            wishes.get("most_dead", MOST_DEAD),
        )

    def asks_for(self, held: Mapping[str, Any]) -> bool:
        """Whether these are the factories by name that a snapshot, by its manifest, was asked for."""
        # A snapshot tells them of the kinds that it has rows of.
        asked = {kind: string for kind, string in self.asked.items() if kind in held["rows"]}
        return bool(asked == held.get("asked", {}))


@dataclass(frozen=True, slots=True)
class Plan:
    """The training of a kind, None for a flat one, and all rows that live."""

    kind: Kind
    runs: Sequence[Run]
    factory: str = factory.FLAT
    training: Training | None = None

    @property
    def trained(self) -> str:
        """As a part names it."""
        return self.training.name if self.training else ""


def plans(view: View, newest: Snapshot | None, means: Means, progress: Progress) -> list[Plan]:
    """One for each kind; what is not trained yet is."""
    return [_planned(view, newest, kind, means, progress) for kind in KINDS]


def told(plans: Sequence[Plan], means: Means) -> dict[str, Any]:
    """What a snapshot holds of how its parts were made, and how much they shall find."""
    there = [plan for plan in plans if plan.runs]
    return {
        "factories": {plan.kind: plan.factory for plan in there},
        "asked": {plan.kind: means.asked[plan.kind] for plan in there if plan.kind in means.asked},
        "recall_wanted": means.wanted,
    }


def _planned(view: View, newest: Snapshot | None, kind: Kind, means: Means, progress: Progress) -> Plan:
    """The training that is there, unless another factory is asked for or the rows have outgrown it."""
    runs = list(view.runs(kind))
    rows = sum(run.count for run in runs)
    asked = means.asked.get(kind)
    before = newest.held.get("asked", {}).get(kind) if newest else None
    there = _there(view, newest, kind)
    is_as_asked = there and (asked == there.factory or asked is before is None)
    if there and is_as_asked and rows <= train.OUTGROWN * there.rows:
        return Plan(kind, runs, there.factory, there)
    string = asked or factory.chosen(rows, view.store.spec.dim, means.memory_bytes, means.wanted)
    if string == factory.FLAT or not runs:
        return Plan(kind, runs)
    training = train.train(view.store, kind, runs, string, means.memory_bytes, progress, means.device)
    return Plan(kind, runs, string, training)


def _there(view: View, newest: Snapshot | None, kind: Kind) -> Training | None:
    """What the newest parts of a kind are copies of, if they are and it is whole."""
    parts = newest.parts if newest else ()
    name = next((part.about.trained for part in parts if part.about.kind == kind), "")
    try:
        return Training.read(view.store, name) if name else None
    except SnapshotError as error:
        log.warning("trained=%s is made anew: %s", name, error)
        return None
