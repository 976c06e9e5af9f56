"""`--prune`: places that are no more are said to be gone, with care: an unmounted disk is an empty folder."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import UsageError
from core.log import Task
from core.rules import Word
from core.store import Store
from core.writer import Writer
from extractor.find import Target, is_gone
from extractor.texts import TextListing, is_text
from extractor.videos import Looked

Listed = Looked | TextListing


def prune(store: Store, listings: Sequence[Listed], *, force: bool) -> int:
    """Say `gone` of what these would have met if it were still there; how many places that are."""
    writer = Writer(store)
    known = store.log.last()
    words = [word for word in known.words() if word.word != "gone"]
    count = 0
    for listing in listings:
        under = [word for word in words if _covers(listing, word)]
        gone = [word for word in under if _is_gone(listing, word)]
        if not force and gone and (not listing.listed or 2 * len(gone) > len(under)):
            raise UsageError(
                f"{listing.target.root} would lose {len(gone)} of {len(under)} places, as if its disk were "
                "not there; --prune=force takes them out all the same."
            )
        for word in gone:
            writer.gone(Task(word.place, known.number))
        count += len(gone)
    writer.commit()
    return count


def _covers(listing: Listed, word: Word) -> bool:
    is_ours = is_text(word.place) == isinstance(listing, TextListing)
    return is_ours and word.root == listing.target.root and listing.whole(word.path)


def _is_gone(listing: Listed, word: Word) -> bool:
    if isinstance(listing, TextListing):
        return word.path not in listing.texts
    target = listing.target
    return isinstance(target, Target) and is_gone(target.file(word.place))
