"""Files of timed lines beside a video, as words hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from core.types import Layer, Sidecar, canonical

if TYPE_CHECKING:
    from core.rules import Word


def is_sidecar(layer: Layer) -> bool:
    """Whether a layer is that of a file beside a video."""
    return layer.startswith("sidecar:")


def named_by(word: Word) -> set[tuple[str, Layer]]:
    """The layers that a word names by itself: its sidecars'."""
    return {(word.source, sidecar.layer) for sidecar in word.sidecars}


def seen_of(stamp: str, sidecars: Sequence[Sidecar]) -> str:
    """What of a place must be unchanged for a `done` to fit: its own stamp and its sidecars' names and
    stamps. Without sidecars the stamp itself."""
    if not sidecars:
        return stamp
    beside = [[_as_text(sidecar.path), sidecar.stamp] for sidecar in sidecars]
    return f"{stamp} {canonical(beside)}"


def sidecars_to_json(sidecars: Sequence[Sidecar]) -> list[dict[str, str]]:
    """As a word holds them."""
    return [{"path": _as_text(s.path), "stamp": s.stamp, "hash": s.hash} for s in sidecars]


def sidecars_from_json(held: Sequence[Mapping[str, str]]) -> tuple[Sidecar, ...]:
    """As a word held them."""
    return tuple(Sidecar(_as_bytes(each["path"]), each["stamp"], each["hash"]) for each in held)


def _as_text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _as_bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
