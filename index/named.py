"""Files that are named by the hash of what their description says; the description gets its name last."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core import files
from core.errors import SnapshotError
from core.types import canonical
from index import mapped
from index.folders import opening

_SUFFIX = re.compile(r"(\.[a-z]+)+")


@contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """A folder to fill. It goes in the end, where one of `files.draft` gets a name: the files leave it."""
    inside = folder / f"{files.DRAFT}{uuid.uuid4().hex}"
    try:
        with files.writing(folder):
            inside.mkdir(parents=True)
        yield inside
    finally:
        shutil.rmtree(inside, ignore_errors=True)


def settle(
    folder: Path,
    inside: Path,
    held: Mapping[str, Any],
    suffixes: Sequence[str],
    prefix: str = "",
    heads: Mapping[str, int] | None = None,
) -> tuple[str, dict[str, Any]]:
    """Describe the files of a draft and give all their name; it and the description.

    heads: bytes of the beginning of some, which are compared whenever they are opened.
    """
    with files.writing(inside):
        stamps = {f".{s}": mapped.stamp(inside / s, (heads or {}).get(s, 0)) for s in suffixes}
        held = {**held, "files": stamps}
        (inside / "json").write_text(files.sealed(held))
    name = prefix + _hash(held)
    with files.writing(folder / f"{name}.json"):
        for suffix in (*suffixes, "json"):
            files.sync(inside / suffix)
        for suffix in (*suffixes, "json"):
            path = folder / f"{name}.{suffix}"
            stamp = held["files"].get(f".{suffix}") or mapped.stamp(inside / suffix)
            # A name that is taken holds the same bytes, unless the disk damaged them: then this mends it.
            if mapped.damage(path, stamp):
                (inside / suffix).replace(path)
        files.sync(folder)
    return name, _whole(name, held)


def _hash(held: Mapping[str, Any]) -> str:
    return files.hash_bytes(canonical(dict(held)).encode())


def _whole(name: str, held: Mapping[str, Any]) -> dict[str, Any]:
    """With the files' whole names: they cannot hold their own hash."""
    return {**held, "files": {name + suffix: stamp for suffix, stamp in held["files"].items()}}


def read(folder: Path, name: str) -> dict[str, Any]:
    """The description of that name, or SnapshotError."""
    path = folder / f"{name}.json"
    with opening(path):
        held = files.read_sealed(path)
    if _hash(held) != name.rpartition("-")[2]:
        raise SnapshotError(f"{path} holds something else than its name says.")
    # Anybody can make a name that fits.
    if not mapped.are_stamps(held.get("files")) or not all(
        _SUFFIX.fullmatch(suffix) for suffix in held["files"]
    ):
        raise SnapshotError(f"{path} is damaged: what it says of files cannot be.")
    return _whole(name, held)
