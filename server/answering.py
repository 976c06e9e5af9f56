"""A query asked of what answers, and its answer made into what is sent, all in one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from core.query import Query
from server.searcher import Answer, Searcher, Took
from server.thumbnails import with_thumbnails

T = TypeVar("T")


def answered(searcher: Searcher, query: Query, make: Callable[[Answer], T]) -> tuple[Took, T]:
    """To write thousands of results takes seconds, which the event loop has not."""
    answer = with_thumbnails(searcher.answer(query), searcher)
    return answer.took, make(answer)
