"""What a build measures: the effort that finds enough, and what searches find with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import files
from core.query import Effort
from core.types import Kind
from index import asked as queries
from index import mapped, recall, truth
from index.asked import FEW, SAMPLE, Drawn
from index.effort import choose
from index.past import Past
from index.progress import Progress
from index.recall import Measured, Trial
from index.snapshot import Snapshot

log = logging.getLogger(__name__)

_SURE = 2.0  # standard errors: what a sample finds shall hold of other queries, too


def survey(now: Snapshot, folder: Path, before: Snapshot | None, progress: Progress) -> dict[str, Any]:
    """What a snapshot's manifest holds of its recall; the queries and the truth are files beside it."""
    wanted = float(now.held["recall_wanted"])
    sample = SAMPLE if any(recall.may_miss(now.parts_of(kind)) for kind in now.rows) else FEW
    past = Past.of(before, now, sample)
    drawn = past.draw(now, sample)
    with files.writing(folder):
        queries.write(folder / queries.FILE, drawn)
    measured: dict[Kind, Measured] = {}
    for kind in drawn:
        rows = past.rows(kind, drawn)
        trial = _trial(now, folder, kind, drawn, past, progress)
        # While the same is asked again the effort stays as long as it does: an increment is cheap.
        first = _effort_before(now, past, kind, wanted) if rows is not None else None
        measured[kind] = _measured(trial, wanted, first)
    written = [queries.FILE, *(truth.file_of(part.about.name) for part in now.parts if part.live)]
    return {
        **recall.to_json(measured),
        "effort": {kind: asdict(each.effort) for kind, each in measured.items()},
        "files": {**now.held["files"], **mapped.stamps(folder / name for name in written)},
    }


def _trial(
    now: Snapshot, folder: Path, kind: Kind, drawn: Mapping[Kind, Drawn], past: Past, progress: Progress
) -> Trial:
    held, asked, rows = now.parts_of(kind), queries.asked(now, kind, drawn), past.rows(kind, drawn)
    progress.begin(f"comparing {kind} rows", now.rows[kind])
    found: list[truth.Array] = []
    scanned = 0
    for part in held:
        known = None if rows is None else past.truth(part, rows)
        if known is None:
            known = truth.scan(now.store, part, asked)
            scanned += part.live
        progress.add(part.live)
        with files.writing(folder):
            truth.write(folder / truth.file_of(part.about.name), known)
        found.append(known)
    log.info("compared kind=%s queries=%d rows=%d of=%d", kind, len(asked), scanned, now.rows[kind])
    return Trial(now, held, asked, found)


def _effort_before(now: Snapshot, past: Past, kind: Kind, wanted: float) -> Effort | None:
    """What was chosen for the same, where parts of the same training are searched."""
    if past.before is None or past.before.held.get("recall_wanted") != wanted:
        return None
    trained = {part.about.trained for part in [*past.before.parts_of(kind), *now.parts_of(kind)]}
    chosen = past.before.effort(kind)
    return chosen if len(trained) == 1 and chosen != Effort() else None


def _measured(trial: Trial, wanted: float, first: Effort | None) -> Measured:
    """With the least effort that is enough, as the lists of the best rows tell, or else searches of all."""
    if not recall.may_miss(trial.held):
        return trial.measured(Effort())
    likely = _likely(trial, wanted, first)
    told = None if likely is None else trial.told(likely)
    return told or trial.measured(_effort(trial, wanted, likely))


def _likely(trial: Trial, wanted: float, first: Effort | None) -> Effort | None:
    """The one before, unless the lists of the best rows tell that it is too little; else what these tell."""
    if first is not None and trial.reaches(first, wanted, _SURE) is not False:
        return first
    return trial.reached(wanted, _SURE)


def _effort(trial: Trial, wanted: float, likely: Effort | None) -> Effort:
    if likely is not None and trial.finds(likely, wanted, _SURE):
        return likely
    lists, is_lossy = trial.held[0].part.list_count, trial.held[0].about.lossy
    found = choose(lambda e, share: trial.finds(e, share, _SURE), wanted, lists, is_lossy, trial.fewest_lists)
    if trial.finds(found, wanted, _SURE):
        return found
    return choose(trial.finds, wanted, lists, is_lossy, trial.fewest_lists)
