"""The pictures that a request holds or names, as its encoder sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.query import Frames
from server.decoding import How, Sent
from server.paging import names_of
from server.schemas.query import PartAsked
from server.schemas.search import SearchAsked
from server.service import Service
from server.shown import named
from server.spent import Spent


async def frames_in(
    service: Service, asked: SearchAsked, *files: Sent, spent: Spent | None = None
) -> Mapping[str, Frames]:
    """By where they stand: "query[0]", and each of the files by its field. spent: by the same request so
    far."""
    parts, spent = [*parts_in(asked)], spent or Spent()
    held = [Sent(f"{at}.image", part.image) for at, part in parts if part.image is not None]
    urls = [(f"{at}.image_url", part.image_url) for at, part in parts if part.image_url is not None]
    if not (held or urls or files):
        return {}
    searcher = service.library.find(*names_of(asked))
    look = searcher.encoder.spec.look
    fetched = await service.fetching.all(urls, spent)
    held += [Sent(field, body) for (field, _), body in zip(urls, fetched, strict=True)]
    photos = await service.strangers.frames(held, How(look), spent)
    seen = await service.strangers.frames(files, How(look, searcher.view.store.sampling), spent)
    return {field.rpartition(".")[0]: frames for field, frames in photos.items()} | dict(seen)


def pictures_in(asked: SearchAsked) -> int:
    """How many pictures a body holds or names."""
    return sum(part.image is not None or part.image_url is not None for _, part in parts_in(asked))


def parts_in(asked: SearchAsked) -> Iterator[tuple[str, PartAsked]]:
    """The parts of its query or of its steps, with where they stand."""
    if asked.query is not None:
        yield from named(asked.query, "query")
    for number, step in enumerate(asked.sequence or ()):
        yield from named(step.query, f"sequence[{number}].query")
