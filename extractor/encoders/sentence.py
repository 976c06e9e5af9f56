"""A caption as people write it: CLIP's pieces come back with a space between all of them."""

from __future__ import annotations

import re

_TIDY = (
    (re.compile(r"\s+([,.;:!?)])"), r"\1"),
    (re.compile(r"([(])\s+"), r"\1"),
    (re.compile(r"(?<=\w) - (?=\w)"), "-"),  # its tokenizer writes well-known so, and hardly ever a dash
    (re.compile(r"\s+('(?:s|t|re|ve|m|ll|d))\b"), r"\1"),
)


def sentence(text: str) -> str:
    """Without spaces before commas, and around hyphens."""
    found = " ".join(text.split())
    for pattern, right in _TIDY:
        found = pattern.sub(right, found)
    return found
