"""The words that S3D's tower of texts knows: where their list is, and texts in its numbers.

The list is a file of its authors' beside their weights; each word's place in it is its number less one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core import files
from core.errors import EncoderError, StoreError
from extractor.encoders import words
from extractor.encoders.s3d_model import WORDS
from extractor.encoders.weights import folder

VARIABLE = "CINEDEX_S3D_WORDS"
FILE = "words.txt"  # beside the weights that it belongs to
_WORD = re.compile(r"[\w']+")


class Words:
    """A list, or why there is none."""

    def __init__(self, listed: Sequence[str] = (), missing: str = "") -> None:
        self._numbers = {word: number for number, word in enumerate(listed, 1)}
        self.missing = missing

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's first 16 known words, filled up with zeros."""
        return [(row[:WORDS] + [0] * WORDS)[:WORDS] for row in self._known(texts)]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many words of each are known."""
        return [len(row) for row in self._known(texts)]

    def _known(self, texts: Sequence[str]) -> list[list[int]]:
        if self.missing:
            raise EncoderError(self.missing)
        numbers = self._numbers
        return [[numbers[word] for word in _WORD.findall(text.lower()) if word in numbers] for text in texts]
