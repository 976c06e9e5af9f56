"""The application, made of a library and settings; nothing is global."""

from __future__ import annotations

import json
from asyncio import wrap_future
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial

import anyio
from anyio import to_thread
from fastapi import FastAPI

from extractor.media import fork
from server import gate, openapi, patience, refusals, temporary
from server.access import LOOK_S, Access, Closed
from server.batching import Batching
from server.cache import vector_cache
from server.clips import Clips
from server.crew import Crew
from server.decoding import Decoding
from server.encoders import Retry
from server.fetching import Fetching
from server.library import ServedLibrary
from server.limits import Slots, cpus
from server.metrics import Metrics
from server.routes import (
    batch,
    caption,
    docs,
    embed,
    export,
    health,
    knn,
    login,
    media,
    page,
    search,
    tag,
    upload,
    videos,
)
from server.service import Service
from server.settings import ServeSettings
from server.waking import Waking

CONTRACT = "1"  # of docs/http-api.md: fields are added, none is renamed
MIB = 1 << 20
FILES_AT_ONCE = 16  # of the library, that are looked at: that takes hardly any time, but where a disk hangs


def create_app(
    library: ServedLibrary, settings: ServeSettings, encoder_threads: int = 0, closed: Closed | None = None
) -> FastAPI:
    """Serve what is in a library. encoder_threads: of each encoder; 0: as many as torch has. closed: what
    workers share."""
    cores = cpus(settings.workers)
    slots = Slots(settings.max_concurrent or cores, settings.max_waiting)
    decoding = Slots(settings.max_decoding or cores, settings.max_waiting)
    files = Slots(FILES_AT_ONCE, settings.max_waiting)
    metrics = Metrics(library, slots, decoding)
    cache = vector_cache(int(settings.cache_mb * MIB))
    library.encode_by(Batching(cache, encoder_threads, metrics.batched, metrics.looked_up))
    clips = Clips(int(settings.clip_cache_mb * MIB))
    strangers = Decoding(decoding, settings, metrics.decoded, metrics.waited)
    fetching = Fetching.of(settings.image_hosts, int(settings.max_body_mb * MIB))
    service = Service(library, settings, slots, metrics, decoding, files, clips, strangers, fetching)
    access, waking = Access.of(settings, closed), Waking()
    library.when_missed(waking.wake)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(temporary.sweep)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow, library.look, settings.follow_seconds, "the library", waking)
            tasks.start_soon(follow, partial(prepare, library), settings.follow_seconds, "what decodes")
            tasks.start_soon(follow, access.look, LOOK_S, "the keys' file")
            yield
            tasks.cancel_scope.cancel()
        for each in (clips, slots, decoding, files, library):
            each.close()

    app = FastAPI(
        title="Cinedex",
        version=CONTRACT,
        description="Moments of videos by text, by video and back. docs/http-api.md is the whole contract.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    for routes in (search, upload, batch, embed, tag, caption, knn, health, media, videos, export):
        app.include_router(routes.router(service))
    app.include_router(login.router(access))
    app.include_router(docs.router())
    app.include_router(page.router())
    app.router.routes.append(docs.bundle())
    refusals.install(app)
    openapi.install(app)
    ours = (settings.host, *([settings.published] if settings.published else []))
    hosts = frozenset(map(gate.bare, (*gate.LOOPBACK, *ours, *settings.allowed_hosts)))
    most = int(settings.max_body_mb * MIB), int(settings.max_upload_mb * MIB)
    rules = gate.Rules(
        hosts,
        *most,
        is_anywhere=gate.is_wildcard(settings.host),
        by_any_number=access.is_by_key and gate.is_wildcard(settings.published or ""),
    )
    app.add_middleware(patience.Bounded, seconds=settings.deadline_seconds)
    app.add_middleware(gate.Gate, rules=rules, access=access, metrics=metrics, full=service.refusal)
    return app


def prepare(library: ServedLibrary) -> None:
    """What decodes files is loaded beside, before somebody waits for it; again where somebody killed it."""
    if library.has_files:
        fork.prepare()


async def follow(look: Callable[[], None], seconds: float, what: str, waking: Waking | None = None) -> None:
    """Look at it again and again, in a thread of its own: one that hangs holds up no other, and no
    shutdown. waking: what may ask for a look before its time."""
    trouble = Retry()
    with closing(Crew(1, f"look at {what}")) as looking:
        while True:
            try:
                await wrap_future(looking.hand(look))
                trouble.reset()
            except Exception as error:  # a task's edge: what is served goes on being served
                trouble.fail(f"{what} could not be looked at", error)
            await (anyio.sleep(seconds) if waking is None else waking.wait(seconds))


def openapi_text() -> str:
    """docs/openapi.json."""
    app = create_app(ServedLibrary(dict), ServeSettings())
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"
