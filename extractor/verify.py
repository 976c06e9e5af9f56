"""`cinedex verify`: decode some stored rows again by another way, and say how far they are off."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import Field

from core.config import Settings, run_verb
from core.errors import StoreError, VideoError
from core.logs import plain
from core.types import KINDS, Place
from extractor import cores
from extractor.compare import Compared, Remade
from extractor.held import held_store
from extractor.stored import Drawn, draw_rows, file_now

MOST_ERROR_S = 1e-6  # no time base that videos have is as fine as that


class VerifySettings(Settings):
    """Decode stored rows again, otherwise than `extract` did, and compare their vectors and times."""

    sample: int = Field(50, ge=1, le=1_000_000, description="rows drawn by chance")
    seed: int = Field(0, ge=0, lt=1 << 63, description="another number, other rows")
    least_cosine: float = Field(0.999, ge=-1, le=1, description="a row less like its file than that is wrong")
    store: Path | None = Field(None, description="a store's folder, instead of one in --data")
    collection: str = Field("default", description="whose store, without --store")
    encoder: str | None = Field(None, description="which of the collection's stores; else the first")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:1")
    json_output: bool = Field(False, alias="json", description="one JSON object instead of lines")


@dataclass(frozen=True, slots=True)
class Checked:
    """One row that was compared, and where it is from."""

    kind: str
    path: str
    at: float  # seconds
    cosine: float
    error_s: float


@dataclass
class Findings:
    """What became of the rows that were drawn."""

    checked: list[Checked] = field(default_factory=list)
    unchecked: Counter[str] = field(default_factory=Counter)  # why, and how many rows
    unread: dict[str, str] = field(default_factory=dict)  # of files that are as they were: path and error

    def wrong(self, least_cosine: float) -> int:
        """How many rows are not what their file gives."""
        return sum(row.cosine < least_cosine or row.error_s > MOST_ERROR_S for row in self.checked)

    def as_json(self) -> dict[str, Any]:
        """What `--json` shows; null where no row was compared."""
        rows, videos = self.checked, [row for row in self.checked if row.kind != "text"]
        worst = min(rows, key=lambda row: row.cosine, default=None)
        latest = max(videos, key=lambda row: row.error_s, default=None)
        return {
            "compared": {kind: sum(row.kind == kind for row in rows) for kind in KINDS},
            "cosine": worst
            and {"worst": worst.cosine, "mean": fmean(row.cosine for row in rows), **_where(worst)},
            "time_error_s": latest
            and {"worst": latest.error_s, "mean": fmean(row.error_s for row in videos), **_where(latest)},
            "unchecked": dict(self.unchecked),
            "unread": [{"path": path, "error": error} for path, error in self.unread.items()],
        }


def main(argv: list[str] | None = None) -> int:
    """`cinedex verify`."""
    return run_verb(VerifySettings, verify, argv, prog="cinedex verify")


def verify(settings: VerifySettings) -> int:
    """Show what was found; a StoreError where a row is wrong or none could be compared."""
    library, store = held_store(settings.data, settings.store, settings.collection, settings.encoder)
    findings = Findings()
    cores.bound()
    anew = Remade(store, settings.device)
    roots, far = library.roots(), library.bases()
    for drawn in draw_rows(store, settings.sample, settings.seed):
        found = file_now(drawn.places, roots, far)
        _check(findings, drawn, found, anew)
    held = {"store": str(store.root), "encoder": store.spec.name} | findings.as_json()
    sys.stdout.write(json.dumps(held, indent=1) + "\n" if settings.json_output else in_words(held))
    if wrong := findings.wrong(settings.least_cosine):
        of = len(findings.checked)
        raise StoreError(f"{store.root}: {wrong} of {of} rows are not what their files give.")
    if findings.unread:
        raise StoreError(f"{store.root}: {len(findings.unread)} files cannot be read any more.")
    if not findings.checked:
        raise StoreError(f"{store.root} has no row that could be compared.")
    return 0


def _check(findings: Findings, drawn: Drawn, found: tuple[Place, Path] | str, anew: Remade) -> None:
    texts = [row for row in drawn.rows if row.kind == "text"]
    videos = [row for row in drawn.rows if row.kind != "text"]
    shown = drawn.places[0].shown
    findings.checked += [_checked(each, shown) for each in anew.texts(texts)]
    if not videos:
        return
    if isinstance(found, str):
        findings.unchecked[found] += len(videos)
        return
    place, file = found
    try:
        findings.checked += [_checked(each, place.shown) for each in anew.video(file, videos)]
    except VideoError as error:
        findings.unread[place.shown] = str(error)
    except OSError as error:
        findings.unread[place.shown] = f"it cannot be read: {error.strerror or error}"


def _checked(found: Compared, path: str) -> Checked:
    return Checked(found.row.kind, path, found.row.start, found.cosine, found.error_s)


def _where(row: Checked) -> dict[str, Any]:
    return {"path": row.path, "kind": row.kind, "at": row.at}


def in_words(held: Mapping[str, Any]) -> str:
    """The same for people."""
    counts = ", ".join(f"{count} {kind}" for kind, count in held["compared"].items() if count)
    lines = [f"{held['store']} ({held['encoder']}): compared {counts or 'no'} rows"]
    for name, found in (("cosine", held["cosine"]), ("time error", held["time_error_s"])):
        if found:
            worst, mean = (
                f"{found[key]:.7f}" if name == "cosine" else f"{found[key]:.6f} s" for key in _BOTH
            )
            at = "" if found["kind"] == "text" else f" at {found['at']:.3f} s"
            lines.append(f"worst {name} {worst}, mean {mean}: {plain(found['path'])}{at} ({found['kind']})")
    lines += [f"{count} rows not compared: {why}" for why, count in held["unchecked"].items()]
    lines += [plain(f"{each['path']}: {each['error']}") for each in held["unread"]]
    return "".join(f"{line}\n" for line in lines)


_BOTH = ("worst", "mean")
