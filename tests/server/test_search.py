"""POST /search over a real socket, in a process of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.conftest import Running
from tests.server.worlds import id_of

RED, GREEN, BLUE = id_of("red-then-blue"), id_of("green"), id_of("blue-then-white")


def ask(server: Running, query: Any, **fields: Any) -> dict[str, Any]:
    answer = server.search(query, **fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [result["video_id"] for result in answer["results"]]


def test_a_text_finds_the_seconds_of_a_video(sample_server: Running) -> None:
    best = ask(sample_server, "red")["results"][0]
    assert best == {
        "id": f"{RED}/clip/0",
        "video_id": RED,
        "path": "films/red-then-blue.mp4",
        "paths": ["films/red-then-blue.mp4"],
        "start": 0.0,
        "end": 16.0,
        "score": 1.0,
        "confidence": None,
        "confidence_level": None,
        "best": {"t": 0.0, "thumbnail": None},
        "matched_on": ["visual"],
        "approximate": False,
        "text": None,
        "written_by": None,
        "metadata": {"tag": "sample"},
        "scores": [],
        "explain": None,
        "vector": [],
    }


def test_an_answer_has_its_whole_shape(sample_server: Running) -> None:
    answer = ask(sample_server, "red", limit=1)
    took = answer.pop("took_ms")
    assert len(answer.pop("results")) == 1
    assert isinstance(answer.pop("next_cursor"), str)
    assert answer == {
        "total": {"value": 4, "relation": "eq"},
        "collection": "default",
        "encoder": "toy:rgb",
        "encoder_notice": None,
        "snapshot": 1,
        "confident": None,
        "partial": [],
        "query_truncated": False,
        "query_unknown": [],
    }
    assert set(took) == {"total", "encode", "search", "look_up"}
    assert took["total"] >= max(took["encode"], took["search"], took["look_up"]) >= 0


def test_a_scene_is_a_moment_of_its_own_although_its_clips_touch_the_next(sample_server: Running) -> None:
    answer = ask(sample_server, "blue")
    ranges = {(r["video_id"], r["start"], r["end"]) for r in answer["results"][:2]}
    assert ranges == {(RED, 8.0, 24.0), (BLUE, 0.0, 12.0)}


def test_frames_are_moments_to_the_second(sample_server: Running) -> None:
    best = ask(sample_server, "white", level="frame")["results"][0]
    assert (best["video_id"], best["start"], best["end"]) == (BLUE, 8.0, 16.0)
    assert best["best"]["t"] == 8.0


def test_the_best_second_is_where_the_best_picture_is(sample_server: Running) -> None:
    found = {result["video_id"]: result for result in ask(sample_server, "blue")["results"][:2]}
    assert found[RED]["start"] == 8.0
    assert found[RED]["best"]["t"] == 12.0


def test_a_video_finds_texts(sample_server: Running) -> None:
    answer = ask(sample_server, [{"video_id": GREEN}], target="texts", limit=2)
    best = answer["results"][0]
    assert (best["text"], best["score"], best["best"]) == ("something green", 1.0, None)
    assert best["id"] == f"{id_of('something green', 't')}/text/0-0"
    assert best["matched_on"] == ["text"]


def test_seconds_of_a_video_find_other_texts_than_its_other_seconds(sample_server: Running) -> None:
    early = ask(sample_server, [{"video_id": RED, "end": 8}], target="texts")
    late = ask(sample_server, [{"video_id": RED, "start": 18}], target="texts")
    assert early["results"][0]["text"] == "a red thing"
    assert late["results"][0]["text"] == "the blue sea"


def test_a_text_finds_texts_and_a_stored_one_not_itself(sample_server: Running) -> None:
    sea = id_of("the blue sea", "t")
    assert ids(ask(sample_server, "navy", target="texts"))[0] == sea
    assert sea not in ids(ask(sample_server, [{"video_id": sea}], target="texts"))


def test_a_stored_text_finds_videos(sample_server: Running) -> None:
    query = [{"video_id": id_of("something green", "t")}]
    assert ids(ask(sample_server, query))[0] == GREEN


def test_a_video_finds_others_and_not_itself(sample_server: Running) -> None:
    answer = ask(sample_server, [{"video_id": BLUE}])
    assert ids(answer)[0] == RED
    assert BLUE not in ids(answer)


def test_a_range_finds_other_seconds_of_its_own_video(sample_server: Running) -> None:
    answer = ask(sample_server, [{"video_id": RED, "start": 0, "end": 4}], level="frame")
    best = answer["results"][0]
    assert (best["video_id"], best["start"], best["end"]) == (RED, 4.0, 12.0)


def test_parts_are_mixed_by_their_weights(sample_server: Running) -> None:
    mostly_green = [{"text": "green", "weight": 3}, {"video_id": BLUE, "start": 0, "end": 4}]
    assert ids(ask(sample_server, mostly_green))[0] == GREEN
    mostly_blue = [{"text": "green"}, {"video_id": BLUE, "start": 0, "end": 4, "weight": 3}]
    assert ids(ask(sample_server, mostly_blue))[0] == RED


def test_grouped_by_video_each_is_there_once(sample_server: Running) -> None:
    answer = ask(sample_server, "blue", group_by="video", group_size=1)
    assert sorted(ids(answer)) == sorted([RED, GREEN, BLUE])
    best = answer["results"][0]
    assert len(best["moments"]) == 1
    assert best["score"] == best["moments"][0]["score"]
    assert set(best) == {
        *("video_id", "path", "paths", "score", "confidence", "confidence_level", "metadata", "moments"),
    }
    assert ask(sample_server, "blue", level="video", group_size=1)["results"] == answer["results"]


def test_exact_and_effort_answer_the_same_where_every_row_is_compared_anyway(sample_server: Running) -> None:
    plain = ask(sample_server, "blue", level="frame")
    for more in ({"exact": True}, {"effort": 1}, {"effort": 10**30}, {"exact": True, "effort": 2}):
        assert ask(sample_server, "blue", level="frame", **more)["results"] == plain["results"]
    mine = [{"video_id": BLUE}]
    assert ask(sample_server, mine, exact=True)["results"] == ask(sample_server, mine)["results"]


def test_null_never_merges_and_a_gap_merges_more(sample_server: Running) -> None:
    rows = ask(sample_server, "red", level="frame", merge_gap_s=None, limit=100)
    assert rows["total"]["value"] == 24 + 20 + 16
    assert ask(sample_server, "red", level="frame", limit=100)["total"]["value"] == 4


def test_padding_stays_within_the_video(sample_server: Running) -> None:
    best = ask(sample_server, "red", pad_s=3)["results"][0]
    assert (best["start"], best["end"]) == (0.0, 19.0)
    assert ask(sample_server, "red", pad_s=100)["results"][0]["end"] == 24.0
    assert best["id"] == f"{RED}/clip/0"


def test_null_is_as_if_not_sent(sample_server: Running) -> None:
    plain = ask(sample_server, "red")
    nulls = ask(sample_server, "red", limit=None, cursor=None, filter=None, level=None, diversity=0)
    assert plain["results"] == nulls["results"]


def test_collection_and_encoder_can_be_named(sample_server: Running) -> None:
    assert ask(sample_server, "red", collection="default", encoder="toy:rgb")["results"]


def test_what_is_served_is_listed(sample_server: Running) -> None:
    answer = sample_server.http.get("/collections").json()
    (collection,) = answer["collections"]
    (encoder,) = collection["encoders"]
    assert (collection["name"], collection["default"]) == ("default", True)
    assert encoder["rows"] == {"frame": 60, "clip": 12, "text": 3}
    assert encoder["ready"] and encoder["reason"] is None
    assert sample_server.http.get("/readyz").json() == {"ready": True, **answer}
    assert sample_server.http.get("/healthz").json() == {"status": "ok"}


def test_metrics_count_requests_and_stages(sample_server: Running) -> None:
    ask(sample_server, "red")
    text = sample_server.http.get("/metrics").text
    assert 'cinedex_requests_total{method="POST",route="/search",status="200"}' in text
    for line in (
        'cinedex_stage_seconds_count{stage="encode"}',
        'cinedex_snapshot_number{collection="default",encoder="toy:rgb"} 1.0',
        'cinedex_rows{collection="default",encoder="toy:rgb",kind="clip"} 12.0',
        "cinedex_in_flight 1.0",
    ):
        assert line in text


@pytest.mark.parametrize("sent", ["abc.DEF-1_2", "x" * 64])
def test_a_request_keeps_the_id_it_brought(sample_server: Running, sent: str) -> None:
    answer = sample_server.http.get("/nothing", headers={"X-Request-Id": sent})
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == sent


@pytest.mark.parametrize("sent", [b"x" * 65, b"a b", "ü".encode(), b""])
def test_an_id_that_is_none_is_replaced(sample_server: Running, sent: bytes) -> None:
    answer = sample_server.http.get("/healthz", headers={b"X-Request-Id": sent})
    assert len(answer.headers["x-request-id"]) == 16


def test_mode_and_include_may_be_sent_as_what_they_are_without(sample_server: Running) -> None:
    plain = ask(sample_server, "red")
    said = ask(sample_server, "red", mode="visual", include=["thumbnail", "metadata"])
    assert said["results"] == plain["results"]


def test_very_small_weights_are_weights(sample_server: Running) -> None:
    plain = ask(sample_server, "red")
    small = ask(sample_server, [{"text": "red", "weight": 1e-300}])
    assert small["results"] == plain["results"]
