"""Whether there is anything to build a snapshot of."""

from __future__ import annotations

from core.store import Store
from index.snapshot import current, numbers


def is_bare(store: Store) -> bool:
    """Whether it holds no row, and nothing of it is or was searched. Where something was, a build goes on
    though all rows are gone: what is published would stay else."""
    return current(store.root) is None and not numbers(store.root) and not store.log.last().shards()
