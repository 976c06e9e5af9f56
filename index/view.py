"""What of a snapshot is still there: what was removed since it was made is in no answer."""

from __future__ import annotations

from core.log import LastWords
from core.store import Store
from index.snapshot import Snapshot


def view_of(store: Store, device: str = "cpu") -> Snapshot:
    """What is published, less what was removed since."""
    base = Snapshot.open(store).on(device)
    return base.masked(removed_since(store.log.last(), base.entry))


def removed_since(words: LastWords, entry: int) -> set[str]:
    """Sources that were removed after that entry; the snapshot that covers it lacks all others."""
    said = words.source_words()
    return {source for source, each in said.items() if each.entry > entry and each.word.word == "removed"}
