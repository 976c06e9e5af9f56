"""What `--videos` means: a folder, a file, a glob, a list or an address, and one look at it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.log import Task
from core.types import Place
from extractor.find import Listing, Settling, Target, target_of
from extractor.lines import LIST_SUFFIXES
from extractor.lists import ListListing, ListTarget, list_target
from extractor.prefix import UrlListing, UrlTarget, url_target
from extractor.roots import Naming
from extractor.url import is_url, local_path
from extractor.work import Spool, Work

VideosTarget = Target | ListTarget | UrlTarget


@dataclass(frozen=True, slots=True)
class Known:
    """What else decides which root a video is of, and where it may lie meanwhile."""

    spool: Spool
    root: str = ""  # as asked for
    folders: Mapping[str, Path] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    ours: Sequence[Path] = ()  # folders of our own data


class Looked(Protocol):
    """One look at a target: gone through once, and then asked what was met."""

    listed: int
    not_video: int
    links_out: int
    named: Place | None  # the only one there can be

    def __iter__(self) -> Iterator[Place]: ...
    @property
    def target(self) -> VideosTarget: ...
    @property
    def unstable(self) -> int: ...
    @property
    def failed(self) -> Iterable[tuple[Place, str]]: ...
    def work(self, task: Task) -> Work: ...
    def whole(self, path: bytes) -> bool: ...


def videos_of(asked: str, known: Known) -> VideosTarget:
    """What was asked for, or a sentence that says what would be right."""
    naming = Naming.among(known.root, known.folders, known.bases)
    if is_url(asked):
        return url_target(asked, naming, known.spool)
    path = local_path(asked)
    if Path(path).suffix.lower() in LIST_SUFFIXES and os.path.isfile(path):
        return list_target(Path(path), naming, known.spool)
    return target_of(path, known.root, known.folders, known.ours)


def look_at(target: VideosTarget, stop: threading.Event, settling: Settling) -> Looked:
    """Begin to list it, afresh."""
    match target:
        case Target():
            return Listing(target, stop, settling)
        case ListTarget():
            return ListListing(target, stop, settling)
        case UrlTarget():
            return UrlListing(target, stop)
