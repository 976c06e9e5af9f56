"""Paging: every result once, in one order, whatever is published meanwhile and whoever answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest

from core.log import Task
from core.store import Store
from core.types import Facts, Line, Place, Source, canonical
from core.writer import Writer
from index.gc import DAY_S, collect
from index.snapshot import Snapshot, folder_of
from server import earlier, ranking
from server.cursor import Cursor
from server.errors import ApiError
from server.library import ServedLibrary
from server.paging import page_of
from server.routes.search import answered
from server.schemas.search import SearchAsked
from server.searcher import Searcher
from server.shown import body_of
from tests.server.conftest import Running, in_thread
from tests.server.sent import base64_of
from tests.server.worlds import TOY, Scenes, Shelf, id_of, until, vector, video_rows

COLOURS = ("red", "blue", "green", "white", "pink", "orange", "purple", "black")
MODES: dict[str, dict[str, Any]] = {
    "moments": {"mode": "visual"},
    "frames": {"mode": "visual", "level": "frame"},
    "rows": {"mode": "visual", "level": "frame", "merge_gap_s": None},
    "gaps": {"mode": "visual", "level": "frame", "merge_gap_s": 3.0},
    "videos": {"mode": "visual", "group_by": "video", "group_size": 2},
    "hybrid": {"mode": "hybrid"},
    "hybrid videos": {"mode": "hybrid", "group_by": "video"},
    "words": {"mode": "text"},
    "words by video": {"mode": "text", "level": "video"},
    "texts": {"target": "texts", "mode": "hybrid"},
    "seen texts": {"target": "texts", "mode": "visual"},
    "filtered": {"filter": {"seconds": {"gte": 30}}},
    "weighed": {"mode": "visual", "weigh_frames": True},
    "diverse": {"mode": "hybrid", "diversity": 0.5},
    "least score": {"mode": "visual", "level": "frame", "min_score": 0.3},
    "a video": {"query": [{"video_id": id_of("3"), "start": 4, "end": 9}], "level": "frame"},
    "sequence": {"query": None, "sequence": [{"query": "red"}, {"query": "blue"}]},
    "sequence without": {
        "query": None,
        "sequence": [{"query": "red"}, {"query": "blue", "absent": True}, {"query": "white"}],
        "level": "frame",
        "group_by": "video",
    },
}


def add_spoken(shelf: Shelf, names: range, seed: int = 0) -> None:
    """Videos of random scenes that say colours, each line with a vector; and texts."""
    chance = np.random.default_rng([seed, names.start])
    writer, since = Writer(shelf.store), shelf.store.log.last().number
    for name in map(str, names):
        id = id_of(name)
        scenes: Scenes = [(str(chance.choice(COLOURS)), int(chance.integers(2, 12))) for _ in range(6)]
        seconds = float(sum(length for _, length in scenes))
        lines = tuple(
            Line(float(at), float(at + 3), " ".join(chance.choice(COLOURS, 2))) for at in range(0, 15, 4)
        )
        writer.tell(id, "subtitles", lines, np.stack([vector(line.text) for line in lines]))
        task = Task(Place("films", f"{name}.mp4".encode(), "1"), since)
        columns = canonical({"title": str(chance.choice(COLOURS))})
        writer.add(task, Source(id), video_rows(id, scenes), Facts(seconds=seconds), columns=columns)
    writer.commit()


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    shelf = Shelf.make(tmp_path_factory.mktemp("paged") / "data")
    add_spoken(shelf, range(16))
    shelf.add(texts=[f"{one} {other}" for one in COLOURS for other in COLOURS])
    shelf.build()
    return shelf


def ask(shelf: Shelf, **body: Any) -> dict[str, Any]:
    """As the route does it."""
    searcher = Searcher("default", TOY, Snapshot.open(shelf.store))
    _, sent = answered(searcher, page_of(SearchAsked.model_validate({"query": "red blue"} | body)))
    found: dict[str, Any] = json.loads(sent)
    return found


def pages(ask: Callable[..., dict[str, Any]], **body: Any) -> list[dict[str, Any]]:
    """All answers, one after the other."""
    found = [ask(**body)]
    while cursor := found[-1]["next_cursor"]:
        assert len(cursor) <= 4_096
        found.append(ask(**body, cursor=cursor))
    return found


def keys(answers: list[dict[str, Any]]) -> list[Any]:
    results = [result for answer in answers for result in answer["results"]]
    return [
        result.get("id") or (result["video_id"], result.get("start"), result.get("end")) for result in results
    ]


@pytest.mark.parametrize("mode", MODES)
def test_pages_are_what_one_large_request_gives(
    spoken: Shelf, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(ranking, "LOOK_AT", 8_000)  # as many as for a limit of 1,000
    whole = ask(spoken, limit=1_000, **MODES[mode])
    limit = -(-len(whole["results"]) // 5)
    paged = pages(lambda **body: ask(spoken, **body), limit=limit, **MODES[mode])
    assert limit > 1 and len(paged) in (4, 5)
    assert [result for answer in paged for result in answer["results"]] == whole["results"]
    assert all(len(answer["results"]) == limit for answer in paged[:-1])
    assert {answer["total"]["value"] for answer in paged} == {whole["total"]["value"]}
    assert whole["next_cursor"] is None


@pytest.mark.parametrize("mode", MODES)
def test_deeper_and_deeper_looks_give_each_result_once_and_move_none(
    spoken: Shelf, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(ranking, "LOOK_AT", 4)
    monkeypatch.setattr(ranking, "_ROWS_A_RESULT", 1)
    limit = 4 if "group_by" in MODES[mode] else 12
    paged = pages(lambda **body: ask(spoken, **body), limit=limit, **MODES[mode])
    found = keys(paged)
    assert len(found) == len(set(found))
    others = keys(pages(lambda **body: ask(spoken, **body | {"limit": len(found)}), **MODES[mode]))
    if mode == "rows" or "group_by" in MODES[mode]:
        assert set(found) == set(others)  # rows by themselves, and videos, are the same at any depth
    if mode == "rows":
        assert found == others


def test_every_row_is_told_by_some_page(spoken: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "LOOK_AT", 4)
    monkeypatch.setattr(ranking, "_ROWS_A_RESULT", 1)
    paged = pages(lambda **body: ask(spoken, **body), level="frame", mode="visual", limit=12)
    told = [result for answer in paged for result in answer["results"]]
    rows = ask(spoken, level="frame", mode="visual", merge_gap_s=None, limit=1_000)["results"]
    for row in rows:
        near = [each for each in told if each["video_id"] == row["video_id"]]
        covered = [min(each["end"], row["end"]) - max(each["start"], row["start"]) for each in near]
        assert max(covered) >= (row["end"] - row["start"]) / 2
    assert paged[-1]["total"] == {"value": len(told), "relation": "eq"}


def test_the_number_of_results_a_page_may_change(spoken: Shelf) -> None:
    first = ask(spoken, limit=2)
    second = ask(spoken, limit=30, cursor=first["next_cursor"])
    assert keys([first, second]) == keys([ask(spoken, limit=32)])


def test_a_cursor_is_of_one_body(sample_server: Running) -> None:
    body: dict[str, Any] = {"query": "blue", "limit": 1, "filter": {"must": [{"seconds": {"gte": 1}}]}}
    cursor = sample_server.http.post("/search", json=body).json()["next_cursor"]
    others: list[dict[str, Any]] = [{"query": "red"}, {"level": "frame"}, {"exact": True}, {"filter": None}]
    for other in [*others, {"include": []}]:
        answer = sample_server.http.post("/search", json=body | other | {"cursor": cursor})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "cursor"), other
    for name, value in [("collection", "other"), ("encoder", "toy:none"), ("group_by", "video")]:
        answer = sample_server.http.post("/search", json=body | {name: value, "cursor": cursor})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "cursor"), name
    same = {"limit": 9, "filter": {"must": [{"seconds": {"gte": 1}}]}, "query": "blue", "exact": False}
    assert sample_server.http.post("/search", json=same | {"cursor": cursor}).status_code == 200


SPELLED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"collection": "default"}),
    ({}, {"encoder": "toy:rgb"}),
    ({}, {"group_by": "none", "include": ["thumbnail", "metadata"], "merge_gap_s": 0}),
    ({}, {"query": [{"text": "blue"}]}),
    ({"include": ["thumbnail", "scores"]}, {"include": ["scores", "thumbnail"]}),
    ({"level": "video"}, {"group_by": "video"}),
]


@pytest.mark.parametrize(("asked", "more"), SPELLED, ids=str)
@pytest.mark.parametrize("first", ["short", "spelled"])
def test_a_default_may_be_spelled_out_on_either_page(
    sample_server: Running, asked: dict[str, Any], more: dict[str, Any], first: str
) -> None:
    body = {"query": "blue", "limit": 1} | asked
    one, two = (body, body | more) if first == "short" else (body | more, body)
    cursor = sample_server.http.post("/search", json=one).json()["next_cursor"]
    answer = sample_server.http.post("/search", json=two | {"cursor": cursor})
    assert answer.status_code == 200, answer.text


def test_a_cursor_is_of_one_picture_and_one_vector() -> None:
    def body(part: dict[str, Any]) -> str:
        return body_of(SearchAsked.model_validate({"query": [part]}))

    parts: list[dict[str, Any]] = [
        *({"image": base64_of(data)} for data in (b"a", b"b")),
        *({"vector": vector} for vector in ([1.0], [2.0], [1.0, 0.0])),
    ]
    assert len({body(part) for part in parts}) == len(parts)
    assert body({"vector": [1]}) == body({"vector": [1.0]})
    assert body({"image": "YQ=="}) == body({"image": "YQ\n=="})


def forged(token: str, **fields: Any) -> str:
    held = Cursor.read(token)
    values = {name: getattr(held, name) for name in Cursor.__slots__} | fields
    return Cursor(**values).token()


def test_a_cursor_that_nobody_gave_is_refused(sample_server: Running) -> None:
    body = {"query": "blue", "limit": 1}
    cursor = sample_server.http.post("/search", json=body).json()["next_cursor"]
    wrong = [
        "x",
        "!",
        "é",
        "[",
        cursor[:-1],
        cursor[:-4],
        cursor[1:],
        cursor + "=",
        cursor + "A",
        "W" * 4_096,
    ]
    wrong += [cursor.lower(), " " + cursor, "bnVsbA", "W1tbW1tbW1tbW1td", cursor * 3, "\ud800", "W10"]
    wrong += [
        forged(cursor, **{name: value})
        for name, value in [
            *(("position", value) for value in (0, -1, 1.5, True, 10**30, "1", None, 65_537)),
            *(("rows", value) for value in (-1, 16_385, 1 << 24, 10**30, None)),
            *(("snapshot", value) for value in (0, -1, "../../etc", 10**13, [1], None)),
            *(("seal", value) for value in (5, None, "x" * 201)),
            *((name, value) for name in ("collection", "store") for value in (5, "x" * 201)),
        ]
    ]
    for token in wrong:
        content = json.dumps(body | {"cursor": token})
        answer = sample_server.http.post("/search", content=content)
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "cursor"), token


def test_a_forged_cursor_opens_nothing_and_a_far_one_ends(sample_server: Running) -> None:
    body = {"query": "blue", "limit": 1}
    cursor = sample_server.http.post("/search", json=body).json()["next_cursor"]

    def status(**fields: Any) -> tuple[int, str | None]:
        answer = sample_server.http.post("/search", json=body | {"cursor": forged(cursor, **fields)})
        error = answer.json().get("error", {})
        return answer.status_code, error.get("field")

    assert status(snapshot=7) == status(seal="../../../etc") == status(snapshot=10**12) == (410, "cursor")
    assert status(collection="../x") == (404, "collection")
    assert status(encoder="toy:none") == (404, "encoder")
    assert status(rows=16_384)[0] == status(rows=0)[0] == 200
    far = sample_server.http.post("/search", json=body | {"cursor": forged(cursor, position=65_536)}).json()
    assert (far["results"], far["next_cursor"]) == ([], None)


def test_any_server_goes_on_in_the_snapshot_of_the_first_page(
    shelf: Shelf, serve: Callable[..., Running]
) -> None:
    body = {"query": "blue", "level": "frame", "merge_gap_s": None, "limit": 8}
    one = serve()
    before = pages(lambda **more: dict(one.search(**body, **more).json()))
    first = one.search(**body).json()
    shelf.add({"bluer": [("blue", 40)]})
    shelf.build()
    until(lambda: one.search("blue").json()["snapshot"] == 2)
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as other:  # which never served the first one
        until(lambda: other.get("/readyz").status_code == 200)
        answers = [first]
        while cursor := answers[-1]["next_cursor"]:
            http = (one.http, other)[len(answers) % 2]
            answers.append(http.post("/search", json=body | {"cursor": cursor}).json())
        assert keys(answers) == keys(before)
        assert {answer["snapshot"] for answer in answers} == {1}
        assert searched(other)["snapshot"] == searched(one.http)["snapshot"] == 2


def test_what_was_removed_since_is_in_no_page(shelf: Shelf) -> None:
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        first = begun(http)
        shelf.add({"more": [("blue", 20)]})
        shelf.build()
        until(lambda: searched(http)["snapshot"] == 2)
        assert id_of("green") in videos(searched(http, cursor=first["next_cursor"]))
        shelf.remove("green")
        until(lambda: id_of("green") not in videos(searched(http, cursor=first["next_cursor"])))
        shelf.remove("green", undo=True)
        until(lambda: id_of("green") in videos(searched(http, cursor=first["next_cursor"])))


def begun(http: httpx.Client) -> dict[str, Any]:
    until(lambda: http.get("/readyz").status_code == 200)
    return searched(http, limit=1)


def searched(http: httpx.Client, limit: int = 1_000, **body: Any) -> dict[str, Any]:
    answer = http.post("/search", json={"query": "blue", "group_by": "video", "limit": limit} | body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def videos(answer: dict[str, Any]) -> set[str]:
    return {result["video_id"] for result in answer["results"]}


def test_a_snapshot_that_is_gone_or_another_of_its_number_is_410(shelf: Shelf) -> None:
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        first = begun(http)
        shelf.add({"more": [("blue", 20)]})
        shelf.build()
        until(lambda: searched(http)["snapshot"] == 2)
        collect(shelf.store, keep=1, age_s=0, written_age_s=0)
        sent = {"query": "blue", "group_by": "video", "limit": 1, "cursor": first["next_cursor"]}
        answer = http.post("/search", json=sent)
        assert (answer.status_code, answer.json()["error"]["type"]) == (410, "gone")
        assert "snapshot 1 is no longer kept" in answer.json()["error"]["message"]
        shutil.copytree(folder_of(shelf.store.root, 2), folder_of(shelf.store.root, 1))
        assert http.post("/search", json=sent).status_code == 410
    anew = Shelf.make(shelf.library.data.parent / "anew")
    anew.add({"other": [("blue", 20)]})
    anew.build()
    with in_thread(ServedLibrary.of_data(anew.library.data)) as http:
        begun(http)
        assert http.post("/search", json=sent).status_code == 410


def test_gc_keeps_a_day_what_a_cursor_may_name(shelf: Shelf) -> None:
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        first = begun(http)
        for name in ("a", "b", "c", "d"):
            shelf.add({name: [("blue", 20)]})
            shelf.build()
        until(lambda: searched(http)["snapshot"] == 5)
        collect(shelf.store, keep=1, age_s=DAY_S, written_age_s=DAY_S)
        assert searched(http, cursor=first["next_cursor"])["snapshot"] == 1


def test_few_earlier_snapshots_are_kept_open_and_share_what_is_mapped(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    seals = [Snapshot.open(shelf.store).seal]
    for name in map(str, range(earlier.KEPT + 1)):
        shelf.add({name: [("blue", 20)]})
        shelf.build()
        seals.append(Snapshot.open(shelf.store).seal)
    now = Snapshot.open(shelf.store)
    held = earlier.Earlier(shelf.store, "cpu")
    opened: list[int] = []
    of = Snapshot.open

    def counted(store: Store, number: int, beside: Snapshot) -> Snapshot:
        opened.append(number)
        return of(store, number, beside)

    monkeypatch.setattr(Snapshot, "open", counted)
    views = [held.view(number, seal, now) for number, seal in enumerate(seals, 1)]
    assert [view.number for view in views] == opened == list(range(1, len(seals) + 1))
    assert held.view(len(seals), seals[-1], now) is views[-1] and len(opened) == len(seals)
    held.view(1, seals[0], now)
    assert len(opened) == len(seals) + 1, "the one that was used least was let go"
    mapped = {id(live.part) for live in now.parts}
    assert any(id(live.part) in mapped for live in views[-2].parts)
    for _ in range(2):
        with pytest.raises(ApiError) as caught:
            held.view(1, "0" * 12, now)
        assert caught.value.http_status == 410
    held.view(1, seals[0], now)
    assert len(opened) == len(seals) + 1, "a forged seal opens nothing, and lets nothing go"
    monkeypatch.setattr(earlier, "IDLE_S", -1.0)
    held.heed(shelf.store.log.last())
    held.view(2, seals[1], now)
    assert opened[-1] == 2, "what nobody asked for was let go"


def test_while_an_earlier_snapshot_is_opened_nobody_else_waits(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Snapshot.open(shelf.store)
    shelf.add({"more": [("blue", 20)]})
    shelf.build()
    now = Snapshot.open(shelf.store)
    held = earlier.Earlier(shelf.store, "cpu")
    begun, may_go_on, of = Event(), Event(), Snapshot.open

    def slow(store: Store, number: int, beside: Snapshot) -> Snapshot:
        begun.set()
        assert may_go_on.wait(20)
        return of(store, number, beside)

    monkeypatch.setattr(Snapshot, "open", slow)
    with ThreadPoolExecutor(2) as threads:
        opening = threads.submit(held.view, 1, first.seal, now)
        assert begun.wait(20)
        heeded = threads.submit(held.heed, shelf.store.log.last())
        try:
            heeded.result(10)
            with pytest.raises(ApiError):
                held.view(2, "0" * 12, now)
        finally:
            may_go_on.set()
        assert opening.result(20).number == 1
