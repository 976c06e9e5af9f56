"""cinedex_client against a real server, and against what is none."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cinedex_client import (
    ApiError,
    AsyncClient,
    Client,
    ClientError,
    VideoResult,
)

from tests.server.conftest import Running
from tests.server.worlds import id_of

ROOT = Path(__file__).parents[2]


def answering(status: int, content: bytes, headers: dict[str, str] | None = None) -> Client:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers=headers)

    return Client(transport=httpx.MockTransport(answer))


def test_a_search_is_typed(sample_server: Running) -> None:
    with Client(sample_server.url) as client:
        assert client.health()
        assert client.ready().collections[0].encoders[0].name == "toy:rgb"
        answer = client.search("red", limit=1)
    (best,) = answer.moments
    assert (best.path, best.start, best.end) == ("films/red-then-blue.mp4", 0.0, 16.0)
    assert best.best is not None and best.best.t == 0.0
    assert answer.took_ms.total > 0


def test_parts_groups_and_null_reach_the_server(sample_server: Running) -> None:
    with Client(sample_server.url) as client:
        grouped = client.search([{"video_id": id_of("green")}], group_by="video", group_size=1)
        assert all(isinstance(result, VideoResult) for result in grouped.results)
        assert len(grouped.moments) == len(grouped.results) == 2
        rows = client.search("red", level="frame", merge_gap_s=None, limit=100)
        assert rows.total.value == 60


def test_a_filter_reaches_the_server(sample_server: Running) -> None:
    with Client(sample_server.url) as client:
        kept = client.search("blue", filter={"must": [{"seconds": {"gte": 17, "lte": 20}}]})
        assert {moment.path for moment in kept.moments} == {"films/green.mp4"}
        assert len(client.search("blue", filter=None).moments) > len(kept.moments)


def test_the_asynchronous_client_answers_the_same(sample_server: Running) -> None:
    async def ask() -> tuple[bool, bool, list[str]]:
        async with AsyncClient(sample_server.url) as client:
            found, ready = await asyncio.gather(client.search("blue"), client.ready())
            return await client.health(), ready.ready, [moment.id for moment in found.moments]

    with Client(sample_server.url) as client:
        assert asyncio.run(ask()) == (True, True, [moment.id for moment in client.search("blue").moments])


def test_an_error_carries_what_the_server_said(sample_server: Running) -> None:
    with Client(sample_server.url) as client, pytest.raises(ApiError) as caught:
        client.search("red", limit=0)
    error = caught.value
    assert (error.status, error.type, error.field) == (400, "invalid_request", "limit")
    assert error.message == str(error)
    assert error.request_id


def test_an_asynchronous_error_is_the_same(sample_server: Running) -> None:
    async def ask() -> None:
        async with AsyncClient(sample_server.url) as client:
            await client.search("red", collection="none")

    with pytest.raises(ApiError, match="there is no 'none' here"):
        asyncio.run(ask())


def test_a_server_that_is_not_ready_says_so_without_an_exception() -> None:
    with answering(503, b'{"ready": false, "collections": []}') as client:
        assert not client.ready().ready


@pytest.mark.parametrize(
    ("status", "content"), [(200, b"<html>"), (200, b"{}"), (502, b"Bad Gateway"), (500, b"[]")]
)
def test_what_is_no_such_server_is_told(status: int, content: bytes) -> None:
    with answering(status, content) as client, pytest.raises(ClientError, match="as a Cinedex server does"):
        client.search("red")


def test_an_answer_that_cannot_be_decoded_is_told() -> None:
    def garbled(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"no such thing")
        )

    with Client(transport=httpx.MockTransport(garbled)) as client:
        assert not client.health()
        with pytest.raises(ClientError, match=r"The answer of .* cannot be read: "):
            client.search("red")

    async def ask() -> bool:
        async with AsyncClient(transport=httpx.MockTransport(garbled)) as client:
            with pytest.raises(ClientError, match="cannot be read"):
                await client.ready()
            return await client.health()

    assert not asyncio.run(ask())


@pytest.mark.parametrize("url", ["nowhere", "ftp://host", "http://", ""])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(ClientError):
        Client(url)


def test_fields_of_a_newer_server_are_kept(sample_server: Running) -> None:
    answer = sample_server.search("red").json() | {"something_new": 1}
    with answering(200, httpx.Response(200, json=answer).content) as client:
        assert client.search("red").model_extra == {"something_new": 1}


def test_it_imports_nothing_of_ours() -> None:
    found = importlib.util.find_spec("cinedex_client")
    assert found is not None and found.origin is not None
    code = "import sys, cinedex_client; print([m for m in ('core', 'server', 'torch') if m in sys.modules])"
    folder = str(Path(found.origin).parent)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": folder},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_example_answers(sample_server: Running) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "search.py"), "red", sample_server.url],
        env={"PYTHONPATH": str(ROOT / "client")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "0.00–16.00 s  1.000  films/red-then-blue.mp4" in done.stdout
