"""From HTTP's words to the nouns, and back: a request as a Query, an Answer as it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

from core.query import Part, Query
from server.filters import where_of
from server.judged import rounded
from server.schemas.query import PartAsked
from server.schemas.search import Best, Result, SearchAnswer, SearchAsked, TookMs, Total, VideoResult
from server.searcher import Answer, Found


def query_of(asked: SearchAsked) -> Query:
    """What a valid request asks for."""
    return Query(
        _parts(asked.query),
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
    )


def _parts(query: str | list[PartAsked]) -> tuple[Part, ...]:
    if isinstance(query, str):
        return (Part(text=query),)
    return tuple(Part(p.text or "", p.video_id or "", p.start, p.end, p.weight) for p in query)


def shown(answer: Answer) -> SearchAnswer:
    """An answer as docs/http-api.md has it."""
    return _around([*_results(answer)], answer)


def as_sent(answer: Answer) -> bytes:
    """The same as JSON, result by result: what writes a large one at once stops all other threads."""
    results = ",".join(result.model_dump_json() for result in _results(answer))
    rest = _around([], answer).model_dump_json(exclude={"results"})
    return f'{{"results":[{results}],{rest[1:]}'.encode()


def _results(answer: Answer) -> Iterator[Result | VideoResult]:
    return (_video(found) if answer.grouped else _result(found[0]) for found in answer.results)


def _around(results: list[Any], answer: Answer) -> SearchAnswer:
    took = answer.took
    return SearchAnswer(
        results=results,
        total=Total(value=answer.total, relation="eq" if answer.is_all else "gte"),
        collection=answer.collection,
        encoder=answer.encoder,
        snapshot=answer.snapshot,
        confident=answer.confident,
        query_truncated=answer.truncated,
        took_ms=TookMs(
            total=_ms(took.total), encode=_ms(took.encode), search=_ms(took.search), look_up=_ms(took.look_up)
        ),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _result(found: Found) -> Result:
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
        metadata=dict(found.info.columns),
    )


def _matched(found: Found) -> list[str]:
    moment = found.moment
    if moment.kind == "text":
        return [*moment.matched] or ["text" if found.info.text else "subtitles"]
    return ["visual", *moment.matched]


def _line_number(found: Found) -> int:
    """Tells lines that begin together apart, and is the same in every snapshot; 0 of a library text."""
    moment = found.moment
    if found.info.text:
        return 0
    return crc32(moment.text.encode()) if moment.told is None else moment.told.number


def _video(moments: Sequence[Found]) -> VideoResult:
    results = [_result(found) for found in moments]
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
