"""Two encoders in one collection, and the one that answers by default becomes another one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.types import EncoderSpec, Thumbs
from server.library import ServedLibrary
from tests.server.conftest import in_thread
from tests.server.worlds import TOY, Shelf, id_of, until

LATE = replace(TOY.spec, name="toy:late", revision=2)
ASKERS = 4
TILE = b"a picture"


class Loading:
    """Loads toy:late once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()

    def __call__(self, spec: EncoderSpec) -> Any:
        if spec.name != LATE.name:
            return TOY
        assert self.may.wait(30)
        found = copy(TOY)
        found.spec = LATE
        return found


def late(shelf: Shelf) -> Shelf:
    """The same, by the other encoder, published beside it."""
    found = Shelf.make(shelf.library.data, slug="late", spec=LATE)
    found.add({"red": [("red", 12)], "green": [("green", 12)]})
    found.build()
    return found


def answer(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/search", json={"query": "red", **fields})


def encoder(http: httpx.Client) -> str:
    found = answer(http)
    assert found.status_code == 200, found.text
    return str(found.json()["encoder"])


@contextmanager
def asked(http: httpx.Client, askers: int = ASKERS) -> Iterator[list[str]]:
    """Ask all the time; who answered, or what was wrong."""
    told: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            found = answer(http)
            told.append(found.json()["encoder"] if found.status_code == 200 else found.text)

    threads = [threading.Thread(target=ask) for _ in range(askers)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("is_dropped", [False, True], ids=["behind", "dropped"])
def test_the_default_store_is_switched_under_load_without_a_failed_answer(
    shelf: Shelf, is_dropped: bool
) -> None:
    load = Loading()
    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        until(lambda: answer(http).status_code == 200)
        with asked(http) as told:
            late(shelf)
            without = (shelf.store.root.name,) if is_dropped else ()
            shelf.library.put_first("default", "late", without=without)
            until(lambda: "late" in http.get("/collections").text)
            seen = len(told)
            until(lambda: len(told) > seen + 50)
            assert set(told) == {"toy:rgb"}, "the old one answers while the new one loads"
            load.may.set()
            until(lambda: told[-1] == "toy:late")
        assert set(told) == {"toy:rgb", "toy:late"}
        assert told.index("toy:late") >= seen
        assert answer(http, encoder="toy:rgb").status_code == (404 if is_dropped else 200)


def test_what_was_the_default_one_and_fails_itself_is_held_on_to_no_more(shelf: Shelf) -> None:
    load = Loading()
    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        until(lambda: answer(http).status_code == 200)
        late(shelf)
        shelf.library.put_first("default", "late")
        until(lambda: "late" in http.get("/collections").text)
        assert encoder(http) == "toy:rgb"
        shelf.store.root.rename(shelf.library.data / "away")
        until(lambda: "toy:late is loading" in answer(http).text)
        load.may.set()
        until(lambda: answer(http).status_code == 200)
        assert encoder(http) == "toy:late"


def resampled(shelf: Shelf) -> Shelf:
    """The same by the same encoder, as `migrate` makes it where only the sampling changes."""
    found = Shelf.make(shelf.library.data, slug="toy-rgb-2")
    found.add({"red": [("red", 12)], "green": [("green", 12)]}, thumbs=Thumbs((2.0,), (TILE,)))
    found.build()
    return found


def test_two_stores_of_one_encoder_have_a_name_each(shelf: Shelf) -> None:
    resampled(shelf)
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: answer(http, encoder="toy-rgb-2").status_code == 200)
        held = http.get("/collections").json()["collections"][0]["encoders"]
        assert [each["name"] for each in held] == ["toy:rgb", "toy-rgb-2"]
        assert http.get("/indices-list").json() == ["default", "default/toy-rgb-2"]
        videos = {name: len(by_video(http, encoder=name)) for name in ("toy:rgb", "toy-rgb-2")}
        assert videos == {"toy:rgb": 3, "toy-rgb-2": 2}
        knn = http.post("/knn-service", json={"text": "red", "indice_name": "default/toy-rgb-2"}).json()
        assert {each["path"] for each in knn} == {"films/red.mp4", "films/green.mp4"}
        series = [
            line.rpartition(" ")[0] for line in http.get("/metrics").text.splitlines() if line[0] != "#"
        ]
        assert len(series) == len(set(series))


def test_answers_of_a_further_store_lead_back_to_it(shelf: Shelf) -> None:
    resampled(shelf)
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        name = "toy-rgb-2"
        until(lambda: answer(http, encoder=name).status_code == 200)
        first = answer(http, encoder=name, limit=1).json()
        (best,) = first["results"]
        assert first["encoder"] == name and best["video_id"] == id_of("red")
        where = {"collection": first["collection"], "encoder": first["encoder"]}
        assert http.get(f"/videos/{best['video_id']}", params=where).status_code == 200
        assert http.get(best["best"]["thumbnail"]).content == TILE
        for encoder in ({"encoder": name}, {}):
            rest = answer(http, **encoder, limit=100, cursor=first["next_cursor"])
            assert rest.status_code == 200, rest.text
            assert rest.json()["encoder"] == name and rest.json()["total"] == first["total"]
        other = answer(http, encoder=shelf.store.root.name, limit=100, cursor=first["next_cursor"])
        assert (other.status_code, other.json()["error"]["field"]) == (400, "cursor")
        video = {"video_id": best["video_id"], "encoder": name}
        for route, asked in (
            ("/embed", {"texts": ["red"], "encoder": name}),
            ("/tag", {**video, "labels": ["red", "green"]}),
            ("/locate", {**video, "texts": ["red"]}),
        ):
            assert http.post(route, json=asked).json()["encoder"] == name, route


def test_a_store_may_be_paged_by_its_folders_name_too(shelf: Shelf) -> None:
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: answer(http).status_code == 200)
        first = answer(http, encoder="toy-rgb", limit=1).json()
        assert first["encoder"] == "toy:rgb"
        resampled(shelf)
        shelf.library.put_first("default", "toy-rgb-2")
        until(lambda: len(by_video(http)) == 2)
        for name in ("toy-rgb", "toy:rgb"):
            rest = answer(http, encoder=name, limit=1, cursor=first["next_cursor"])
            assert (rest.status_code, rest.json()["encoder"]) == (200, "toy-rgb"), rest.text


