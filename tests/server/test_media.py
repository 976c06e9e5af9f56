"""Files and stored pictures over HTTP, from a library of real videos."""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from core.shard import Shard
from core.types import Place
from server import folders, ranged
from server.library import ServedLibrary
from tests.server.conftest import in_thread
from tests.server.filmed import DAY, Films, id_at
from tests.server.worlds import until

NAMES = ("red.mp4", "red-then-blue.mp4", "with-sound.mkv")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Films:
    return Films.copied(videos, tmp_path_factory.mktemp("filmed"), *NAMES)


@pytest.fixture(scope="module")
def http(films: Films) -> Iterator[httpx.Client]:
    with in_thread(films.library()) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


@pytest.fixture(scope="module")
def red(http: httpx.Client) -> str:
    return id_at(http, "red.mp4")


def refused(answer: httpx.Response, status: int, field: str | None = "video_id") -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["field"] == field
    return str(error["message"])


def test_a_file_comes_as_it_lies_there(http: httpx.Client, films: Films, red: str) -> None:
    answer = http.get(f"/media/{red}")
    assert answer.status_code == 200
    assert answer.content == (films.folder / "red.mp4").read_bytes()
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == f'"{red}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert http.get(f"/media/{id_at(http, 'with-sound.mkv')}").headers["content-type"] == "video/x-matroska"


@pytest.mark.parametrize(
    ("asked", "first", "behind"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("bytes=5-99999999999", 5, None),
        ("Bytes=3-4", 3, 5),
    ],
)
def test_a_range_is_a_piece_of_it(
    http: httpx.Client, films: Films, red: str, asked: str, first: int, behind: int | None
) -> None:
    whole = (films.folder / "red.mp4").read_bytes()
    answer = http.get(f"/media/{red}", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == whole[first:behind]
    begin = first % len(whole)
    assert answer.headers["content-range"] == (
        f"bytes {begin}-{begin + len(answer.content) - 1}/{len(whole)}"
    )


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-3", "bytes=", "bytes=-", "pages=1-2"])
def test_what_is_no_single_range_gets_all(http: httpx.Client, red: str, asked: str) -> None:
    answer = http.get(f"/media/{red}", headers={"Range": asked})
    assert answer.status_code == 200 and "content-range" not in answer.headers


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=99999999-",
        "bytes=-0",
        "bytes=99999999-999999999",
        f"bytes={10**20}-",
    ],
)
def test_a_range_behind_the_end_is_416(http: httpx.Client, films: Films, red: str, asked: str) -> None:
    answer = http.get(f"/media/{red}", headers={"Range": asked})
    size = (films.folder / "red.mp4").stat().st_size
    assert refused(answer, 416, "Range") == f"Range: the file has {size} bytes, and none of those asked for."
    assert answer.headers["content-range"] == f"bytes */{size}"


def test_a_range_of_another_file_than_the_one_the_client_has_is_all(http: httpx.Client, red: str) -> None:
    def status(known: str) -> int:
        headers = {"Range": "bytes=0-1", "If-Range": known}
        return http.get(f"/media/{red}", headers=headers).status_code

    head = http.head(f"/media/{red}")
    assert (status(head.headers["etag"]), status(head.headers["last-modified"])) == (206, 206)
    assert (status('"other"'), status("Thu, 01 Jan 1970 00:00:00 GMT")) == (200, 200)


def test_who_has_it_is_told_so(http: httpx.Client, red: str) -> None:
    answer = http.get(f"/media/{red}", headers={"If-None-Match": f'W/"x", "{red}"'})
    assert (answer.status_code, answer.content) == (304, b"")


def test_head_says_all_but_the_bytes(http: httpx.Client, films: Films, red: str) -> None:
    answer = http.head(f"/media/{red}", headers={"Range": "bytes=1-4"})
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (206, b"", "4")


@pytest.mark.parametrize("id", ["v-none", "..%2F..%2Fetc%2Fpasswd", "v-" + "0" * 32])
@pytest.mark.parametrize("route", ["media", "thumbnail"])
def test_an_id_that_is_not_there_names_no_file(http: httpx.Client, route: str, id: str) -> None:
    answer = http.get(f"/{route}/{id}")
    assert answer.status_code == 404 and "root:" not in answer.text


