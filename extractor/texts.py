"""`--texts` file.{txt,jsonl,csv} → library texts: one vector each, beside the videos'."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.types import Place, canonical
from extractor.find import name_root

TEXT_FIELDS, KEY_FIELDS = ("text", "caption"), ("key", "id")
_CSV_FIELD_BYTES = 1 << 24
_DEEPEST = 64  # lists and objects within each other in one line
_TOO_DEEP = f"it is nested deeper than {_DEEPEST} levels"


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
                    raise _wrong(self.target.file, line, f"the key {key!r} is that of line {lines[path]} too")
                continue
            self.texts[path], lines[path] = text, line
            self.listed += 1
            yield Place(self.target.root, path, source)

    def whole(self, path: bytes) -> bool:
        """Whether a path is one of this file's, which is always read whole."""
        return path.startswith(self.target.path + b"#")


def texts_target(path: Path, root: str = "", known: Mapping[str, Path] | None = None) -> TextsFile:
    """What `--texts` means, or a sentence that says what would be right."""
    if path.suffix.lower() not in _READERS:
        raise UsageError(f"--texts {path} must be one of {', '.join(f'*{name}' for name in _READERS)}.")
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


def read_texts(file: Path) -> Iterator[tuple[int, str, Text]]:
    """Line number, key ("" where it has none) and text of each; empty ones are passed over."""
    try:
        yield from _READERS[file.suffix.lower()](file)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason} at byte {error.start}.") from error


def _read_txt(file: Path) -> Iterator[tuple[int, str, Text]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if text := line.strip():
                yield number, "", Text(text)


def _read_jsonl(file: Path) -> Iterator[tuple[int, str, Text]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                found = _picked(file, number, _json_line(file, number, line))
                if found:
                    yield number, *found


def _json_line(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        held = json.loads(line, parse_constant=_finite, parse_float=_finite)
    except ValueError as error:
        raise _wrong(file, number, f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise _wrong(file, number, _TOO_DEEP) from error
    if _is_deep(held, _DEEPEST):
        raise _wrong(file, number, _TOO_DEEP)
    if isinstance(held, str):
        return {"text": held}
    if not isinstance(held, dict):
        raise _wrong(file, number, f"it must be an object (got {line.strip()[:60]!r})")
    return held


def _finite(number: str) -> float:
    found = float(number)
    if not isfinite(found):
        raise ValueError(f"{number} is no finite number")
    return found


def _is_deep(held: object, most: int) -> bool:
    if not isinstance(held, dict | list):
        return False
    inner = held.values() if isinstance(held, dict) else held
    return most == 0 or any(_is_deep(each, most - 1) for each in inner)


def _read_csv(file: Path) -> Iterator[tuple[int, str, Text]]:
    csv.field_size_limit(_CSV_FIELD_BYTES)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            names = list(reader.fieldnames or ())
            alone = names[0] if len(names) == 1 else ""
            for row in reader:
                if None in row:
                    raise _wrong(file, reader.line_num, f"it has more than the {len(names)} fields of line 1")
                held = {name: value for name, value in row.items() if value}
                if held and (found := _picked(file, reader.line_num, held, alone, names)):
                    yield reader.line_num, *found
        except csv.Error as error:
            raise _wrong(file, reader.line_num, str(error)) from error


def _picked(
    file: Path, line: int, held: dict[str, Any], alone: str = "", names: list[str] | None = None
) -> tuple[str, Text] | None:
    """The key and the text of one line; the rest are columns."""
    name = next((name for name in TEXT_FIELDS if name in (names or held)), alone)
    if not name:
        raise _wrong(file, line, f"it has no field {' or '.join(map(repr, TEXT_FIELDS))}")
    text = held.pop(name, "")
    if not isinstance(text, str):
        raise _wrong(file, line, f"its {name} must be a string (got {text!r})")
    key = next((held.pop(name) for name in KEY_FIELDS if name in held), "")
    if not isinstance(key, str | int) or isinstance(key, bool):
        raise _wrong(file, line, f"its key must be a string or a whole number (got {key!r})")
    if _is_broken(f"{key}{text}"):
        raise _wrong(file, line, "it holds half a surrogate pair, which is no character")
    columns = {name: value for name, value in held.items() if value is not None}
    if not text.strip():
        return None
    return str(key), Text(text.strip(), canonical(columns) if columns else None)


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _wrong(file: Path, line: int, what: str) -> UsageError:
    return UsageError(f"{file} line {line}: {what}.")


_READERS = {".txt": _read_txt, ".jsonl": _read_jsonl, ".csv": _read_csv}