def by_video(http: httpx.Client, **fields: Any) -> list[Any]:
    return list(answer(http, group_by="video", limit=100, **fields).json()["results"])


def test_a_cursor_goes_on_in_its_own_store_when_another_of_its_encoder_comes_first(shelf: Shelf) -> None:
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: answer(http).status_code == 200)
        first = answer(http, group_by="video", limit=1).json()
        resampled(shelf)
        shelf.library.put_first("default", "toy-rgb-2")
        until(lambda: len(by_video(http)) == 2)

        def rest() -> httpx.Response:
            return answer(http, group_by="video", limit=100, cursor=first["next_cursor"])

        assert len(rest().json()["results"]) == 2, "of three"
        shelf.add({"more": [("blue", 20)]})
        shelf.build()
        until(lambda: len(by_video(http, encoder=shelf.store.root.name)) == 4)
        assert len(rest().json()["results"]) == 2, "also once it is an earlier one there"
        asked = {"search": {"query": "red", "group_by": "video", "cursor": first["next_cursor"]}}
        found = http.post("/export", json={"format": "json", **asked}).json()
        assert len(found["results"]) == 2
        one = {"requests": [asked["search"]]}
        assert len(http.post("/search/batch", json=one).json()["answers"][0]["results"]) == 2


def test_each_encoder_of_a_collection_answers_by_its_name(shelf: Shelf) -> None:
    load = Loading()
    load.may.set()
    late(shelf)
    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        for name, snapshot, count in (("toy:rgb", 1, 3), ("toy:late", 1, 2)):
            until(lambda name=name: answer(http, encoder=name).status_code == 200)  # type: ignore[misc]
            found = answer(http, encoder=name, group_by="video", limit=100).json()
            assert (found["encoder"], found["snapshot"], len(found["results"])) == (name, snapshot, count)
        assert encoder(http) == "toy:rgb"
