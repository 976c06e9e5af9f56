"""Pictures of moments: stored tiles, and the addresses that answers name them by."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlencode

import numpy as np

from core.types import Sampling
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
    return replace(answer, results=[[_with(found, searcher) for found in group] for group in answer.results])


def _with(found: Found, searcher: Searcher) -> Found:
    address = None if found.best_t is None else _address(found, found.best_t, searcher)
    return replace(found, thumbnail=address)


def _address(found: Found, best_t: float, searcher: Searcher) -> str | None:
    source = found.moment.source
    asked = {"collection": searcher.collection, "encoder": searcher.encoder.spec.name}
    tile, may_decode = _tile(found, best_t, searcher), searcher.folders.may_have(found.info)
    step_s = _step_s(searcher.view.store.sampling, found.info.facts.seconds)
    is_other = tile is None or abs(tile - best_t) > step_s / 2  # the picture of another row
    if may_decode and is_other:
        return _url(source, best_t, asked | {"exact": "1"})
    return None if tile is None else _url(source, tile, asked)


def _tile(found: Found, best_t: float, searcher: Searcher) -> float | None:
    """When the tile within a moment is shown that is nearest to its best second."""
    moment, shard = found.moment, searcher.view.shard_of(found.moment.source)
    if shard is None:
        return None
    times = shard.tiles.times_of(moment.source)
    inside = times[(times >= moment.start) & (times < moment.end)]
    return float(inside[np.argmin(np.abs(inside - best_t))]) if len(inside) else None


def _step_s(sampling: Sampling, seconds: float) -> float:
    """From one row that a best second is found by to the next; 0 where that is not the same everywhere."""
    if not sampling.keep_frames:
        return sampling.stride_seconds
    if sampling.points == "uniform":
        return seconds / sampling.count
    return 1 / sampling.fps if sampling.points == "fps" else 0.0


def _url(source: str, t: float, asked: dict[str, str]) -> str:
    return f"/thumbnail/{quote(source)}?{urlencode({'t': repr(max(t, 0.0)), **asked})}"
