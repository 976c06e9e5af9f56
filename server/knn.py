"""clip-retrieval's questions, answered from the rows of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from core.query import Part, Query
from core.types import Float32Array, Kind, Segment
from index.moments import Moment
from index.numbers import numbers_of, row_of, snapshot_of
from index.snapshot import Snapshot
from index.sources import SourceInfo
from server.compose import compose
from server.errors import ApiError
from server.moments import moments_of
from server.pictures import best_seconds
from server.searcher import Searcher
from server.thumbnails import where

_PICTURED = 256  # whose best picture is looked for; behind them the middle of the row will do


@dataclass(frozen=True, slots=True)
class Knn:
    """So many rows that are nearest to a text, a picture or a vector, of which the first are described."""

    given: Part | tuple[float, ...]
    of_texts: bool
    rows: int
    described: int
    deduplicate: bool
    base_url: str  # of this server, as the client knows it; ends with a slash


def neighbours(searcher: Searcher, asked: Knn) -> list[dict[str, Any]]:
    """Best first: `id`, `similarity`, and the columns of a description."""
    view, vector = searcher.view, _vector(searcher, asked)
    kind: Kind = "text" if asked.of_texts else "clip" if view.rows.get("clip") else "frame"
    if not view.rows.get(kind):
        return []
    hits = view.search(kind, vector[None], min(asked.rows, view.rows[kind]))[0]
    moments = [*moments_of(hits, kind, 0.0 if asked.deduplicate else None)]  # each is looked at often
    described = _described(searcher, vector, moments[: asked.described], asked.base_url)
    columns = [*described, *({} for _ in moments[asked.described :])]
    return [
        {**mine, "id": number, "similarity": moment.score}
        for number, moment, mine in zip(numbers_of(view, kind, hits, moments), moments, columns, strict=True)
    ]


def _vector(searcher: Searcher, asked: Knn) -> Float32Array:
    if isinstance(asked.given, Part):
        return compose(Query((asked.given,)), (), searcher.encoder, searcher.view).vector
    dim = searcher.encoder.spec.dim
    if len(asked.given) != dim:
        message = f"embedding_input has {len(asked.given)} numbers; {searcher.encoder.spec.name} has {dim}."
        raise ApiError(400, message, "embedding_input")
    with np.errstate(over="ignore"):
        vector = np.array(asked.given, np.float64).astype(np.float32)
    if not np.isfinite(vector).all() or not vector.any():
        message = "embedding_input must not be all zeros, and of numbers that float32 holds."
        raise ApiError(400, message, "embedding_input")
    return vector


def described(searcher: Searcher, ids: Sequence[int], base_url: str) -> list[dict[str, Any]]:
    """The columns of each row."""
    found, here = [], where(searcher)
    for number, id in enumerate(ids):
        kind, row = _row(searcher.view, number, id)
        moment = Moment(row.source, kind, row.start, row.end, 0.0, row.start, row.end, row.text)
        info = searcher.view.source(row.source) or SourceInfo(row.source)
        found.append({"id": id, "metadata": _columns(moment, info, moment.best_t, base_url, here)})
    return found


def _row(view: Snapshot, number: int, id: int) -> tuple[Kind, Segment]:
    field = f"ids[{number}]"
    if snapshot_of(id) != view.number and 0 < snapshot_of(id) < view.number:
        message = f"{field} is of snapshot {snapshot_of(id)}, and {view.number} answers now; search again."
        raise ApiError(410, message, field)
    found = row_of(view, id) if snapshot_of(id) == view.number else None
    if found is None:
        raise ApiError(404, f"{field}: there is no row {id} in snapshot {view.number}.", field)
    return found


def _described(
    searcher: Searcher, query: Float32Array, moments: Sequence[Moment], base_url: str
) -> Iterator[dict[str, Any]]:
    view, here = searcher.view, where(searcher)
    infos = {source: view.source(source) for source in {moment.source for moment in moments}}
    pictured, others = moments[:_PICTURED], moments[_PICTURED:]
    seconds = chain(best_seconds(view, query, pictured), (moment.best_t for moment in others))
    for moment, t in zip(moments, seconds, strict=True):
        yield _columns(moment, infos[moment.source] or SourceInfo(moment.source), t, base_url, here)


def _columns(moment: Moment, info: SourceInfo, t: float, base_url: str, here: str) -> dict[str, Any]:
    """The user's own columns go before ours: who imported pictures has their `url` and `caption`."""
    path = next(iter(info.paths), "")
    ours: dict[str, Any] = {"caption": moment.text or info.text or path}
    if not info.text:
        ours["url"] = f"{base_url}thumbnail/{info.id}?t={round(t, 3)}&{here}"
    place = {"video_id": info.id, "path": path, "start": moment.start, "end": moment.end}
    return {**ours, **info.columns, **place}
