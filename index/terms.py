"""Words of texts and queries, spelled alike: without case and accents; without spaces, by twos."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_TERMS = 64  # of one query; what comes after them is not looked for
MOST_WHOLE = 32  # tokens of a query that is looked for as it stands, too

# Thai, Lao, Burmese, Khmer, Han, Kana, Bopomofo, Hangul: words are not set apart, or not from particles.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_PIECE = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED} ]+")
_ASCII_WORD = re.compile("[a-z0-9]+")
_BARE_MARKS = 0x0700  # below it (Latin to Arabic) marks are accents or may be left out; above they are vowels
_QUOTED = re.compile('["“”„]([^"“”„]*)["“”„]')


class _Classes(dict[int, str]):
    """What stands for a character: itself in a word, nothing of a hint how to draw it, else a space."""

    def __missing__(self, number: int) -> str:
        category = unicodedata.category(chr(number))
        kept = chr(number) if category[0] in "LNM" else "" if category == "Cf" else " "
        self[number] = kept
        return kept


class _Alone(dict[int, str]):
    """A character in plain, where the ones beside it do not matter; else _MARK."""

    def __missing__(self, number: int) -> str:
        kept = _MARK if _is_mark(chr(number)) else _plain_with_marks(chr(number))
        self[number] = kept
        return kept


_MARK = "\0"  # what is plain holds none
_CLASSES, _ALONE = _Classes(), _Alone()


@dataclass(frozen=True, slots=True)
class Term:
    """Tokens that follow each other; the last one may go on where it is a prefix."""

    tokens: tuple[str, ...]
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What a query looks for."""

    quoted: tuple[Term, ...] = ()  # must be there
    bare: tuple[Term, ...] = ()
    whole: Term | None = None  # all that is bare, as it was typed: better still

    def __bool__(self) -> bool:
        return bool(self.quoted or self.bare)


def tokens(text: str) -> list[str]:
    """The tokens of a text in order. In a script without spaces one for each character, with the next one."""
    return [
        token for units, is_unspaced in _pieces(text) for token in (_twos(units) if is_unspaced else units)
    ]


def terms(*queries: str) -> Terms:
    """Phrases in double quotes, and words; one that ends with '*' may go on. Of several texts that are looked
    for together; what one of them quotes ends with it."""
    quoted = [term for query in queries for text in _QUOTED.findall(query) if (term := _phrase(text))]
    rest = " ".join(_QUOTED.sub(" ", query) for query in queries)
    bare = [term for word in rest.split() for term in _words(word)]
    kept = list(dict.fromkeys(quoted))[:MOST_TERMS]
    words = list(dict.fromkeys(bare))[: MOST_TERMS - len(kept)]
    whole = _phrase(rest) if len(words) > 1 and not quoted else None
    is_short = whole is not None and len(whole.tokens) <= MOST_WHOLE
    return Terms(tuple(kept), tuple(words), whole if is_short else None)


def _words(text: str) -> Iterator[Term]:
    """What a word that was typed is made of: "3.5" is a phrase, 東京都 all its twos."""
    for units, is_unspaced in _pieces(text):
        if not is_unspaced:
            yield Term(tuple(units), is_prefix=text.endswith("*"))
        elif len(units) == 1:
            yield Term((units[0],), is_prefix=True)
        else:
            yield from (Term((two,)) for two in _twos(units)[:-1])


def _phrase(text: str) -> Term | None:
    pieces = list(_pieces(text))
    if not pieces:
        return None
    found = tokens(text)
    units, is_unspaced = pieces[-1]
    if is_unspaced and len(units) > 1:
        return Term(tuple(found[:-1]))  # the last character is in the two before it
    return Term(tuple(found), is_prefix=is_unspaced)


def _twos(units: Sequence[str]) -> list[str]:
    return [unit + after for unit, after in zip(units, [*units[1:], ""], strict=True)]


def _pieces(text: str) -> Iterator[tuple[list[str], bool]]:
    """Words that lie together, or the characters of a run without spaces."""
    if text.isascii():
        if words := _ASCII_WORD.findall(text.lower()):
            yield words, False
        return
    words = []
    for match in _PIECE.finditer(_plain(text)):
        piece = match[0]
        if _is_unspaced(piece):
            if words:
                yield words, False
            words = []
            yield _units(piece), True
        else:
            words.append(piece)
    if words:
        yield words, False


def _is_unspaced(piece: str) -> bool:
    return re.match(f"[{_UNSPACED}]", piece) is not None


def _units(run: str) -> list[str]:
    """Characters, each with the marks that are set on it."""
    units: list[str] = []
    for character in run:
        if units and _is_mark(character):
            units[-1] += character
        else:
            units.append(character)
    return units


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _plain(text: str) -> str:
    """Without case, accents, widths and punctuation."""
    composed = unicodedata.normalize("NFKC", text)
    plain = composed.translate(_ALONE)
    return _plain_with_marks(composed) if _MARK in plain else plain


def _plain_with_marks(text: str) -> str:
    kept: list[str] = []
    base = 0
    for character in unicodedata.normalize("NFKD", text.casefold()):
        is_mark = _is_mark(character)
        if not is_mark:
            base = ord(character) if _CLASSES[ord(character)].strip() else 0
        if not is_mark or base >= _BARE_MARKS:
            kept.append(character)
    return unicodedata.normalize("NFKC", "".join(kept)).translate(_CLASSES)
