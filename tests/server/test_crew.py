"""Threads that are handed work: which there are, and when they end."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import httpx

from server.app import create_app
from server.crew import Crew
from server.library import ServedLibrary
from server.settings import ServeSettings
from tests.server.worlds import samples, until


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_a_closed_crew_does_what_it_was_handed_and_its_threads_end() -> None:
    crew, may_go_on = Crew(2, "closed"), threading.Event()
    done = [crew.hand(may_go_on.wait) for _ in range(5)]
    held = threads("closed")
    assert len(held) == 2
    crew.close()
    may_go_on.set()
    for thread in held:
        thread.join()
    assert all(each.result() for each in done)


def test_a_closed_crew_begins_again_for_what_comes_later() -> None:
    crew = Crew(3, "again")
    for number in range(2):
        assert crew.hand(lambda number=number: number).result() == number  # type: ignore[misc]
        held = threads("again")
        crew.close()
        for thread in held:
            thread.join()


def test_an_app_that_is_closed_leaves_no_idle_threads(tmp_path: Path) -> None:
    samples(tmp_path / "data")
    before = {*threading.enumerate()}
    library = ServedLibrary.of_data(tmp_path / "data")
    app = create_app(library, ServeSettings(deadline_seconds=300))

    async def answered() -> set[str]:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                answer = await http.post("/search", json={"query": "red"})
            assert answer.status_code == 200
            return {thread.name for thread in threading.enumerate() if thread not in before}

    library.look()
    until(lambda: not library.is_loading, 120)
    names = anyio.run(answered)
    assert {"answer", "encode toy:rgb", "look at the library", "look at what decodes"} <= names
    for thread in {*threading.enumerate()} - before:
        if thread.name in names:
            thread.join()  # it may be at work yet, but not wait for more
