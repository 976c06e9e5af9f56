"""From HTTP's words to the nouns, and back: a request as a Query, an Answer as it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

from core.query import Extra, Frames, Part, Query, Step
from server.beside import Why
from server.cursor import Cursor, body_hash
from server.filters import where_of
from server.judged import rounded
from server.rows import line_number
from server.schemas.query import PartAsked
from server.schemas.search import (
    Best,
    Explained,
    Result,
    RowShown,
    SearchAnswer,
    SearchAsked,
    SequenceResult,
    TookMs,
    Total,
    VideoResult,
)
from server.searcher import Answer, Found

NOTHING: Mapping[str, Frames] = MappingProxyType({})
_ELSEWHERE = ("cursor", "limit", "collection", "encoder")

Shown = Result | VideoResult | SequenceResult


def query_of(asked: SearchAsked, frames: Mapping[str, Frames] = NOTHING) -> Query:
    """What a valid request asks for. frames: what was decoded for it, by where it stands."""
    return Query(
        parts_of(asked.query, "query", frames),
        asked.target,
        None if asked.level == "video" else asked.level,
        asked.limit,
        asked.level == "video" or asked.group_by == "video",
        asked.group_size,
        asked.merge_gap_s,
        asked.pad_s,
        asked.effort,
        asked.exact,
        None if asked.filter is None else where_of(asked.filter),
        mode=asked.mode,
        weigh_frames=asked.weigh_frames,
        min_score=asked.min_score,
        min_confidence=asked.min_confidence,
        encoder_options=tuple(asked.encoder_options.items()),
        diversity=asked.diversity,
        steps=tuple(
            Step(parts_of(step.query, "query", _inside(frames, f"sequence[{number}].")), step.absent)
            for number, step in enumerate(asked.sequence or ())
        ),
        within_s=asked.within_s,
        min_gap_s=asked.min_gap_s,
        include=frozenset(asked.include),
    )


def body_of(asked: SearchAsked, file: str = "") -> str:
    """A hash of what is asked for, but for which page of it and of whom, which a cursor says. file: a hash of
    what was sent beside it."""
    held = asked.model_dump(mode="json", exclude={*_ELSEWHERE}, exclude_unset=True)
    if asked.group_by == ("video" if asked.level == "video" else "none"):
        held.pop("group_by", None)  # as if it were not there
    if "include" in held:
        held["include"] = sorted(asked.include)
    for sent in (held, *(held.get("sequence") or ())):
        if isinstance(sent.get("query"), str):
            sent["query"] = [{"text": sent["query"]}]
    return body_hash({**held, "file": file} if file else held)


def _inside(frames: Mapping[str, Frames], where: str) -> Mapping[str, Frames]:
    """Those of one step, by where they stand in it."""
    return {at.removeprefix(where): each for at, each in frames.items() if at.startswith(where)}


def parts_of(
    query: str | Sequence[PartAsked] | None, field: str, frames: Mapping[str, Frames] = NOTHING
) -> tuple[Part, ...]:
    """The parts of a query that is sent in that field."""
    if query is None:
        return ()
    if isinstance(query, str):
        return (Part(text=query, at=field),)
    return tuple(_part(part, at, frames) for at, part in named(query, field))


def named(query: str | Sequence[PartAsked], field: str) -> Iterator[tuple[str, PartAsked]]:
    """Each part with where it stands."""
    if not isinstance(query, str):
        yield from ((f"{field}[{number}]", part) for number, part in enumerate(query))


def _part(part: PartAsked, at: str, frames: Mapping[str, Frames]) -> Part:
    return Part(
        part.text or "",
        part.video_id or "",
        part.start,
        part.end,
        part.weight,
        row=part.id or "",
        vector=tuple(part.vector or ()),
        frames=frames.get(at),
        at=at,
    )


def shown(answer: Answer, body: str = "") -> SearchAnswer:
    """An answer as docs/http-api.md has it. body: a hash of what was asked, for the cursor."""
    return around([*results_of(answer)], answer, body)


def as_sent(answer: Answer, body: str = "") -> bytes:
    """The same as JSON, result by result: what writes a large one at once stops all other threads."""
    results = ",".join(result.model_dump_json() for result in results_of(answer))
    rest = around([], answer, body).model_dump_json(exclude={"results"})
    return f'{{"results":[{results}],{rest[1:]}'.encode()


def results_of(answer: Answer) -> Iterator[Shown]:
    """Its results, one by one."""
    query = answer.query
    for found in answer.results:
        results = [_result(each, query.include) for each in found]
        if query.steps:
            yield _sequence(results, query)
        else:
            yield _video(results) if query.by_video else results[0]


def around(results: list[Any], answer: Answer, body: str) -> SearchAnswer:
    """What an answer says, with these results."""
    took = answer.took
    return SearchAnswer(
        results=results,
        total=Total(value=answer.total, relation="eq" if answer.is_all else "gte"),
        collection=answer.collection,
        encoder=answer.encoder,
        snapshot=answer.snapshot,
        confident=answer.confident,
        query_truncated=answer.truncated,
        query_unknown=list(answer.unknown),
        took_ms=TookMs(
            total=_ms(took.total), encode=_ms(took.encode), search=_ms(took.search), look_up=_ms(took.look_up)
        ),
        next_cursor=next_of(answer, body),
    )


def next_of(answer: Answer, body: str) -> str | None:
    """The cursor of the page behind it."""
    place = answer.next
    if place is None or not body:
        return None
    of = answer.collection, answer.made_by, answer.snapshot, answer.seal
    return Cursor(*of, body, place.position, place.rows, answer.store).token()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _result(found: Found, include: Set[Extra]) -> Result:
    moment, paths = found.moment, found.info.paths
    is_text = moment.kind == "text"
    return Result(
        id=f"{moment.id}-{_line_number(found)}" if is_text else moment.id,
        video_id=moment.source,
        path=paths[0] if paths else "",
        paths=paths,
        start=moment.start,
        end=moment.end,
        score=rounded(moment.score) if moment.is_seen else None,
        confidence=found.confidence,
        confidence_level=found.level,
        best=None if found.best_t is None else Best(t=found.best_t, thumbnail=found.thumbnail),
        matched_on=_matched(found),
        approximate=found.info.facts.approximate,
        text=moment.text or (found.info.text if is_text else "") or None,
        written_by=(found.caption.written_by or None) if found.caption else None,
        metadata=dict(found.info.columns) if "metadata" in include else {},
        scores=[*found.beside.scores],
        explain=_explained(found.beside.why),
        vector=[*found.beside.vector],
    )


def _explained(why: Why | None) -> Explained | None:
    if why is None:
        return None
    return Explained(
        ranks=dict(why.ranks),
        fused=None if why.fused is None else rounded(why.fused),
        weighed=None if why.weighed is None else rounded(why.weighed),
        merged=why.merged,
        rows=[RowShown(id=row.id, start=row.start, end=row.end, score=row.score) for row in why.rows],
    )


def _matched(found: Found) -> list[str]:
    moment = found.moment
    if moment.kind == "text":
        of_video = "captions" if found.caption else "subtitles"
        return [*moment.matched] or ["text" if found.info.text else of_video]
    return ["visual", *moment.matched]


def _line_number(found: Found) -> int:
    """Of a passage; 0 of a library text."""
    moment = found.moment
    if found.info.text:
        return 0
    return line_number(moment.text) if moment.told is None else moment.told.number


def _video(results: list[Result]) -> VideoResult:
    best = results[0]
    return VideoResult(
        video_id=best.video_id,
        path=best.path,
        paths=best.paths,
        score=best.score,
        confidence=best.confidence,
        confidence_level=best.confidence_level,
        metadata=best.metadata,
        moments=results,
    )


def _sequence(results: list[Result], query: Query) -> SequenceResult:
    """Results of the steps that are not absent, in order."""
    least = min(results, key=lambda result: result.confidence or 0.0)
    scores = [result.score or 0.0 for result in results]
    here = iter(results)
    return SequenceResult(
        video_id=least.video_id,
        path=least.path,
        paths=least.paths,
        start=results[0].start,
        end=results[-1].end,
        score=rounded(sum(scores) / len(scores)),
        confidence=least.confidence,
        confidence_level=least.confidence_level,
        metadata=least.metadata,
        steps=[None if step.absent else next(here) for step in query.steps],
    )
