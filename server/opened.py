"""A stored source, found by its id, and a file of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType

from core.types import Look
from index.sources import SourceInfo
from server.errors import ApiError
from server.folders import OpenFile
from server.searcher import Searcher

WITHOUT_LOOK = 224  # of vectors that were imported


@dataclass(frozen=True, slots=True)
class Opened:
    """A source, a file of it, and how its pictures are looked at."""

    info: SourceInfo
    file: OpenFile
    look: Look

    @property
    def name(self) -> str:
        """Of the file, as people read it."""
        return os.fsencode(self.file.path.name).decode(errors="replace")

    def __enter__(self) -> Opened:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def require_same(self) -> None:
        """An ApiError if the file is not the one any more that was opened."""
        if not self.file.is_still_there():
            message = f"video_id: the file of {self.info.id!r} has changed while it was read."
            raise ApiError(404, message, "video_id")


def opened(searcher: Searcher, video_id: str) -> Opened:
    """A source and a file of it; or an ApiError."""
    info, look = require(searcher, video_id), searcher.view.store.spec.look
    return Opened(info, searcher.folders.open(info), look if look.size else Look(WITHOUT_LOOK))


def require(searcher: Searcher, video_id: str) -> SourceInfo:
    """A live source, or an ApiError."""
    info = searcher.view.source(video_id)
    if info is None:
        raise ApiError(404, f"video_id: there is no {video_id!r} in this collection.", "video_id")
    return info
