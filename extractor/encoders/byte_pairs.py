"""CLIP's byte pairs as OpenAI's tokenizer cuts them, by open_clip's, which calls start and end otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

START, END = 49406, 49407
_THEIRS = "<start_of_text>", "<end_of_text>"
_OPENAIS = "<|startoftext|>", "<|endoftext|>"


def tokenizer(length: int) -> Any:
    """open_clip's for texts of so many tokens, to which OpenAI's names of start and end are special, and its
    own are not: the models that OpenAI trained, and what was made of them, were trained so."""
    import regex
    from open_clip.tokenizer import SimpleTokenizer

    made = SimpleTokenizer(context_length=length)
    for theirs, name in zip(_THEIRS, _OPENAIS, strict=True):
        number = made.encoder.pop(theirs)
        made.encoder[name], made.decoder[number] = number, name
    made.cache = {name: name for name in _OPENAIS}
    rest = made.pat.pattern.removeprefix("|".join(_THEIRS))
    made.pat = regex.compile("|".join(map(regex.escape, _OPENAIS)) + rest, regex.IGNORECASE)
    return made


def framed(rows: Sequence[Sequence[int]], length: int, start: int = START, end: int = END) -> list[list[int]]:
    """Start, as many ids as there is room for, end."""
    return [[start, *row[: length - 2], end] for row in rows]
