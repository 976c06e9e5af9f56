"""What of a query is looked for by its words, and where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core.query import Filter, Mode, Query
from core.types import Line, Segment
from index.captions import captions_of
from index.fusion import OF_WHOLE, Above, fused, fused_texts
from index.lexical import WordKind
from index.moments import Moment
from index.snapshot import Snapshot
from index.sources import SourceInfo
from index.terms import Terms, terms
from index.words import Told
from server.compose import Sought
from server.errors import ApiError


@dataclass(frozen=True, slots=True)
class WantedWords:
    """Words to look for. some: what has not all of them is found as well, behind what has."""

    terms: Terms
    kinds: tuple[WordKind, ...]
    some: bool

    def fuse(
        self, seen: Sequence[Moment], view: Snapshot, asked: Sought, filter: Filter, k: int, above: Above
    ) -> tuple[list[Moment], bool]:
        """What was seen and the k best passages of each kind, less those that were answered before, in one
        order; whether there are no others."""
        rankings: list[list[Told]] = []
        is_all = True
        for kind in self.kinds:
            told, is_whole = view.told(kind, self.terms, k, some=self.some, filter=filter)
            rankings.append([each for each in told[above.told :] if not asked.is_own(_segment(each))])
            is_all &= is_whole
        if "names" in self.kinds:
            lines, names = rankings
            return fused(seen, lines, names, above), is_all
        return fused_texts(seen, rankings, above), is_all


def mode_of(query: Query, view: Snapshot) -> Mode:
    """As it was asked for; else both ways where there are lines and words."""
    if query.mode in ("text", "hybrid") and "words" not in view.held:
        message = f"mode: snapshot {view.number} was built without words; `cinedex index build` adds them."
        raise ApiError(409, message, "mode")
    if query.mode:
        return query.mode
    return "hybrid" if view.passages("lines") and [*_texts(query)] else "visual"


def wanted(query: Query, mode: Mode) -> WantedWords | None:
    """The words of all texts of a query that pull. Beside what is seen only what has all of them counts."""
    found = terms(*_texts(query)) if mode != "visual" else None
    if not found:
        return None
    return WantedWords(
        found, ("lines", "texts") if query.target == "texts" else ("lines", "names"), mode == "text"
    )


def _texts(query: Query) -> Iterator[str]:
    return (part.text for part in query.parts if part.text and part.weight > 0)


def shown_of(moment: Moment, info: SourceInfo) -> tuple[Moment, Moment]:
    """A moment with the words to show, and the seconds of it to look for the best picture in."""
    told = moment.told
    if told is None:
        return moment, moment
    if told.origin in OF_WHOLE:
        if moment.is_seen:
            return moment, moment
        whole = replace(moment, end=info.facts.seconds, best_end=info.facts.seconds)
        return whole, whole
    shown = replace(moment, text=told.text)
    times = told.start, told.end
    return shown, Moment(moment.source, "text", *times, moment.score, *times)


def captions_in(moments: Sequence[Moment], view: Snapshot) -> list[Line | None]:
    """What each of these, as they are shown, tells, if a model wrote that."""
    return captions_of(view, [_line_in(moment) for moment in moments])


def _line_in(moment: Moment) -> Segment | None:
    """What may be a caption."""
    told = moment.told
    if told is None:
        is_line = moment.kind == "text" and moment.end > moment.start
        return Segment(moment.source, moment.start, moment.end, moment.text) if is_line else None
    is_caption = told.origin == "captions"
    return Segment(told.source, told.start, told.end, told.text) if is_caption else None


def _segment(told: Told) -> Segment:
    is_whole = told.origin in OF_WHOLE
    return Segment(told.source, 0.0 if is_whole else told.start, float("inf") if is_whole else told.end)
