"""The table of indexes, and what may be asked for instead of it."""

from __future__ import annotations

import pytest

from core.errors import UsageError
from index.cli import memory_bytes
from index.factory import asked, chosen, require

GIB = 1 << 30


@pytest.mark.parametrize(
    ("rows", "memory_bytes", "recall", "factory"),
    [
        (0, GIB, 0.95, "Flat"),
        (99_999, GIB, 0.95, "Flat"),
        (100_000, GIB, 0.95, "IVF1265,SQfp16"),
        (1_000_000, 4 * GIB, 0.95, "IVF4000,SQfp16"),
        (4_999_999, 8 * GIB, 0.95, "IVF8944,SQfp16"),
        (4_999_999, 4 * GIB, 0.95, "IVF8944,SQ8"),
        (10_000_000, 8 * GIB, 0.95, "IVF12649,SQ8"),
        (10_000_000, 4 * GIB, 0.95, "IVF12649,RaBitQ4"),
        (10_000_000, 1, 0.95, "Flat"),
        (10_000_000, 16 << 20, 0.95, "IVF204,RaBitQ4"),
        (10_000_000, 4 * GIB, 0.98, "IVF12649,SQ8"),
    ],
)
def test_the_table_goes_by_rows_memory_and_recall(
    rows: int, memory_bytes: int, recall: float, factory: str
) -> None:
    assert chosen(rows, 512, memory_bytes, recall) == factory
    require({"frame": factory}, 512)


def test_a_factory_is_asked_for_all_kinds_or_by_kind() -> None:
    assert asked("IVF8,SQ8") == {"frame": "IVF8,SQ8", "clip": "IVF8,SQ8", "text": "IVF8,SQ8"}
    assert asked("clip=IVF8,SQ8  text=Flat") == {"clip": "IVF8,SQ8", "text": "Flat"}
    for wrong in ("video=Flat", "clip=", "Flat Flat", "clip=Flat Flat"):
        with pytest.raises(UsageError, match=rf"The factory '{wrong}' is neither one FAISS string nor"):
            asked(wrong)
    with pytest.raises(UsageError, match=r"^The factory 'clip=Flat clip=SQ8' names clip twice\.$"):
        asked("clip=Flat clip=SQ8")
    with pytest.raises(UsageError, match="--factory is empty; a FAISS string or 'auto' would be right"):
        asked(" ")


def test_memory_is_a_number_and_a_unit() -> None:
    assert memory_bytes("4G") == 4 * GIB
    assert memory_bytes("512M") == GIB // 2
    assert memory_bytes("1T") == 1024 * GIB
    for wrong in ("", "4", "G", "0G", "-4G", "4 G", "1.5G", "4g"):
        with pytest.raises(UsageError, match=rf"--memory is '{wrong}'; a whole number and M, G or T"):
            memory_bytes(wrong)