def test_a_moment_names_a_stored_picture_within_it(http: httpx.Client) -> None:
    found = http.post("/search", json={"query": "blue", "limit": 5}).json()["results"]
    assert found
    for each in found:
        address = httpx.URL(each["best"]["thumbnail"])
        assert address.is_relative_url and "exact" not in address.params
        assert each["start"] <= float(address.params["t"]) < each["end"]
        answer = http.get(address)
        assert answer.headers["content-type"] == "image/jpeg" and answer.headers["cache-control"] == DAY
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.size == (160, 90)
        again = http.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_where_no_picture_is_stored_a_moment_names_the_exact_one_if_a_file_may_be_there(
    tmp_path: Path, videos: Path
) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(videos / "red.mp4", folder / "red.mp4")
    films = Films.of(folder, tmp_path / "data", "--no-thumbs")

    def best(library: ServedLibrary) -> dict[str, Any]:
        with in_thread(library) as client:
            until(lambda: client.get("/readyz").status_code == 200)
            refused(client.get(f"/thumbnail/{id_at(client, 'red.mp4')}"), 404)
            found = client.post("/search", json={"query": "red", "limit": 1}).json()["results"][0]["best"]
            return dict(found)

    held = best(films.library())
    params = httpx.URL(held["thumbnail"]).params
    assert (float(params["t"]), params["exact"]) == (held["t"], "1")
    assert best(ServedLibrary.of_store(films.data / "toy-rgb"))["thumbnail"] is None


def test_the_nearest_stored_picture_comes(http: httpx.Client, films: Films, red: str) -> None:
    (folder,) = (films.data / "toy-rgb" / "shards").iterdir()
    times, tiles = Shard(folder).thumbs(red).times, Shard(folder).thumbs(red).tiles
    assert len(times) > 1
    for t, tile in zip(times, tiles, strict=True):
        for near in (t, max(0.0, t - 0.1), t + 0.1):
            assert http.get(f"/thumbnail/{red}", params={"t": near}).content == tile
    assert http.get(f"/thumbnail/{red}", params={"t": 1e8}).content == tiles[-1]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"t": -1}, "t"),
        ({"t": "nan"}, "t"),
        ({"t": "x"}, "t"),
        ({"time": 3}, "time"),
        ({"exact": "7"}, "exact"),
    ],
)
def test_a_wrong_parameter_is_named(http: httpx.Client, red: str, query: dict[str, Any], field: str) -> None:
    assert refused(http.get(f"/thumbnail/{red}", params=query), 400, field).startswith(field)


def test_another_collection_or_encoder_is_not_there(http: httpx.Client, red: str) -> None:
    for name in ("collection", "encoder"):
        refused(http.get(f"/media/{red}", params={name: "other"}), 404, name)


def reason(films: Films, name: str) -> str:
    with in_thread(films.library()) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        message = refused(client.get(f"/media/{id_at(client, name)}"), 404)
        assert str(films.folder) not in message
        return message.rpartition(": ")[2]


def test_a_file_that_is_gone_changed_or_outside_is_not_there(tmp_path: Path, videos: Path) -> None:
    films = Films.copied(videos, tmp_path, "red.mp4")
    file, aside = films.folder / "red.mp4", tmp_path / "aside.mp4"
    held = file.stat()
    file.rename(aside)
    assert reason(films, "red.mp4") == "it is gone."
    file.symlink_to(aside)
    assert reason(films, "red.mp4") == "it lies outside of its root's folder."
    file.unlink()
    os.mkfifo(file)
    assert reason(films, "red.mp4") == "it has changed since it was embedded."
    file.unlink()
    shutil.copy(aside, file)
    os.utime(file, ns=(held.st_atime_ns, held.st_mtime_ns + 1))
    assert reason(films, "red.mp4") == "it has changed since it was embedded."


