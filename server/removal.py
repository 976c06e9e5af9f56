"""A source out of every answer of a collection, as `cinedex remove` takes it out."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from core.errors import Error
from core.writer import Writer
from server.errors import ApiError
from server.follow import Followed

log = logging.getLogger(__name__)


def remove(stores: Sequence[Followed], source: str) -> None:
    """Say it in every store that knows the source and was not told already. Or an ApiError, which
    names the stores that it could not be said in."""
    done, said, failed = list[str](), list[str](), list[str]()  # said: already
    for each in stores:
        try:
            store = each.open()
            known = store.log.last()
            if known.is_removed(source):
                said.append(each.root.name)
            elif known.has_rows(source):
                writer = Writer(store)
                writer.removed(source, known.number)
                writer.commit()
                done.append(each.root.name)
        except (Error, OSError) as error:  # the others are told all the same
            log.error("source not removed source=%s store=%s error=%s", source, each.root.name, error)
            failed.append(each.root.name)
    if done:
        log.info("source removed source=%s stores=%s", source, ",".join(done))
    if failed:
        raise ApiError(503, _half_said(source, said + done, failed))
    if not said + done:
        raise ApiError(404, f"video_id: there is no {source!r} in this collection.", "video_id")


def _half_said(source: str, done: list[str], failed: list[str]) -> str:
    held = f"{', '.join(failed)} cannot be changed, so {source} may be found there still"
    return f"{held}; it is out of {', '.join(done)}." if done else f"{held}."
