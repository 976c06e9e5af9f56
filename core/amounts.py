"""Amounts in words, for people."""

from __future__ import annotations


def size(count: float) -> str:
    """Of so many bytes: 640 bytes, 1.2 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
