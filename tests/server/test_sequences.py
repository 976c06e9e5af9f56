"""Sequences over HTTP: scenes of colours that follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from server import steps
from server.library import ServedLibrary
from tests.server.conftest import Running, in_thread
from tests.server.test_paging import pages
from tests.server.worlds import TOY, Scenes, Shelf, id_of, until

VIDEOS: dict[str, Scenes] = {
    "red-blue": [("red", 16), ("blue", 16)],
    "blue-red": [("blue", 16), ("red", 16)],
    "red-green-blue": [("red", 16), ("green", 16), ("blue", 16)],
    "red-only": [("red", 16)],
    "white": [("white", 16)],
}
THREE = {id_of(name) for name in ("red-blue", "red-green-blue")}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    shelf = Shelf.make(tmp_path_factory.mktemp("scenes") / "data")
    shelf.add(VIDEOS)
    shelf.build()
    with in_thread(ServedLibrary.of_data(shelf.library.data, lambda spec: TOY)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def asked(http: httpx.Client, *sequence: Any, **fields: Any) -> dict[str, Any]:
    body = {"sequence": [step if isinstance(step, dict) else {"query": step} for step in sequence], **fields}
    answer = http.post("/search", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def best(answer: dict[str, Any], least: float = 0.9) -> set[str]:
    return {result["video_id"] for result in answer["results"] if result["score"] >= least}


def without(query: str) -> dict[str, Any]:
    return {"query": query, "absent": True}


@pytest.mark.parametrize("level", ["frame", "clip"])
def test_one_scene_then_another(http: httpx.Client, level: str) -> None:
    answer = asked(http, "red", "blue", level=level)
    assert best(answer) == THREE
    assert best(asked(http, "blue", "red", level=level)) == {id_of("blue-red")}
    assert best(asked(http, "red", "blue", level=level, within_s=4)) == {id_of("red-blue")}
    assert best(asked(http, "red", "blue", level=level, min_gap_s=16, within_s=40)) >= {
        id_of("red-green-blue")
    }
    assert best(asked(http, "red", "green", "blue", level=level)) == {id_of("red-green-blue")}
    assert answer["total"]["relation"] == "eq" and answer["snapshot"] == 1


@pytest.mark.parametrize("level", ["frame", "clip"])
def test_one_without_another(http: httpx.Client, level: str) -> None:
    assert best(asked(http, "red", without("blue"), level=level)) == {id_of("red-only"), id_of("blue-red")}
    assert best(asked(http, without("blue"), "red", level=level)) == {
        id_of(name) for name in ("red-only", "red-blue", "red-green-blue")
    }
    between = asked(http, "red", without("green"), "blue", level=level)
    assert best(between) == {id_of("red-blue")}
    assert [step is None for step in between["results"][0]["steps"]] == [False, True, False]


def test_a_result_has_a_result_for_each_step(http: httpx.Client) -> None:
    answer = asked(http, "red", "blue", level="frame", limit=1, include=["metadata", "scores", "explain"])
    (result,) = answer["results"]
    red, blue = result["steps"]
    assert (result["start"], result["end"]) == (red["start"], blue["end"])
    assert result["score"] == pytest.approx((red["score"] + blue["score"]) / 2)
    assert red["scores"] == [red["score"]] and blue["explain"]["rows"][0]["id"] == blue["id"]
    assert red["id"].startswith(f"{result['video_id']}/frame/") and red["end"] <= blue["start"]
    assert set(result) == {
        *("video_id", "path", "paths", "start", "end", "score", "confidence", "confidence_level"),
        *("metadata", "steps"),
    }


def test_what_else_is_asked_for_holds_of_sequences_too(http: httpx.Client) -> None:
    every = asked(http, "red", "blue", level="frame", limit=1_000)
    one_each = asked(http, "red", "blue", level="frame", limit=1_000, group_by="video")
    videos = [result["video_id"] for result in one_each["results"]]
    assert len(videos) == len(set(videos)) == len({result["video_id"] for result in every["results"]})
    assert len(every["results"]) > len(videos)
    (scene,) = [r for r in asked(http, "white", without("red"), limit=9)["results"] if r["score"] > 0.9]
    assert scene["video_id"] == id_of("white"), "rows of one scene are one result"
    kept = asked(http, "red", "blue", filter={"seconds": {"gte": 40}})
    assert {result["video_id"] for result in kept["results"]} == {id_of("red-green-blue")}
    good = asked(http, "red", "blue", level="frame", limit=1_000, min_score=0.9)
    assert good["results"] == [r for r in every["results"] if r["score"] >= 0.9]
    (wide, *_) = asked(http, "red", "blue", level="frame", limit=1, pad_s=2)["results"]
    (narrow, *_) = asked(http, "red", "blue", level="frame", limit=1)["results"]
    assert (wide["start"], wide["end"]) == (max(narrow["start"] - 2, 0), narrow["end"] + 2)


def test_a_step_may_be_a_video_which_does_not_find_itself(http: httpx.Client) -> None:
    answer = asked(http, {"query": [{"video_id": id_of("red-only")}]}, "blue", level="frame")
    assert best(answer) == THREE
    range_of = {"query": [{"video_id": id_of("red-blue"), "start": 0, "end": 16}]}
    found = best(asked(http, range_of, "blue", level="frame"))
    assert found == {id_of("red-green-blue")}


def test_a_step_that_names_nothing_is_told_where(http: httpx.Client) -> None:
    sequence = [{"query": "red"}, {"query": [{"text": "blue"}, {"video_id": "v-none"}]}]
    answer = http.post("/search", json={"sequence": sequence})
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (404, "sequence[1].query[1].video_id")
    assert error["message"].startswith("sequence[1].query[1].video_id: ")


def test_few_rows_of_each_step_say_which_videos_to_look_through(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "SAY_WHERE", 60)
    answer = asked(http, "red", "blue", level="frame")
    assert best(answer) >= THREE and answer["total"]["relation"] == "gte"
    paged = pages(lambda **more: asked(http, "red", "blue", level="frame", limit=2, **more))
    assert sum(len(page["results"]) for page in paged) == answer["total"]["value"]


def test_a_sequence_is_asked_for_by_the_client_too(sample_server: Running) -> None:
    from cinedex_client import Client, SequenceResult

    with Client(sample_server.url) as client:
        answer = client.search(sequence=[{"query": "red"}, {"query": "blue"}], level="frame", limit=1)
    (found,) = answer.results
    assert isinstance(found, SequenceResult) and found.video_id == id_of("red-then-blue")
    assert [moment.start < 12 for moment in answer.moments] == [True, False]