def test_of_several_places_the_first_that_fits_is_taken(tmp_path: Path, videos: Path) -> None:
    folder = tmp_path / "twice"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(videos / "red.mp4", folder / name)
    films = Films.of(folder, tmp_path / "data")
    (folder / "a.mp4").unlink()
    with in_thread(films.library()) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.get(f"/media/{id_at(client, 'a.mp4')}").status_code == 200


def test_a_link_within_the_folder_is_followed(tmp_path: Path, videos: Path) -> None:
    folder = tmp_path / "linked"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(videos / "red.mp4", folder / "deep" / "real.mp4")
    films = Films.of(folder, tmp_path / "data")
    (folder / "deep" / "real.mp4").rename(folder / "moved.mp4")
    (folder / "deep" / "real.mp4").symlink_to("../moved.mp4")
    with in_thread(films.library()) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.get(f"/media/{id_at(client, 'real.mp4')}").status_code == 200


def test_a_store_alone_knows_no_files(films: Films) -> None:
    with in_thread(ServedLibrary.of_store(films.data / "toy-rgb")) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        found = client.post("/search", json={"query": "red", "limit": 1}).json()["results"][0]
        assert client.get(found["best"]["thumbnail"]).status_code == 200
        assert "no root is known" in refused(client.get(f"/media/{found['video_id']}"), 404)


def test_a_disk_that_hangs_holds_up_no_search(films: Films, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, let_go = threading.Semaphore(0), threading.Event()
    opened = folders._opened

    def slowly(folder: Path, place: Place) -> folders.OpenFile | str:
        hanging.release()
        assert let_go.wait(30)
        return opened(folder, place)

    with in_thread(films.library(), max_concurrent=1) as client, ThreadPoolExecutor(3) as pool:
        until(lambda: client.get("/readyz").status_code == 200)
        red = id_at(client, "red.mp4")
        monkeypatch.setattr(folders, "_opened", slowly)
        asked = [pool.submit(client.get, f"/{path}/{red}{more}") for path, more in HANGING]
        for _ in asked:
            assert hanging.acquire(timeout=30)
        assert client.post("/search", json={"query": "red"}).status_code == 200
        let_go.set()
        assert {each.result(30).status_code for each in asked} == {200}


def test_a_store_that_hangs_while_a_tile_is_read_holds_up_no_search(
    films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, let_go = threading.Event(), threading.Event()
    read = Shard.thumbnail

    def slowly(shard: Shard, source: str, t: float) -> Any:
        hanging.set()
        assert let_go.wait(30)
        return read(shard, source, t)

    with in_thread(films.library(), max_concurrent=1) as client, ThreadPoolExecutor(1) as pool:
        until(lambda: client.get("/readyz").status_code == 200)
        monkeypatch.setattr(Shard, "thumbnail", slowly)
        asked = pool.submit(client.get, f"/thumbnail/{id_at(client, 'red.mp4')}")
        assert hanging.wait(30)
        assert client.post("/search", json={"query": "red"}).status_code == 200
        let_go.set()
        assert asked.result(30).status_code == 200


HANGING = [("media", ""), ("clip", "?end=1"), ("thumbnail", "?exact=1")]


def test_a_piece_that_hangs_holds_up_no_search_and_its_file_is_closed_behind_it(
    films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, let_go, closed = threading.Semaphore(0), threading.Event(), list[bool]()
    read, close = ranged._piece, folders.OpenFile.close

    def slowly(file: ranged.Readable, first: int, count: int) -> bytes:
        hanging.release()
        assert let_go.wait(30)
        return read(file, first, count)

    def noted(file: folders.OpenFile) -> None:
        closed.append(let_go.is_set())
        close(file)

    monkeypatch.setattr(ranged, "_piece", slowly)
    monkeypatch.setattr(folders.OpenFile, "close", noted)
    with in_thread(films.library(), max_concurrent=1) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        address = f"{client.base_url}/media/{id_at(client, 'red.mp4')}"
        with httpx.stream("GET", address, timeout=30):
            assert hanging.acquire(timeout=30)
        until(lambda: "cinedex_in_flight 1.0" in client.get("/metrics").text)
        assert not closed
        let_go.set()
        until(lambda: closed == [True])
