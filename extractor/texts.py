"""`--texts` file.{txt,jsonl,csv} → library texts: one vector each, beside the videos'."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from core.errors import UsageError
from core.types import Place
from extractor.lines import TEXT_SUFFIXES, Line, columns_of, read_lines
from extractor.roots import name_root

TEXT_FIELDS, KEY_FIELDS = ("text", "caption"), ("key", "id")


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the file, and the user's columns as one JSON object."""

    text: str
    columns: str | None = None


@dataclass(frozen=True, slots=True)
class TextsFile:
    """What `--texts` named, and the root that its places belong to."""

    root: str
    folder: bytes
    path: bytes  # of the file, relative to the root

    @property
    def file(self) -> Path:
        return Path(os.fsdecode(os.path.join(self.folder, self.path)))


@dataclass
class TextListing:
    """One reading of a texts file: go through it once, then ask for a place's text."""

    target: TextsFile
    listed: int = 0
    texts: dict[bytes, Text] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Place]:
        lines: dict[bytes, int] = {}
        for line, key, text in read_texts(self.target.file):
            source = text_id(text.text)
            name = (key or source).encode()
            path = self.target.path + b"#" + name
            if (held := self.texts.get(path)) is not None:
                if key and held != text:
                    raise line.wrong(f"the key {key!r} is that of line {lines[path]} too")
                continue
            self.texts[path], lines[path] = text, line.number
            self.listed += 1
            yield Place(self.target.root, path, source, text.columns)

    def whole(self, path: bytes) -> bool:
        """Whether a path is one of this file's, which is always read whole."""
        return path.startswith(self.target.path + b"#")


def texts_target(path: Path, root: str = "", known: Mapping[str, Path] | None = None) -> TextsFile:
    """What `--texts` means, or a sentence that says what would be right."""
    if path.suffix.lower() not in TEXT_SUFFIXES:
        raise UsageError(f"--texts {path} must be one of {', '.join(f'*{name}' for name in TEXT_SUFFIXES)}.")
    if not path.is_file():
        raise UsageError(f"--texts {path} {'is no file' if path.exists() else 'does not exist'}.")
    file = os.path.abspath(os.fsencode(path))
    name, folder = name_root(os.path.dirname(file), root, known)
    return TextsFile(name, folder, file[len(folder) :].lstrip(b"/"))


def text_id(text: str) -> str:
    """The name of a text, "t-…", from its characters alone."""
    return f"t-{blake2b(text.encode(), digest_size=16).hexdigest()}"


def is_text(place: Place) -> bool:
    """Whether a place is a library text's: its stamp is its id."""
    return place.stamp.startswith("t-")


def read_texts(file: Path) -> Iterator[tuple[Line, str, Text]]:
    """The line, key ("" where it has none) and text of each; empty ones are passed over."""
    for line in read_lines(file, TEXT_FIELDS[0]):
        if found := _picked(line):
            yield line, *found


def _picked(line: Line) -> tuple[str, Text] | None:
    """The key and the text of one line; the rest are columns."""
    held = dict(line.fields)
    name = line.name_of(*TEXT_FIELDS)
    if not name:
        raise line.wrong(f"it has no field {' or '.join(map(repr, TEXT_FIELDS))}")
    text = held.pop(name, "")
    if not isinstance(text, str):
        raise line.wrong(f"its {name} must be a string (got {text!r})")
    key = next((held.pop(name) for name in KEY_FIELDS if name in held), "")
    if not isinstance(key, str | int) or isinstance(key, bool):
        raise line.wrong(f"its key must be a string or a whole number (got {key!r})")
    if _is_broken(f"{key}{text}"):
        raise line.wrong("it holds half a surrogate pair, which is no character")
    if not text.strip():
        return None
    return str(key), Text(text.strip(), columns_of(held))


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
