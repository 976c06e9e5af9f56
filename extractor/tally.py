"""What a run has done so far, counted from reports: `--report`, and the last line in words."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.types import KINDS, Kind, Place
from extractor.work import WAYS, Committed, Encoded, Event, Key, Loaded, Lost, Report, key_of, size_of

HDR = ("pq", "hlg")
SKIPS = ("already", "failed_before", "removed", "unstable", "still", "not_video")


@dataclass
class Tally:
    """Reports are counted when they come and taken back when their worker is lost."""

    loaded: Counter[Loaded] = field(default_factory=Counter)  # by how many workers
    done: int = 0
    copies: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failed: dict[Key, tuple[Place, str]] = field(default_factory=dict)
    untold: list[tuple[Place, str]] = field(default_factory=list)  # failed without a report
    lost: dict[Key, Place] = field(default_factory=dict)  # handed out, and without a report that is true
    rows: Counter[Kind] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)  # of videos: how their pictures were come by
    pictures: int = 0
    lost_packets: int = 0
    damaged: dict[Key, Report] = field(default_factory=dict)  # done, with what could be had of them
    still_points: int = 0
    hdr: Counter[str] = field(default_factory=Counter)  # videos by their transfer: pq, hlg
    lines: int = 0
    captions: int = 0
    sidecars: int = 0
    gone: int = 0
    cut: dict[Key, str] = field(default_factory=dict)  # texts that are longer than the encoder reads
    wait_pictures: float = 0.0
    wait_encoder: float = 0.0
    encode: float = 0.0
    write: float = 0.0
    paused: float = 0.0
    worker_cpu: float = 0.0
    bytes: int = 0  # of files that are finished
    own_cpu_before: float = field(default_factory=time.process_time)
    started: float = field(default_factory=time.monotonic)
    _settled: set[Key] = field(default_factory=set)  # but not whole

    def take(self, event: Event) -> None:
        """Count what came back."""
        match event:
            case Loaded():
                self.loaded[event] += 1
            case Report():
                self._count(event, 1)
            case Encoded(pictures):
                self.pictures += pictures
            case Committed(_, wait, encode, write, cpu, rested):
                self.wait_pictures += wait
                self.wait_encoder += rested
                self.encode += encode
                self.write += write
                self.worker_cpu += cpu
            case Lost(_, reports, works):
                for report in reports:
                    self._count(report, -1)
                places = [report.place for report in reports] + [work.place for work in works]
                self.lost |= {key_of(place): place for place in places}

    def _count(self, report: Report, sign: int) -> None:
        key = key_of(report.place)
        self.lost.pop(key, None)
        self.failed.pop(key, None)
        self.damaged.pop(key, None)
        if report.is_damaged and sign > 0:
            self.damaged[key] = report
        self.cut.pop(key, None)
        if report.cut and sign > 0:
            self.cut[key] = report.cut
        if report.is_settled:
            self._settled.add(key) if sign > 0 else self._settled.discard(key)
        self.lines += sign * report.lines
        self.captions += sign * report.captions
        self.sidecars += sign * report.sidecars
        match report.outcome:
            case "done":
                self.done += sign
                self.ways[report.way] += sign
            case "copy":
                self.copies += sign
            case "skipped":
                self.skipped[report.error] += sign
            case "failed" if sign > 0:
                self.failed[key] = (report.place, report.error)
        self.bytes += sign * size_of(report.place)
        self.lost_packets += sign * report.lost_packets
        self.still_points += sign * report.still_points
        self.hdr[report.transfer] += sign * bool(report.transfer)
        for kind, count in report.rows.items():
            self.rows[kind] += sign * count

    def fail(self, place: Place, error: str) -> None:
        """A place that no worker was asked about."""
        if self.failed.get(key_of(place)) == (place, error):
            return
        self.lost.pop(key_of(place), None)
        self.failed[key_of(place)] = (place, error)
        self.untold.append((place, error))

    def is_settled(self, place: Place) -> bool:
        """Whether this run has already done what it can with this very file."""
        held = self.failed.get(key_of(place))
        return key_of(place) in self._settled or (held is not None and held[0].stamp == place.stamp)

    @property
    def videos(self) -> int:
        """Done, with pictures."""
        return sum(self.ways[way] for way in WAYS)

    @property
    def found(self) -> int:
        """Every place that was looked at."""
        return self.done + self.copies + self.skipped.total() + len(self.failed)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def cpu(self) -> float:
        """CPU seconds of this process and of its workers with all that they started."""
        return time.process_time() - self.own_cpu_before + self.worker_cpu

    def as_json(self) -> dict[str, Any]:
        """The object of `--report`. Later versions add keys and rename none."""
        return {
            "found": self.found,
            "done": self.done,
            "copies": self.copies,
            "skipped": {why: self.skipped[why] for why in SKIPS},
            "failed": [{"path": place.shown, "error": error} for place, error in self.failed.values()],
            "gone": self.gone,
            "rows": {kind: self.rows[kind] for kind in KINDS},
            "seconds": {
                "wall": round(self.seconds, 3),
                "wait_pictures": round(self.wait_pictures, 3),
                "wait_encoder": round(self.wait_encoder, 3),
                "encode": round(self.encode, 3),
                "write": round(self.write, 3),
                "paused": round(self.paused, 3),
                "cpu": round(self.cpu, 3),
            },
            "lines": self.lines,
            "captions": self.captions,
            "sidecars": self.sidecars,
            "lost_packets": self.lost_packets,
            "damaged": [_damage(report) for report in self.damaged.values()],
            "still_points": self.still_points,
            "hdr": {transfer: self.hdr[transfer] for transfer in HDR},
            "cut_texts": len(self.cut),
            "devices": {each.device: _loaded(each) for each in sorted(self.loaded, key=_says)},
            "decoded": {way: self.ways[way] for way in WAYS},
        }

    def in_words(self) -> str:
        """The last line."""
        parts = [f"{self.done} done", *_counted({"copies": self.copies, "failed": len(self.failed)})]
        skipped = _counted({why.replace("_", " "): self.skipped[why] for why in SKIPS})
        parts += [f"{self.skipped.total()} skipped ({', '.join(skipped)})"] if skipped else []
        parts += _counted({"gone": self.gone})
        rows = " and ".join(_counted({f"{kind} rows": self.rows[kind] for kind in KINDS})) or "no new rows"
        told = "".join(
            f" and {each}" for each in _counted({"subtitle lines": self.lines, "captions": self.captions})
        )
        waited = f", waited {self.wait_pictures:.1f} s for pictures" if self.pictures else ""
        lost = f", {self.lost_packets} damaged packets" if self.lost_packets else ""
        still = f", {self.still_points} still pictures left out" if self.still_points else ""
        what = f"{rows}{told}{still}{lost}"
        return f"{self.found} found: {', '.join(parts)}; {what}; {self.seconds:.1f} s{waited}."


def _says(loaded: Loaded) -> bool:
    """Before one that does comes one whose worker had no pictures."""
    return bool(loaded.precision)


def _loaded(loaded: Loaded) -> dict[str, Any]:
    cosine = None if loaded.cosine is None else round(loaded.cosine, 6)
    facts = {"precision": loaded.precision or None, "cosine": cosine}
    return facts | {"batch_pictures": loaded.batch_pictures}


def _damage(report: Report) -> dict[str, Any]:
    return {
        "path": report.place.shown,
        "lost_packets": report.lost_packets,
        "seconds": round(report.seconds, 3),
        "header_seconds": round(report.header_s, 3),
    }


def _counted(counts: Mapping[str, int]) -> list[str]:
    return [f"{count} {name}" for name, count in counts.items() if count]
