"""The part of CLIP's vocabulary that some words need: they are cut into the same pieces as by all of it."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from open_clip.tokenizer import SimpleTokenizer, default_bpe

BYTES = 512  # pieces that every vocabulary has: each byte, within a word and at its end
MARKS = 2  # where a text begins and where it ends


def merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Those that occur while the words are cut, in their order."""
    whole = SimpleTokenizer()
    parts = {part for word in words for part in whole.pat.findall(word)}  # as it parts texts before it cuts
    needed = {pair for part in parts for pair in _used(whole, part)}
    return sorted(needed, key=whole.bpe_ranks.__getitem__)


def _used(whole: SimpleTokenizer, word: str) -> set[tuple[str, str]]:
    """The merges that one word goes through, from its letters."""
    pieces = [whole.byte_encoder[byte] for byte in word.encode()]
    pieces[-1] += "</w>"
    used = set()
    while len(pieces) > 1:
        pairs = list(pairwise(pieces))
        best = min(pairs, key=lambda pair: whole.bpe_ranks.get(pair, float("inf")))
        if best not in whole.bpe_ranks:
            break
        used.add(best)
        pieces = _merged(pieces, best)
    return used


def _merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    found: list[str] = []
    for piece in pieces:
        if found and (found[-1], piece) == pair:
            found[-1] = "".join(pair)
        else:
            found.append(piece)
    return found


def write_vocabulary(path: Path, words: Iterable[str]) -> int:
    """A file that open_clip's tokenizer reads; how many pieces it has."""
    held = merges(words)
    with gzip.open(default_bpe(), "rt", encoding="utf-8") as file:
        head = file.readline().strip()
    text = "\n".join([head, *(" ".join(pair) for pair in held)])  # a last line break would be one more piece
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return BYTES + len(held) + MARKS
