"""A library that changes while it is served."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import core.log
from core import files
from core.errors import SnapshotError, StoreError
from core.query import Part, Query
from core.running import running, runs
from core.writer import compact
from index.gc import DAY_S, collect, gc
from index.snapshot import current
from server.library import NO_COLLECTION, TAKING_IN, ServedLibrary
from server.paging import Page
from server.routes.search import answered
from server.service import with_newer
from tests.server.conftest import Running, in_thread
from tests.server.worlds import TOY, Shelf, id_of, samples, until

ASKERS = 8


def videos(http: httpx.Client, query: str, **fields: Any) -> list[str]:
    answer = http.post("/search", json={"query": query, "group_by": "video", "limit": 1000, **fields})
    assert answer.status_code == 200, answer.text
    return [result["video_id"] for result in answer.json()["results"]]


def status(http: httpx.Client, **fields: Any) -> int:
    return http.post("/search", json={"query": "red", **fields}).status_code


def message(http: httpx.Client, **fields: Any) -> str:
    """Why it does not answer."""
    return str(http.post("/search", json={"query": "red", **fields}).json()["error"]["message"])


def snapshot(http: httpx.Client) -> int:
    return int(http.post("/search", json={"query": "red"}).json()["snapshot"])


@pytest.mark.parametrize(
    "published", [20, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_snapshots_are_swapped_under_load_without_a_failed_or_torn_answer(
    shelf: Shelf, serve: Callable[..., Running], published: int
) -> None:
    """Each is seen before the next one comes. With all that goes on beside it: shards are compacted, and what
    is two snapshots old goes at once."""
    server, over = serve(), threading.Event()
    wrong: list[str] = []
    seen: set[int] = set()

    def ask() -> None:
        body = {"query": "red", "group_by": "video", "group_size": 1, "limit": 1000}
        newest = 0
        with httpx.Client(base_url=server.url, timeout=30) as http:
            while not over.wait(0.02):  # some hundred a second; the builder needs a CPU too
                answer = http.post("/search", json=body)
                if answer.status_code != 200:
                    wrong.append(answer.text)
                    continue
                held = answer.json()
                number, count = held["snapshot"], len(held["results"])
                if number < newest or count != 2 + number or held["total"]["value"] != count:
                    wrong.append(f"snapshot {number} after {newest} with {count} videos")
                newest = number
                seen.add(number)

    def is_over_to(number: int) -> bool:
        return number in seen or bool(wrong)

    askers = [threading.Thread(target=ask) for _ in range(ASKERS)]
    for asker in askers:
        asker.start()
    try:
        until(partial(is_over_to, 1))
        for number in range(published):
            shelf.add({f"more-{number}": [("green", 8 + number % 20)]})  # snapshot n holds 2 + n videos
            if number % 5 == 4:
                compact(shelf.store, sorted(shelf.store.log.last().shards()))
            assert shelf.build() == 2 + number
            collect(shelf.store, keep=2, age_s=0, written_age_s=0)
            until(partial(is_over_to, 2 + number))
    finally:
        over.set()
        for asker in askers:
            asker.join()
    assert wrong == [], server.log.read_text()
    assert seen == {*range(1, 2 + published)}, "each of them was swapped in"


def test_what_is_removed_is_out_of_the_answers_before_a_build_and_back_when_restored(shelf: Shelf) -> None:
    green = id_of("green")
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: status(http) == 200)
        assert green in videos(http, "green")
        shelf.remove("green")
        until(lambda: green not in videos(http, "green"))
        assert http.post("/search", json={"query": [{"video_id": green}]}).status_code == 404
        assert snapshot(http) == 1
        shelf.remove("green", undo=True)
        until(lambda: green in videos(http, "green"))


def test_a_store_is_followed_across_a_checkpoint_and_gc(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.log, "CHECKPOINT_ENTRIES", 2)
    green, blue = id_of("green"), id_of("blue-then-white")
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: status(http) == 200)
        shelf.remove("green")
        for number in range(4):
            shelf.add({f"more-{number}": [("red", 8)]})
        newest = shelf.build()
        until(lambda: snapshot(http) == newest)
        until(lambda: green not in videos(http, "green"))
        age(shelf.store.root, 2 * DAY_S)
        assert gc(shelf.store).log_files > 0
        assert snapshot(http) == newest
        assert len(videos(http, "red")) == 6
        shelf.remove("blue-then-white")
        until(lambda: blue not in videos(http, "blue"))
        shelf.remove("green", undo=True)
        assert shelf.build() == newest + 1
        until(lambda: snapshot(http) == newest + 1)
        assert green in videos(http, "green") and blue not in videos(http, "blue")


def test_a_view_whose_rows_were_swept_gives_way_to_the_one_that_is_published(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    library = ServedLibrary.of_data(shelf.library.data)
    until(lambda: is_ready(library))
    old = library.find()
    query = Query((Part(text="red"),))
    shelf.add({"more": [("red", 20)]})
    compact(shelf.store, sorted(shelf.store.log.last().shards()))
    newest = shelf.build()
    collect(shelf.store, keep=1, age_s=0, written_age_s=0)
    assert len(old.view.search("clip", TOY.texts(["red"]).numpy(), 5)[0].scores) == 5, "what is mapped stays"
    with pytest.raises(
        StoreError, match=r"^[^\n]*manifest\.json cannot be read: No such file or directory\.$"
    ):
        old.answer(query)
    work = partial(answered, page=Page(None, None, query, "", None))
    _, body = with_newer(work, old, library.newer)
    assert json.loads(body)["snapshot"] == newest
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told.startswith("snapshot failed collection=default number=1 error=")
    assert told.endswith("manifest.json cannot be read: No such file or directory.")
    with pytest.raises(StoreError):
        with_newer(work, old, lambda searcher, error: None)


def test_what_is_newer_is_looked_for_once_a_second_for_all(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = ServedLibrary.of_data(shelf.library.data)
    until(lambda: is_ready(library))
    now, looks, look = [100.0], list[float](), library.look

    def counted() -> None:
        looks.append(now[0])
        look()

    monkeypatch.setattr("server.library.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(library, "look", counted)
    old, error = library.find(), SnapshotError("It is gone.")

    def ask() -> set[int | None]:
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda _: library.newer(old, error), range(40))
            return {each.view.number if each else None for each in found}

    assert ask() == {None} and looks == [100.0]
    shelf.add({"more": [("red", 20)]})
    newest = shelf.build()
    assert ask() == {None} and looks == [100.0]
    now[0] += 1.0
    assert ask() == {newest} and looks == [100.0, 101.0]
    assert caplog.text.count("error=It is gone.") == 2


def is_ready(library: ServedLibrary) -> bool:
    library.look()
    return all(offer.seen.problem is None for offers in library.offers.values() for offer in offers)


def age(folder: Path, seconds: float) -> None:
    """As if everything in a folder had been made so long ago."""
    then = time.time() - seconds
    for each in [folder, *folder.rglob("*")]:
        os.utime(each, (then, then))


def test_a_build_after_a_removal_keeps_it_out(shelf: Shelf) -> None:
    shelf.remove("green")
    shelf.build()
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: status(http) == 200)
        assert id_of("green") not in videos(http, "green")
        assert snapshot(http) == 2


def damaged(shelf: Shelf) -> None:
    """Publish, as one act, a snapshot with a flipped byte."""
    root = shelf.store.root
    folder = root / "snapshots" / "000099"
    shutil.copytree(root / "snapshots" / "000001", folder)
    manifest = bytearray((folder / "snapshot.json").read_bytes())
    manifest[len(manifest) // 2] ^= 1
    (folder / "snapshot.json").write_bytes(manifest)
    files.replace_text(root / "CURRENT", f"000099 {files.hash_file(folder / 'snapshot.json')}\n")


def missing(shelf: Shelf) -> None:
    files.replace_text(shelf.store.root / "CURRENT", f"000077 {'0' * 32}\n")


def nonsense(shelf: Shelf) -> None:
    files.replace_text(shelf.store.root / "CURRENT", "\x00nonsense")


@pytest.mark.parametrize("publish", [damaged, missing, nonsense])
def test_a_snapshot_that_does_not_open_leaves_the_old_one_serving(
    shelf: Shelf, publish: Callable[[Shelf], None], caplog: pytest.LogCaptureFixture
) -> None:
    library = ServedLibrary.of_data(shelf.library.data)
    good = current(shelf.store.root)
    assert good is not None
    with in_thread(library) as http:
        until(lambda: status(http) == 200)
        publish(shelf)
        until(lambda: "cannot be followed" in caplog.text)
        for _ in range(20):
            library.look()
            assert snapshot(http) == 1
        assert http.get("/readyz").status_code == 200
        assert caplog.text.count("cannot be followed") == 1
        files.replace_text(shelf.store.root / "CURRENT", good)
        shelf.add({"more": [("red", 20)]})
        newest = shelf.build()
        until(lambda: snapshot(http) == newest)


def test_a_rollback_is_followed(shelf: Shelf) -> None:
    before = current(shelf.store.root)
    assert before is not None
    shelf.add({"more": [("red", 20)]})
    shelf.build()
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: status(http) == 200)
        assert snapshot(http) == 2
        files.replace_text(shelf.store.root / "CURRENT", before)
        until(lambda: snapshot(http) == 1)


def test_collections_come_and_go(shelf: Shelf) -> None:
    data = shelf.library.data
    with in_thread(ServedLibrary.of_data(data)) as http:
        until(lambda: status(http) == 200)
        assert status(http, collection="others") == 404
        others = Shelf.make(data, "others", "toy-others")
        until(lambda: status(http, collection="others") == 503)
        others.add({"only": [("red", 10)]})
        others.build()
        until(lambda: status(http, collection="others") == 200)
        assert videos(http, "red", collection="others") == [id_of("only")]
        held = json.loads((data / "collections.json").read_text())
        del held["collections"]["others"]
        files.replace_text(data / "collections.json", json.dumps(held))
        until(lambda: status(http, collection="others") == 404)
        assert status(http) == 200


def test_the_first_store_of_a_collection_answers_and_a_switch_is_followed(shelf: Shelf) -> None:
    data = shelf.library.data
    second = Shelf.make(data, slug="toy-second")
    second.add({"only": [("red", 10)]})
    second.build()
    with in_thread(ServedLibrary.of_data(data)) as http:
        until(lambda: status(http) == 200)
        assert len(videos(http, "red")) == 3
        held = json.loads((data / "collections.json").read_text())
        held["collections"]["default"].reverse()
        files.replace_text(data / "collections.json", json.dumps(held))
        until(lambda: len(videos(http, "red")) == 1)


def test_collections_that_cannot_be_read_leave_the_old_ones_serving(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    library = ServedLibrary.of_data(shelf.library.data)
    with in_thread(library) as http:
        until(lambda: status(http) == 200)
        files.replace_text(shelf.library.data / "collections.json", "{")
        until(lambda: "collections cannot be read" in caplog.text)
        for _ in range(5):
            library.look()
        assert status(http) == 200
        assert caplog.text.count("collections cannot be read") == 1


def test_collections_that_never_could_be_read_are_said_to_be_damaged(shelf: Shelf) -> None:
    file = shelf.library.data / "collections.json"
    good = file.read_text()
    file.write_text("{")
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        says = "The collections cannot be read; the server's log says why."
        until(lambda: message(http) == says)
        assert status(http) == 503
        files.replace_text(file, good)
        until(lambda: status(http) == 200)


def test_a_store_that_vanishes_is_said_to_be_gone_and_comes_back(shelf: Shelf, tmp_path: Path) -> None:
    root = shelf.store.root
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: status(http) == 200)
        root.rename(tmp_path / "away")
        until(lambda: http.get("/readyz").status_code == 503)
        assert status(http) == 503
        (tmp_path / "away").rename(root)
        until(lambda: status(http) == 200)


def test_a_library_that_vanishes_is_said_to_be_gone_and_comes_back(tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({"red": [("red", 2)]})
    shelf.build()
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: status(http) == 200)
        shelf.library.data.rename(tmp_path / "away")
        until(lambda: status(http) == 503)
        assert message(http) == "The store toy-rgb cannot be opened."
        (tmp_path / "away").rename(shelf.library.data)
        until(lambda: status(http) == 200)


def test_an_empty_folder_is_served_and_filled_while_it_is(tmp_path: Path) -> None:
    with in_thread(ServedLibrary.of_data(tmp_path / "data")) as http:
        until(lambda: http.get("/healthz").status_code == 200)
        assert http.get("/readyz").status_code == 503
        answer = http.post("/search", json={"query": "red"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        samples(tmp_path / "data")
        until(lambda: http.get("/readyz").status_code == 200)
        assert len(videos(http, "red")) == 3


def test_a_store_without_a_row_is_said_to_wait_for_some(tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path)
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: "holds nothing to search yet; `extract` fills it" in message(http))
        assert status(http) == 503
        shelf.add({"red": [("red", 2)]})
        until(lambda: "`cinedex index build` makes one" in message(http))


def test_a_copy_is_one_video_at_two_places(shelf: Shelf) -> None:
    shelf.copied("green", "a/copy.mp4")
    shelf.build()
    with in_thread(ServedLibrary.of_data(shelf.library.data)) as http:
        until(lambda: status(http) == 200)
        best = http.post("/search", json={"query": "green", "limit": 1}).json()["results"][0]
        assert best["paths"] == ["films/a/copy.mp4", "films/green.mp4"]
        assert best["path"] == best["paths"][0]


@pytest.mark.parametrize("verb", ["extract", "open"])
def test_while_the_first_videos_are_taken_in_it_says_so(tmp_path: Path, verb: str) -> None:
    library = ServedLibrary.of_data(tmp_path)
    with in_thread(library) as http:
        assert message(http) == NO_COLLECTION
        with running(tmp_path, verb):
            until(lambda: bool(runs(tmp_path)))
            assert message(http) == TAKING_IN and status(http) == 503
        assert message(http) == NO_COLLECTION
