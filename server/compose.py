"""The parts of a query → one vector, and what they themselves must not find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from core.errors import NoTextsError, UsageError
from core.query import Part, Query, Value
from core.types import Float32Array, Kind, Segment
from extractor.encoders.base import Adjustable, Encoder, unknown_to
from index.calibration import Asking
from index.part import exact
from index.snapshot import Snapshot
from server.batching import host
from server.errors import ApiError
from server.means import NOTHING, UNIT, are_unit, mean, weighted
from server.rows import row_of
from server.stored import Named
from server.visual import photos, video

_MOST = 65_504.0  # float16's


@dataclass(frozen=True, slots=True)
class Sought:
    """What is searched for, float32 [dim], and where not to look."""

    vector: Float32Array
    truncated: bool
    sources: frozenset[str]  # whole
    ranges: tuple[Part, ...]  # of others
    asking: Asking = "text"  # what most of it is made of
    each: Float32Array | None = None  # the vector of each part, float32 [parts, dim]
    unknown: tuple[str, ...] = ()  # texts of no word that the encoder knows

    def is_own(self, row: Segment) -> bool:
        """Whether a row lies in a range that was asked with."""
        return any(
            part.source == row.source and (reaches(row, part) or row.start == part.start)
            for part in self.ranges
        )


def compose(query: Query, kinds: Sequence[Kind], encoder: Encoder, view: Snapshot) -> Sought:
    """Σ weight · vector / Σ |weight|; `kinds`: which rows of a video are its vector, in that order."""
    texts = [part.text for part in query.parts if part.text]
    encoded = iter(encode(encoder, texts))
    found = [_found(part, encoded, kinds, encoder, view) for part in query.parts]
    weights = np.array([part.weight for part in query.parts])
    each = np.stack([vector for vector, _ in found])
    vector = weighted(each, weights)
    if np.linalg.norm(vector) < NOTHING:
        at = query.parts[-1].at
        field = at.rpartition("[")[0] or at
        raise ApiError(400, f"{field}: its parts cancel each other out.", field)
    own = [part for _, part in found if part.source]
    rows = _adjusted(np.stack([*each, vector]), encoder, dict(query.encoder_options))
    return Sought(
        rows[-1],
        any(encoder.too_long(texts)) if texts else False,
        frozenset(part.source for part in own if not _is_range(part)),
        tuple(part for part in own if _is_range(part)),
        _asking(query.parts),
        rows[:-1],
        unknown_to(encoder, texts),
    )


def refuse_options(query: Query, encoder: Encoder) -> None:
    """What the encoder has not, or what cannot be."""
    known: Mapping[str, str] = getattr(encoder, "options", {})
    for name, value in query.encoder_options:
        field = f"encoder_options.{name}"
        if name not in known:
            has = f"no such option; it has {_listed(known)}" if known else "no options"
            raise ApiError(400, f"{field}: the encoder {encoder.spec.name} has {has}.", field)
        try:
            _adjusted(np.zeros((1, encoder.spec.dim), np.float32), encoder, {name: value})
        except UsageError as error:
            raise ApiError(400, f"{field}: {error}", field) from error


def _listed(known: Mapping[str, str]) -> str:
    return " and ".join(f"{name}, {what}" for name, what in known.items())


def _adjusted(vectors: Float32Array, encoder: Encoder, chosen: Mapping[str, Value]) -> Float32Array:
    return cast(Adjustable, encoder).adjusted(vectors, chosen) if chosen else vectors


def _asking(parts: Sequence[Part]) -> Asking:
    """What most of a query that pulls is made of: texts, stored ones among them, or what is seen."""
    pulls = [(part, part.weight) for part in parts if part.weight > 0]
    texts = sum(weight for part, weight in pulls if _is_text(part))
    return "text" if 2 * texts >= sum(weight for _, weight in pulls) else "video"


def _is_text(part: Part) -> bool:
    return bool(part.text) or part.source.startswith("t-") or "/text/" in part.row


def unseen(encoder: Encoder) -> Sought:
    """What is looked for by words alone."""
    return Sought(np.zeros(encoder.spec.dim, np.float32), False, frozenset(), ())


def encode(encoder: Encoder, texts: Sequence[str]) -> Float32Array:
    """float32 [len(texts), dim] on the host."""
    if not texts:
        return np.empty((0, encoder.spec.dim), np.float32)
    return host(encoder.texts(list(texts)))


def reaches(row: Segment, part: Part) -> bool:
    """Whether a row reaches into a part's [start, end)."""
    return (part.end is None or row.start < part.end) and (part.start is None or row.end > part.start)


def _is_range(part: Part) -> bool:
    return part.start is not None or part.end is not None


def _found(
    part: Part, encoded: Iterator[Float32Array], kinds: Sequence[Kind], encoder: Encoder, view: Snapshot
) -> tuple[Float32Array, Part]:
    """A part's vector, and the part that says where it comes from, so as not to be found."""
    if part.text:
        return next(encoded), part
    if part.row:
        return row_of(part, view)
    if part.vector:
        return _given(part, encoder, view), part
    if part.frames is not None:
        return _seen(part, kinds, encoder), part
    return _stored(part, kinds, view), part


def _stored(part: Part, kinds: Sequence[Kind], view: Snapshot) -> Float32Array:
    _, rows = Named(part.source, part.start, part.end, part.at).rows(view, *kinds)
    return mean(rows.vectors())


def _seen(part: Part, kinds: Sequence[Kind], encoder: Encoder) -> Float32Array:
    """A photo's row; of a video as of a stored one."""
    frames = part.frames
    assert frames is not None
    if frames.sampling is None:
        return mean([photos([frames], encoder)])
    rows = video(frames, encoder)
    return mean([next(rows[kind] for kind in kinds if len(rows.get(kind, ())))])


def _given(part: Part, encoder: Encoder, view: Snapshot) -> Float32Array:
    """A vector of somebody's own; where the encoder's have length 1, so has this."""
    field, dim = f"{part.at}.vector", encoder.spec.dim
    if len(part.vector) != dim:
        has = f"it has {len(part.vector)} numbers, and those of {encoder.spec.name} have {dim}"
        raise ApiError(400, f"{field}: {has}.", field)
    most = max(map(abs, part.vector))
    scaled = np.array(part.vector) / most  # whose squares are all numbers
    length = most * float(np.linalg.norm(scaled))
    if abs(length - 1) > UNIT and _are_unit(encoder, view):
        scaled, most = scaled / np.linalg.norm(scaled), 1.0
    elif not NOTHING < length < _MOST:
        raise ApiError(400, f"{field}: its length is {length:g}, as of no row.", field)
    found: Float32Array = (scaled * most).astype(np.float32)
    return found


def _are_unit(encoder: Encoder, view: Snapshot) -> bool:
    """Whether the encoder's vectors have length 1: as a text's has or, where it reads none, a stored row."""
    try:
        return are_unit(encode(encoder, ["a picture"]))
    except NoTextsError:
        part = next((part for part in view.parts if part.live), None)
        return part is not None and are_unit(exact(view.store, part.part, next(part.steps())[:1]))
