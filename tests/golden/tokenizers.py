"""Texts in the numbers of CLIP's byte pairs and of BERT's word pieces, cut and framed as the systems do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from open_clip.tokenizer import SimpleTokenizer

from core.errors import EncoderError
from extractor.encoders import byte_pairs, vocabulary
from tests.golden.recipe import Array, Manifest
from tests.golden.runner import needs_vocabulary

_OF_BERT = ("bert_ids", "videoclip_caps")
_CAPS = 64  # numbers that VideoCLIP's text encoder is given
_NONE = -1  # behind a row's end


@cache
def _openais() -> Any:
    return byte_pairs.tokenizer(77)


@cache
def _coca() -> Any:
    return SimpleTokenizer(context_length=76)


def expected(manifest: Manifest, stored: Mapping[str, Array]) -> dict[str, Array]:
    """A row a text; what is decoded as UTF-8."""
    rows = manifest["rows"]
    return {key: _table([_numbers(row[key]) for row in rows]) for key in rows[0] if key != "text"}


def left_out(manifest: Manifest) -> dict[str, str]:
    """What needs the vocabulary where there is none; where it is named, or under REQUIRE_VOCAB=1, that is a
    failure."""
    if needs_vocabulary() or os.environ.get(vocabulary.VARIABLE):
        return {}
    try:
        vocabulary.find()
    except EncoderError as error:
        return dict.fromkeys(_OF_BERT, str(error))
    return {}


def outputs(manifest: Manifest, expected: Mapping[str, Array]) -> dict[str, Array]:
    """Ours of the same texts."""
    texts = [row["text"] for row in manifest["rows"]]
    ids = [_openais().encode(text) for text in texts]
    found: dict[str, Sequence[Sequence[int]]] = {
        "clip_ids": ids,
        "clip_77": [_filled(_openais(), text) for text in texts],
        "coca_76": [_filled(_coca(), text) for text in texts],
        "clip2video_32": byte_pairs.framed(ids, 32),
        "clip_roundtrip": [_numbers(_openais().decode(row)) for row in ids],
    }
    if not left_out(manifest):
        rows = vocabulary.word_pieces().ids(texts)
        found |= {"bert_ids": rows, "videoclip_caps": vocabulary.separated(rows, _CAPS)}
    return {key: _table(rows) for key, rows in found.items()}


def _filled(tokenizer: Any, text: str) -> list[int]:
    """Without what it is filled up with behind its end. 0 is also a word's number."""
    row: list[int] = tokenizer(text)[0].tolist()
    return row[: len(row) - row[::-1].index(byte_pairs.END)]


def _numbers(held: str | list[int]) -> list[int]:
    return list(held.encode()) if isinstance(held, str) else held


def _table(rows: Sequence[Sequence[int]]) -> Array:
    table = np.full((len(rows), max(map(len, rows))), _NONE, np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table
