"""From files to answers on a real socket, by the commands people type."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.commands import main
from extractor.world.plain_films import plain_film

SAMPLES = 8
TEXTS = [{"text": text} for text in ("red", "green", "blue", "yellow", "white")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of the sample videos and some texts, indexed."""
    folder = tmp_path_factory.mktemp("library")
    texts = folder / "colours.jsonl"
    texts.write_text("".join(json.dumps(line) + "\n" for line in TEXTS))
    common = ["--data", str(folder / "data"), "--quiet"]
    assert main(["sample-videos", "--plain", str(folder / "films"), "--count", str(SAMPLES)]) == 0
    videos = ["--videos", str(folder / "films"), "--encoder", "toy:rgb"]
    assert main(["extract", *videos, "--texts", str(texts), *common]) == 0
    assert main(["index", "build", *common]) == 0
    return folder / "data"


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[httpx.Client]:
    """A client of `cinedex serve` on a free port."""
    code = "import sys; from core.commands import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stderr is not None
        address = server.stdout.readline().strip()
        with httpx.Client(base_url=address, timeout=60) as found:
            wait_until_ready(found)
            yield found
        server.terminate()
        server.stdout.read()
        server.stderr.read()
    assert server.returncode == 0


def wait_until_ready(client: httpx.Client) -> None:
    """It says where it is before the encoder is warm."""
    end = time.monotonic() + 120
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def ask(client: httpx.Client, **body: object) -> list[dict[str, Any]]:
    answer = client.post("/search", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def scenes(colour: str) -> dict[str, tuple[float, float]]:
    """The samples' paths that show it, and when: what is true by how they were made."""
    return {
        f"films/sample-{number + 1:02}.mp4": (start, end)
        for number in range(SAMPLES)
        for start, end, caption in plain_film(0, number).captions()
        if f" {colour} " in caption
    }


@pytest.mark.parametrize("colour", ["red", "blue", "green"])
def test_a_colour_finds_its_videos_first_with_their_times(client: httpx.Client, colour: str) -> None:
    truth = scenes(colour)
    found = ask(client, query=colour, level="frame", group_by="video", limit=50)
    assert len(truth) >= 2
    assert {result["path"] for result in found[: len(truth)]} == set(truth)
    for result in found[: len(truth)]:
        start, end = truth[result["path"]]
        best = result["moments"][0]
        assert start <= best["start"] < best["end"] <= end
        assert best["start"] <= best["best"]["t"] < best["end"]


def test_a_clip_is_found_where_most_of_it_is_red(client: httpx.Client) -> None:
    best = ask(client, query="red", limit=1)[0]
    start, end = scenes("red")[best["path"]]
    assert best["start"] < end and start < best["end"]


def test_a_red_video_finds_the_text_red(client: httpx.Client) -> None:
    best = ask(client, query="red", limit=1)[0]
    start, end = scenes("red")[best["path"]]
    part = {"video_id": best["video_id"], "start": start, "end": end}
    found = ask(client, query=[part], target="texts", limit=3)
    assert found[0]["text"] == "red"


def test_seconds_of_a_video_find_videos_of_their_colour(client: httpx.Client) -> None:
    truth = scenes("red")
    best = ask(client, query="red", level="frame", limit=1)[0]
    part = {"video_id": best["video_id"], "start": best["start"], "end": best["end"]}
    found = ask(client, query=[part], level="frame", group_by="video", limit=len(truth))
    assert {result["path"] for result in found} == set(truth)


def test_without_a_server_the_answer_is_the_same(
    client: httpx.Client, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = ask(client, query="red", limit=3)
    for where in (["--server", str(client.base_url)], ["--data", str(data)]):
        assert main(["search", "red", "--top", "3", "--json", *where]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["results"] == results
    assert main(["search", "red", "--top", "3", "--data", str(data)]) == 0
    shown = capsys.readouterr().out
    assert all(result["path"] in shown for result in answer["results"])


def test_the_second_run_has_nothing_to_do(data: Path) -> None:
    before = sorted(data.rglob("shards/*"))
    films = str(data.parent / "films")
    assert main(["extract", "--videos", films, "--data", str(data), "--quiet"]) == 0
    assert sorted(data.rglob("shards/*")) == before
