"""The moments of a result list, one by one: what a row of a table and an event of a list are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.types import Facts
from server.schemas.search import Result, SequenceResult, VideoResult
from server.searcher import Answer
from server.shown import Shown


@dataclass(frozen=True, slots=True)
class Listed:
    """A moment, its place in the list, and what is known of its file."""

    rank: int  # of the result, from 1
    number: int  # within it, from 1
    result: Result
    facts: Facts


def listed(results: Iterable[Shown], facts: Mapping[str, Facts]) -> Iterator[Listed]:
    """All moments in order: those of a grouped video, and the steps of a sequence, one behind the other."""
    for rank, result in enumerate(results, 1):
        for number, moment in enumerate(_moments(result), 1):
            if moment is not None:  # a step that is absent
                yield Listed(rank, number, moment, facts[moment.video_id])


def _moments(result: Shown) -> Sequence[Result | None]:
    if isinstance(result, SequenceResult):
        return result.steps
    return result.moments if isinstance(result, VideoResult) else [result]


def facts_of(answer: Answer) -> dict[str, Facts]:
    """What is known of each file in an answer, by id."""
    return {found.moment.source: found.info.facts for group in answer.results for found in group}


def placed(result: Shown, prefix: str) -> Shown:
    """The same with a prefix before its paths."""
    if not prefix:
        return result
    paths = [joined(prefix, path) for path in result.paths]
    changed: dict[str, object] = {"paths": paths, "path": paths[0] if paths else ""}
    if not isinstance(result, Result):
        within = "steps" if isinstance(result, SequenceResult) else "moments"
        changed[within] = [moment and placed(moment, prefix) for moment in _moments(result)]
    return result.model_copy(update=changed)


def joined(prefix: str, path: str) -> str:
    """A path below a prefix; one of Windows gets its own separators."""
    mark = "\\" if "\\" in prefix and "/" not in prefix else "/"
    return prefix.rstrip(mark) + mark + path.replace("/", mark)
