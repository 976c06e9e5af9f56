"""What a snapshot must find to be published, unless somebody says that it may find less."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import files
from core.errors import SnapshotError
from index import recall
from index.snapshot import folder_of

TOLD = "below-recall"  # a file in the folder of a snapshot that may find less


def shortfall(held: Mapping[str, Any]) -> str:
    """What a snapshot finds too little of, by its manifest; "" where it finds enough."""
    return recall.shortfall(held["recall"], held.get("recall_wanted", recall.WANTED))


def require(root: Path, number: int, held: Mapping[str, Any], *, below_recall: bool) -> None:
    """Refuse what finds too little. below_recall: somebody says that it may, now and whenever it is gone
    back to."""
    short, told = shortfall(held), folder_of(root, number) / TOLD
    if not short or files.exists(told):
        return
    if not below_recall:
        raise SnapshotError(
            f"Snapshot {number} finds {short}; `--factory` with a finer index finds more, `--factory auto` "
            f"chooses one, a lower `--recall` asks for less, and "
            f"`cinedex index publish {number} --below-recall` publishes it all the same."
        )
    files.replace_text(told, "")
