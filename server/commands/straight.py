"""Answers straight from a store, as a server of it gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from core.collections import Library
from core.errors import StoreError, UsageError
from core.query import Frames
from core.store import Store
from server.trust import distrusted, misfit

if TYPE_CHECKING:
    from extractor.encoders.base import Encoder
    from server.exports.written import Export
    from server.paging import Page
    from server.schemas.search import SearchAsked
    from server.searcher import Answer, Searcher


def answers(searcher: Searcher, body: Mapping[str, Any], file: Path | None) -> Iterator[dict[str, Any]]:
    """What POST /search answers to the body, or /search/upload with the file, and to each next cursor."""
    from server.shown import as_sent

    for answer, page in _pages(searcher, body, file):
        sent: dict[str, Any] = json.loads(as_sent(answer, page.body))
        yield sent


def exported(
    searcher: Searcher, body: Mapping[str, Any], file: Path | None, how: Export, *, is_all: bool
) -> Iterator[bytes]:
    """What POST /export answers: of the first page, or of all as one."""
    from server.exports.written import written

    pages = _pages(searcher, body, file)
    answer, _ = next(pages)
    if is_all:
        rest = [found for each, _ in pages for found in each.results]
        answer = replace(answer, results=[*answer.results, *rest])
    return written(answer, how)


def _pages(searcher: Searcher, body: Mapping[str, Any], file: Path | None) -> Iterator[tuple[Answer, Page]]:
    """The first page, and each that goes on behind it."""
    from server.cursor import Cursor
    from server.paging import page_of
    from server.routes.search import found
    from server.shown import next_of

    asked = _valid(body, file)
    frames = _decoded(searcher, asked, file)
    page = page_of(asked, frames, frames.get("file"))
    while True:
        answer = found(searcher, page)
        yield answer, page
        token = next_of(answer, page.body)
        if token is None:
            return
        page = replace(page, cursor=Cursor.read(token))


def _valid(body: Mapping[str, Any], file: Path | None) -> SearchAsked:
    from server.refusals import sentence
    from server.schemas.search import SearchAsked
    from server.schemas.upload import UploadAsked

    model = SearchAsked if file is None else UploadAsked
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = error.errors()[0]
        raise UsageError(sentence({**found, "loc": ("body", *found["loc"])}, model)[0]) from error


def _decoded(searcher: Searcher, asked: SearchAsked, file: Path | None) -> Mapping[str, Frames]:
    """What is seen in the pictures and in the file, by where they stand; decoded as a server would."""
    from server.decoding import Decoding, How, Sent
    from server.limits import Slots
    from server.seen import parts_in
    from server.settings import ServeSettings

    decoding = Decoding(Slots(1, 0), ServeSettings(), lambda seconds: None)
    look, sampling = searcher.encoder.spec.look, searcher.view.store.sampling
    pictures = [Sent(f"{at}.image", part.image) for at, part in parts_in(asked) if part.image is not None]
    seen = decoding.decoded(pictures, How(look)) if pictures else {}
    found = {field.rpartition(".")[0]: frames for field, frames in seen.items()}
    if file is None:
        return found
    with file.open("rb") as content:
        return found | dict(decoding.decoded([Sent("file", content)], How(look, sampling)))


def searcher_by(
    data: Path, chosen: tuple[Path | None, str | None, str | None], trusted: Sequence[str], device: str
) -> Searcher:
    """What answers for a store that was chosen by its folder, or by its collection and its encoder."""
    root, collection, encoder = chosen
    name = "default"
    if root is None:
        name, root = store_in(data, collection, encoder)
    store = Store.open(root)
    if encoder not in (None, store.spec.name):
        raise UsageError(f"--store {root} holds vectors of {store.spec.name}, not of {encoder!r}.")
    return searcher_of(store, name, trusted, device)


def searcher_of(store: Store, collection: str, trusted: Sequence[str], device: str) -> Searcher:
    """What answers for a store by itself."""
    from index.threads import bound_threads
    from index.view import view_of
    from server.searcher import Searcher

    bound_threads()
    return Searcher(collection, _trusted(store, trusted), view_of(store, device))


def _trusted(store: Store, trusted: Sequence[str]) -> Encoder:
    """The encoder that answers for a store, or a StoreError."""
    from server.library import load_encoder

    if why := distrusted(store.spec, trusted):
        raise StoreError(why)
    encoder = load_encoder(store.spec)
    if why := misfit(store.spec, encoder.spec):
        raise StoreError(why)
    return encoder


def store_in(data: Path, collection: str | None, encoder: str | None) -> tuple[str, Path]:
    """The collection's name and the store's folder."""
    library = Library(data)
    held = library.collections()
    if not held:
        raise UsageError(f"{data} holds no collection; `extract --videos DIR` makes one.")
    default = "default" if "default" in held else next(iter(held))
    name = default if collection is None else collection
    if name not in held:
        raise UsageError(f"There is no collection {name!r} in {data}; there are {', '.join(held)}.")
    paths = [library.store_path(slug) for slug in held[name]]
    if encoder is None:
        return name, paths[0]
    from extractor.encoders.recipe import absolute

    names = [Store.open(path).spec.name for path in paths]
    for known, path in zip(names, paths, strict=True):
        if known == absolute(encoder):
            return name, path
    raise UsageError(f"The collection {name} has no encoder {encoder!r}; it has {', '.join(names)}.")
