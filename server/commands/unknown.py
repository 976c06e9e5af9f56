"""Texts of no word that an encoder knows, told to people."""

from __future__ import annotations

from collections.abc import Sequence


def told_unknown(texts: Sequence[str]) -> str:
    """Of those with no word that the encoder knows, the first."""
    more = f" and of {len(texts) - 1} more" if len(texts) > 1 else ""
    return f"the encoder knows no word of {texts[0][:60]!r}{more}: what their vectors find says nothing"
