"""Pictures of moments: stored tiles, and the addresses that answers name them by."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlencode

import numpy as np

from server.errors import ApiError
from server.opened import require
from server.searcher import Answer, Found, Searcher


def nearest(searcher: Searcher, video_id: str, t: float) -> bytes:
    """The stored tile that is shown nearest to second t, a JPEG; or an ApiError."""
    require(searcher, video_id)
    shard = searcher.view.shard_of(video_id)
    found = shard.thumbnail(video_id, t) if shard else None
    if found is None:
        raise ApiError(404, f"video_id: no thumbnails of {video_id!r} are stored.", "video_id")
    return found[1]


def with_thumbnails(answer: Answer, searcher: Searcher) -> Answer:
    """The same, each moment with the address of a picture where there can be one."""
    asked = where(searcher)
    results = [[_with(found, searcher, asked) for found in group] for group in answer.results]
    return replace(answer, results=results)


def where(searcher: Searcher) -> str:
    """What an address ends with, so that who answered is asked again."""
    return urlencode({"collection": searcher.collection, "encoder": searcher.name})


def _with(found: Found, searcher: Searcher, asked: str) -> Found:
    address = None if found.best_t is None else _address(found, found.best_t, searcher, asked)
    return replace(found, thumbnail=address)


def _address(found: Found, best_t: float, searcher: Searcher, asked: str) -> str | None:
    moment, shard = found.moment, searcher.view.shard_of(found.moment.source)
    if shard is not None:
        times = shard.tiles.times_of(moment.source)
        inside = times[(times >= moment.start) & (times < moment.end)]
        if len(inside):
            return _url(moment.source, float(inside[np.argmin(np.abs(inside - best_t))]), asked)
    if not searcher.folders.may_have(found.info):
        return None
    return f"{_url(moment.source, best_t, asked)}&exact=1"


def _url(source: str, t: float, asked: str) -> str:
    return f"/thumbnail/{quote(source)}?t={max(t, 0.0)!r}&{asked}"
