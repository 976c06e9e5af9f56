"""BERT's word pieces, in which VideoCLIP reads texts: where the list is, and texts in its numbers.

The list is one file of 30,522 lines that everybody has from Google; it is known by its sha256, since altered
copies go about.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import files
from core.errors import EncoderError, StoreError, UsageError
from extractor.encoders import hub
from extractor.encoders.base import characters
from extractor.encoders.weights import folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "bert-vocabulary"  # what `cinedex download` calls it
VARIABLE = "CINEDEX_VOCAB"
SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
PIECES = 30_522
PAD, UNKNOWN, START, END = 0, 100, 101, 102  # [PAD], [UNK], [CLS], [SEP]

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_REPOSITORIES = ("google-bert/bert-base-uncased", "bert-base-uncased")
_PLAIN, _WHOLE = "vocab.txt", "tokenizer.json"
_MOST_BYTES = 16 << 20
_LONGEST = 100  # characters of a word; a longer one is unknown


class WordPieces:
    """Texts in BERT's numbers: lower case, no accents, words cut into the longest pieces that are known."""

    def __init__(self, text: str) -> None:
        self._tokenizer = _tokenizer(text)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's, without a start and an end. [CLS] and its like, written out, are what they say."""
        plain = [characters(text) for text in texts]
        found = self._tokenizer.encode_batch(plain, add_special_tokens=False)
        return [list(each.ids) for each in found]


def word_pieces() -> WordPieces:
    """From wherever the list is; an EncoderError says how to get it. It is kept beside the weights, so that a
    server finds what `extract` was told by its environment."""
    path, text = find()
    if path != kept():
        with suppress(StoreError):  # who may only read there must tell the server too
            _keep(text)
    return WordPieces(text)


def find() -> tuple[Path, str]:
    """The file with the list, and the list as in vocab.txt: the one that CINEDEX_VOCAB names, else the one
    that was downloaded, else what the hub's cache holds for `transformers` or `tokenizers`."""
    if asked := os.environ.get(VARIABLE):
        path = Path(asked)
        text = _text(path)
        if (found := hash_of(text)) != SHA256:
            raise EncoderError(
                f"{path} ({VARIABLE}) is not BERT's uncased vocabulary: its sha256 is {found}, not {SHA256}."
            )
        return path, text
    for path in _places():
        with suppress(
            EncoderError, UsageError
        ):  # of another program: it need not be whole, nor the right one
            text = _text(path)
            if hash_of(text) == SHA256:
                return path, text
    raise EncoderError(
        f"BERT's vocabulary is not on this machine: run `cinedex download {NAME}` here, or on another "
        f"machine and copy its folder of weights to {folder()}, or let {VARIABLE} name its {_PLAIN}."
    )


def kept() -> Path:
    """Where `cinedex download` puts it, among the weights."""
    return folder() / NAME / _PLAIN


def fetch() -> Path:
    """The list into the folder of weights: from this machine, else from the hub."""
    try:
        text = find()[1]
    except EncoderError:
        if os.environ.get(VARIABLE):
            raise
        text = _text(hub.fetched(_REPOSITORIES[0], _PLAIN, NAME))
        if hash_of(text) != SHA256:
            raise EncoderError(
                f"{_REPOSITORIES[0]} gives a {_PLAIN} with the sha256 {hash_of(text)}, not {SHA256}."
            ) from None
    _keep(text)
    return kept()


def hash_of(text: str) -> str:
    """Of the list as a file."""
    return sha256(text.encode()).hexdigest()


def separated(rows: Sequence[Sequence[int]], length: int) -> list[list[int]]:
    """As VideoCLIP takes them: [CLS] [SEP] words [SEP], as many words as there is room for. Filled up with
    PAD to that length they are its `caps`, and the ones of its mask are as many as these."""
    return [[START, END, *row[: length - 3], END] for row in rows]


def _keep(text: str) -> None:
    with files.writing(kept()):
        kept().parent.mkdir(parents=True, exist_ok=True)
    files.replace_text(kept(), text)


def _places() -> Iterator[Path]:
    yield kept()
    for repository in _REPOSITORIES:
        for name in (_PLAIN, _WHOLE):
            if (found := hub.cached(repository, (name,))) is not None:
                yield found


def _text(path: Path) -> str:
    """A vocab.txt, the list in a tokenizer.json, or either of them in a folder."""
    if path.is_dir():
        path = next((path / name for name in (_PLAIN, _WHOLE) if (path / name).is_file()), path / _PLAIN)
    if not path.is_file():
        raise UsageError(f"The vocabulary {path} does not exist.")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise EncoderError(f"{path} is no vocabulary: it is larger than {_MOST_BYTES >> 20} MiB.")
        with path.open(encoding="utf-8", newline="") as file:  # a line's end is part of the hash
            text = file.read()
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise EncoderError(f"{path} is no vocabulary: it is not UTF-8.") from error
    return _listed(path, text) if path.suffix == ".json" else text


def _listed(path: Path, text: str) -> str:
    """A tokenizer.json's own list as vocab.txt has it."""
    try:
        held: Any = json.loads(text)
        pieces = held["model"]["vocab"]
        return "".join(f"{piece}\n" for piece in sorted(pieces, key=pieces.__getitem__))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EncoderError(f"{path} is no tokenizer.json with BERT's vocabulary.") from error


def _tokenizer(text: str) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    numbers = {piece: number for number, piece in enumerate(text.removesuffix("\n").split("\n"))}
    made = Tokenizer(WordPiece(numbers, unk_token=_SPECIAL[1], max_input_chars_per_word=_LONGEST))
    made.normalizer = BertNormalizer(clean_text=True, handle_chinese_chars=True, lowercase=True)
    made.pre_tokenizer = BertPreTokenizer()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    return made
