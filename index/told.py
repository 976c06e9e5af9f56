"""What `cinedex dedupe` found, for people, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.logs import plain
from core.types import Kind
from index.aligned import Range
from index.copies import Found, Group, Pair
from index.recurring import Recurring, Span
from index.snapshot import Snapshot
from index.sources import SourceInfo

_COLUMNS = (
    *("sort", "first", "second", "start", "end", "other_start", "other_end", "offset", "speed"),
    *("similarity", "first_share", "second_share", "first_id", "second_id"),
)


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it, and where it was looked for."""

    snapshot: Snapshot
    kind: Kind
    found: Found
    groups: list[Group]
    recurring: list[Recurring]

    def path(self, source: str) -> str:
        """Its first place."""
        info = self.snapshot.source(source)
        return info.places[0].shown if info and info.places else source


def as_json(findings: Findings) -> str:
    """One object with everything."""
    return json.dumps(_held(findings), indent=1) + "\n"


def _held(findings: Findings) -> dict[str, Any]:
    snapshot = findings.snapshot
    return {
        "store": str(snapshot.store.root),
        "encoder": snapshot.store.spec.name,
        "snapshot": snapshot.number,
        "kind": findings.kind,
        "least_similarity": round(findings.found.least, 4),
        "groups": [_group(group) for group in findings.groups],
        "recurring": [_recurring(findings, each) for each in findings.recurring],
        "pairs": [_pair(findings, pair) for pair in findings.found.pairs],
    }


def _group(group: Group) -> dict[str, Any]:
    return {"keep": group.members[0].id, "videos": [_video(info) for info in group.members]}


def _video(info: SourceInfo) -> dict[str, Any]:
    facts = info.facts
    return {
        "video_id": info.id,
        "paths": [place.shown for place in info.places],
        "width": facts.width,
        "height": facts.height,
        "codec": facts.codec,
        "seconds": facts.seconds,
        "size": facts.size,
    }


def _recurring(findings: Findings, each: Recurring) -> dict[str, Any]:
    spans = [
        {
            "video_id": span.source,
            "path": findings.path(span.source),
            "start": _ms(span.start),
            "end": _ms(span.end),
        }
        for span in each.spans
    ]
    return {"seconds": _ms(each.seconds), "ranges": spans}


def _pair(findings: Findings, pair: Pair) -> dict[str, Any]:
    return {
        "sort": pair.sort,
        "first": {
            "video_id": pair.first,
            "path": findings.path(pair.first),
            "share": _part(pair.first_share),
        },
        "second": {
            "video_id": pair.second,
            "path": findings.path(pair.second),
            "share": _part(pair.second_share),
        },
        "similarity": _part(pair.similarity),
        "ranges": [_range(each) for each in pair.ranges],
    }


def _range(each: Range) -> dict[str, float]:
    return {
        "start": _ms(each.start),
        "end": _ms(each.end),
        "other_start": _ms(each.other_start),
        "other_end": _ms(each.other_end),
        "offset": _ms(each.offset),
        "speed": _part(each.speed),
        "similarity": _part(each.similarity),
    }


def _ms(seconds: float) -> float:
    return round(seconds, 3)


def _part(number: float) -> float:
    return round(number, 4)


def as_csv(findings: Findings) -> str:
    """A line a range; files with the same bytes have a line without times."""
    written = io.StringIO()
    writer = csv.DictWriter(written, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for group in findings.groups:
        for info in group.members:
            first, *others = (place.shown for place in info.places)
            for other in others:
                writer.writerow({"sort": "file", "first": first, "second": other, "first_id": info.id})
    for pair in findings.found.pairs:
        about = {
            "sort": pair.sort,
            "first": findings.path(pair.first),
            "second": findings.path(pair.second),
            "first_share": _part(pair.first_share),
            "second_share": _part(pair.second_share),
            "first_id": pair.first,
            "second_id": pair.second,
        }
        writer.writerows(about | _range(each) for each in pair.ranges)
    return written.getvalue()


def as_table(findings: Findings) -> str:
    """Groups of copies, what recurs, and then pair by pair what is left."""
    lines: list[str] = []
    for group in findings.groups:
        lines += _group_lines(group)
    for each in findings.recurring:
        lines += [f"the same {each.seconds:.0f} s in {each.videos} videos"]
        lines += [f"  {_span(s.start, s.end)}  {plain(findings.path(s.source))}" for s in each.spans]
        lines += [""]
    for pair in _left(findings):
        lines += _pair_lines(pair, findings.path)
    return "".join(f"{line}\n" for line in lines[:-1]) or "Nothing is found.\n"


def _group_lines(group: Group) -> Iterator[str]:
    yield f"{group.files} copies; the first is the best one to keep"
    for info in group.members:
        facts = info.facts
        about = (
            f"{facts.width}x{facts.height} {facts.codec}, {clock(facts.seconds)}, {facts.size / 1e6:.1f} MB"
        )
        first, *others = (plain(place.shown) for place in info.places)
        yield f"  {first}  ({about})"
        yield from (f"  {other}  (the same bytes)" for other in others)
    yield ""


def _left(findings: Findings) -> Iterator[Pair]:
    """Pairs that no group tells, and that share more than what recurs."""
    copies = {member.id: number for number, g in enumerate(findings.groups) for member in g.members}
    for pair in findings.found.pairs:
        grouped = pair.first in copies and copies[pair.first] == copies.get(pair.second)
        if not grouped and not all(_recurs(findings, pair, each) for each in pair.ranges):
            yield pair


def _recurs(findings: Findings, pair: Pair, found: Range) -> bool:
    here = Span(pair.first, found.start, found.end)
    there = Span(pair.second, found.other_start, found.other_end)
    return any(each.has(here) and each.has(there) for each in findings.recurring)


def _pair_lines(pair: Pair, path: Callable[[str], str]) -> Iterator[str]:
    shares = f"{pair.first_share:.0%} and {pair.second_share:.0%}"
    yield f"{pair.sort}: {plain(path(pair.first))} and {plain(path(pair.second))} share {shares} of theirs"
    for each in pair.ranges:
        speed = "" if abs(each.speed - 1) < 0.001 else f", speed {each.speed:.3f}"
        here, there = _span(each.start, each.end), _span(each.other_start, each.other_end)
        yield f"  {here}  is  {there}  ({each.similarity:.3f}{speed})"
    yield ""


def _span(start: float, end: float) -> str:
    return f"{clock(start)} – {clock(end)}"


def clock(seconds: float) -> str:
    """h:mm:ss.t, the hours where there are any."""
    tenths = max(round(seconds * 10), 0)
    minutes = f"{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
    return f"{tenths // 36_000}:{minutes}" if tenths >= 36_000 else minutes
