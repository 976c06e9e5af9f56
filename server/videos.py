"""Stored videos as they are told: one, or a page of them."""

from __future__ import annotations

from index.catalogue import Key, Listed, listed, page
from server.cursor import cursor_token, values_of
from server.errors import ApiError
from server.opened import require
from server.schemas.videos import Video, VideosAnswer, VideosAsked
from server.searcher import Searcher


def some(searcher: Searcher, asked: VideosAsked) -> VideosAnswer:
    """A page of those that were asked for."""
    prefixes = [asked.prefix or "", f"{asked.root}/" if asked.root else ""]
    behind = key_of(asked.cursor) if asked.cursor else None
    found = page(searcher.view, prefixes, behind, asked.limit)
    cursor = None if found.is_last else cursor_of(found.videos[-1].key)
    return VideosAnswer(videos=list(map(_shown, found.videos)), total=found.total, next_cursor=cursor)


def one(searcher: Searcher, video_id: str) -> Video:
    """One of them, or an ApiError."""
    require(searcher, video_id)
    found = listed(searcher.view, video_id)
    if found is None:
        raise ApiError(404, f"video_id: {video_id!r} is a text, not a video.", "video_id")
    return _shown(found)


def cursor_of(key: Key) -> str:
    """Where the next page begins, whatever the snapshot is by then."""
    return cursor_token(key)


def key_of(cursor: str) -> Key:
    """The same back, or an ApiError."""
    match values_of(cursor):
        case [str() as path, str() as id]:
            return path, id
    raise ApiError(400, "cursor: this is no next_cursor of an answer.", "cursor")


def _shown(found: Listed) -> Video:
    info, facts, paths = found.info, found.info.facts, found.info.paths
    return Video(
        video_id=info.id,
        path=paths[0] if paths else "",
        paths=paths,
        seconds=facts.seconds,
        zero_s=facts.zero_s,
        width=facts.width,
        height=facts.height,
        codec=facts.codec,
        container=facts.container,
        frame_rate=facts.frame_rate,
        created=facts.created,
        size=facts.size,
        approximate=facts.approximate,
        rows={str(kind): count for kind, count in found.rows.items() if count},
        metadata=dict(info.columns),
    )
