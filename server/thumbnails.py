"""Pictures of moments: stored tiles, and the addresses that answers name them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlencode

import numpy as np

from core.types import Float64Array
from index.snapshot import Snapshot
from server.errors import ApiError
from server.folders import Folders
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
    asked, times = where(searcher), _times(answer, searcher.view)
    results = [[_with(found, searcher.folders, times, asked) for found in group] for group in answer.results]
    return replace(answer, results=results)


def where(searcher: Searcher) -> str:
    """What an address ends with, so that who answered is asked again."""
    return urlencode({"collection": searcher.collection, "encoder": searcher.name})


def _times(answer: Answer, view: Snapshot) -> dict[str, Float64Array]:
    """When the stored pictures of each video are shown."""
    shown = (found for group in answer.results for found in group if found.best_t is not None)
    shards = {source: view.shard_of(source) for source in {found.moment.source for found in shown}}
    return {source: shard.tiles.times_of(source) for source, shard in shards.items() if shard is not None}


def _with(found: Found, folders: Folders, times: Mapping[str, Float64Array], asked: str) -> Found:
    moment, best_t = found.moment, found.best_t
    if best_t is None:
        return found
    stored = times.get(moment.source)
    if stored is not None and len(stored):
        inside = stored[(stored >= moment.start) & (stored < moment.end)]
        if len(inside):
            t = float(inside[np.argmin(np.abs(inside - best_t))])
            return replace(found, thumbnail=_url(moment.source, t, asked))
    if not folders.may_have(found.info):
        return found
    return replace(found, thumbnail=f"{_url(moment.source, best_t, asked)}&exact=1")


def _url(source: str, t: float, asked: str) -> str:
    return f"/thumbnail/{quote(source)}?t={max(t, 0.0)!r}&{asked}"
