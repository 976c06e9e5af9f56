"""What clients call the stores (collections.json), and where the media lie (roots/)."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core import files
from core.errors import StoreError, UsageError

FORMAT = 1
_LONGEST_NAME = 200  # of a file, in bytes; what is longer ends with a hash


@dataclass(frozen=True, slots=True)
class Library:
    """A `--data` folder: stores, their collections, and the roots."""

    data: Path

    def collections(self) -> dict[str, list[str]]:
        """Collection → slugs of its stores, the default one first; {} where there is none."""
        return {name: list(slugs) for name, slugs in self._read()["collections"].items()}

    def store_path(self, slug: str) -> Path:
        """The folder of a store."""
        return self.data / slug

    def free_slugs(self, collection: str, slug: str) -> Iterator[str]:
        """A slug and others like it, without those of other collections: these hold other videos."""
        others = {each for name, held in self.collections().items() if name != collection for each in held}
        return (name for name in chain([slug], (f"{slug}-{n}" for n in count(2))) if name not in others)

    def add_store(self, collection: str, slug: str) -> None:
        """Make a store part of a collection, behind those it has."""
        if not is_name(collection):
            raise UsageError(f"--collection {collection!r} must be one word of a path, without '/'.")
        self._make(self.data)
        with files.locked(self.lock):
            held = self._read()
            slugs = held["collections"].setdefault(collection, [])
            if slug not in slugs:
                slugs.append(slug)
                files.replace_text(self._file, json.dumps(held, indent=1) + "\n")

    def put_first(self, collection: str, slug: str, without: Collection[str] = ()) -> None:
        """Make a store of a collection its default one, and take others out of it, all at once."""
        with files.locked(self.lock):
            held = self._read()
            slugs = held["collections"].get(collection, [])
            if slug not in slugs:
                raise StoreError(f"The collection {collection} in {self.data} has no store {slug}.")
            left = [slug, *(each for each in slugs if each != slug and each not in without)]
            if left != slugs:
                held["collections"][collection] = left
                files.replace_text(self._file, json.dumps(held, indent=1) + "\n")

    def roots(self) -> dict[str, Path]:
        """Root name → the folder it was last seen at."""
        return {name: Path(where) for name, where in self._where() if "://" not in where}

    def bases(self) -> dict[str, str]:
        """Root name → what its addresses begin with, for what lies behind URLs."""
        return {name: where for name, where in self._where() if "://" in where}

    def _where(self) -> Iterator[tuple[str, str]]:
        folder = self.data / "roots"
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        return (_read_root(path) for path in paths if not path.name.startswith("."))

    def require_root(self, name: str, where: str) -> str | None:
        """Where a root lies; UsageError if something else that is still there has its name."""
        if not name:
            raise UsageError(f"The root of {where} needs a name: give one with --root.")
        known = dict(self._where()).get(name)
        if known is not None and known != where and not _may_replace(known, where):
            stays = "" if "://" in known else ", which still exists"
            raise UsageError(f"The root {name} is {known}{stays}; name {where} otherwise with --root.")
        return known

    def claim_root(self, name: str, folder: Path) -> None:
        """Say where a root lies; UsageError if another folder of that name still exists."""
        self._claim(name, os.path.abspath(folder))

    def claim_base(self, name: str, base: str) -> None:
        """Say what a root's addresses begin with; UsageError if something else has that name."""
        self._claim(name, base)

    def _claim(self, name: str, where: str) -> None:
        self.require_root(name, where)
        self._make(self.data / "roots")
        with files.locked(self.lock):
            if self.require_root(name, where) == where:
                return
            text = json.dumps({"root": name, "folder": where}) + "\n"
            files.replace_text(self.data / "roots" / _file_name(name), text)

    @property
    def lock(self) -> Path:
        """What is locked while anything here is changed."""
        return self.data / "collections.lock"

    @property
    def _file(self) -> Path:
        return self.data / "collections.json"

    def _read(self) -> dict[str, Any]:
        if not self._file.exists():
            return {"format": FORMAT, "collections": {}}
        held = _read_json(self._file)
        if held.get("format") != FORMAT:
            raise StoreError(
                f"{self._file} has the format {held.get('format')}; this version reads format {FORMAT}."
            )
        if not _are_collections(held.get("collections")):
            raise StoreError(
                f'{self._file} is damaged: "collections" must map names to lists of stores\' folders.'
            )
        return held

    def _make(self, folder: Path) -> None:
        with files.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)


def is_name(name: str) -> bool:
    """Whether a collection or a root can be called so: it stands before '/' in what people read."""
    return name.isprintable() and "/" not in name and name.strip() not in ("", ".", "..")


def _are_collections(held: object) -> bool:
    return isinstance(held, dict) and all(
        isinstance(slugs, list) and slugs and all(isinstance(slug, str) and slug for slug in slugs)
        for slugs in held.values()
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_bytes())
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}.") from error
    if not isinstance(held, dict):
        raise StoreError(f"{path} is damaged: it must hold one JSON object.")
    return held


def _read_root(path: Path) -> tuple[str, str]:
    held = _read_json(path)
    name, folder = held.get("root"), held.get("folder")
    if not isinstance(name, str) or not isinstance(folder, str):
        raise StoreError(f'{path} is damaged: "root" and "folder" must be texts.')
    return name, folder


def _may_replace(known: str, where: str) -> bool:
    """Whether a root may be said to lie elsewhere: its old folder is gone, or is the same."""
    if "://" in known:
        return False
    old, new = Path(known), Path(where)
    return not old.exists() or ("://" not in where and new.exists() and old.samefile(new))


def _file_name(root: str) -> str:
    """A name that any file system takes, the root's own where it is plain."""
    raw = root.encode("utf-8", "surrogatepass")
    name = quote(raw, safe=" +=@,")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{files.hash_bytes(raw)}"
    return name
