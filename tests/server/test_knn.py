"""clip-retrieval's clients against our server: its published one as it is, and what its front-end sends."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from core.types import Thumbs
from server.library import ServedLibrary
from server.routes.knn import NOT_APPLIED
from tests.server.conftest import Running, in_thread
from tests.server.sent import base64_of, picture
from tests.server.test_encoders import OTHER, encoder_of
from tests.server.worlds import TOY, Shelf, id_of, until, vector

RED = id_of("red-then-blue")


@pytest.fixture(scope="module")
def published() -> Iterator[ModuleType]:
    """clip_client.py of the package, alone: what else is in it needs what we do not have."""
    path = Path(str(distribution("clip-retrieval").locate_file("clip_retrieval/clip_client.py")))
    spec = importlib.util.spec_from_file_location("published_clip_client", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def client(published: ModuleType, server: Running, **options: Any) -> Any:
    return published.ClipClient(f"{server.url}/knn-service", "default", **options)


def knn(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post(
        "/knn-service", json={"modality": "image", "num_images": 10, "indice_name": "default", **fields}
    )


def rows(http: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    answer = knn(http, **fields)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_the_published_client_finds_videos_by_text(published: ModuleType, sample_server: Running) -> None:
    found = client(published, sample_server).query(text="red")
    assert found[0]["similarity"] == 1
    assert found[0]["caption"] == found[0]["path"] == "films/red-then-blue.mp4"
    assert found[0]["url"].startswith(f"{sample_server.url}/thumbnail/{RED}?t=")
    assert isinstance(found[0]["id"], int)
    assert [each["similarity"] for each in found] == sorted((e["similarity"] for e in found), reverse=True)


def test_the_published_client_finds_library_texts(published: ModuleType, sample_server: Running) -> None:
    found = client(published, sample_server, modality=published.Modality.TEXT).query(text="a green thing")
    assert found[0]["caption"] == "something green"
    assert "url" not in found[0]


def test_the_published_client_asks_with_a_vector(published: ModuleType, sample_server: Running) -> None:
    asking = client(published, sample_server)
    assert asking.query(embedding_input=vector("green").tolist()) == asking.query(text="green")


def test_the_published_client_asks_with_a_picture(
    published: ModuleType, sample_server: Running, tmp_path: Path
) -> None:
    path = tmp_path / "green.png"
    path.write_bytes(picture("green"))
    found = client(published, sample_server).query(image=str(path))
    assert found[0]["video_id"] == id_of("green")


def test_pictures_of_other_hosts_are_refused_where_none_is_allowed(
    published: ModuleType, sample_server: Running
) -> None:
    answer = client(published, sample_server).query(image="http://example.org/red.png")
    assert answer["error"]["field"] == "image_url"


def test_the_published_client_gets_as_many_as_it_asks_for(
    published: ModuleType, sample_server: Running
) -> None:
    found = client(published, sample_server, num_images=2, deduplicate=False).query(text="blue")
    assert len(found) == 2


def test_it_is_told_what_makes_no_difference_here(sample_server: Running) -> None:
    asked = {"text": "red", "use_safety_model": True, "aesthetic_score": 9, "aesthetic_weight": 0.5}
    said = knn(sample_server.http, **asked).headers[NOT_APPLIED]
    assert said == "use_safety_model, aesthetic_score, aesthetic_weight"
    for none in ("", None):
        plain = knn(sample_server.http, text="red", aesthetic_score=none, aesthetic_weight="")
        assert plain.status_code == 200 and NOT_APPLIED not in plain.headers


def test_rows_that_touch_are_one_without_duplicates(sample_server: Running) -> None:
    every = rows(sample_server.http, text="red", num_images=3)
    single = rows(sample_server.http, text="red", num_images=3, deduplicate=True)
    assert [(each["start"], each["end"]) for each in every] == [(0, 8), (4, 12), (8, 16)]
    assert [(each["start"], each["end"]) for each in single] == [(0, 12)]
    assert single[0]["id"] == every[0]["id"]


def test_metadata_come_with_the_first_ones_and_later_by_id(sample_server: Running) -> None:
    http = sample_server.http
    found = rows(http, text="blue", num_images=2, num_result_ids=6)
    assert len(found) == 6
    assert all(each.keys() == {"id", "similarity"} for each in found[2:])
    ids = [each["id"] for each in found]
    told = http.post("/metadata", json={"ids": ids, "indice_name": "default"}).json()
    assert [each["id"] for each in told] == ids
    for mine, by_id in zip(found[:2], told, strict=False):
        wanted = {key: value for key, value in mine.items() if key not in ("id", "similarity", "url")}
        assert by_id["metadata"].items() >= wanted.items()
        assert by_id["metadata"]["url"].startswith(f"{sample_server.url}/thumbnail/{mine['video_id']}?t=")
    assert http.post("/metadata", json={"ids": [], "indice_name": "default"}).json() == []


def test_columns_of_ones_own_go_before_ours(shelf: Shelf) -> None:
    own = {"url": "https://example.com/1.jpg", "caption": "mine", "NSFW": "UNLIKELY", "id": "kept out"}
    shelf.add({"imported": [("pink", 8)]}, columns=json.dumps(own))
    shelf.build()
    with in_thread(ServedLibrary.of_data(shelf.library.data, lambda spec: TOY)) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        best = rows(http, text="pink")[0]
    assert {name: best[name] for name in ("url", "caption", "NSFW")} == {n: own[n] for n in own if n != "id"}
    assert isinstance(best["id"], int) and best["video_id"] == id_of("imported")


def test_ids_of_an_older_snapshot_are_known_for_that(shelf: Shelf) -> None:
    with in_thread(ServedLibrary.of_data(shelf.library.data, lambda spec: TOY)) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        id = rows(http, text="red")[0]["id"]
        shelf.add({"new": [("red", 8)]})
        shelf.build()
        until(lambda: http.post("/search", json={"query": "red"}).json()["snapshot"] == 2)
        answer = http.post("/metadata", json={"ids": [id], "indice_name": "default"})
    assert answer.status_code == 410
    assert answer.json()["error"] == {
        "type": "gone",
        "message": "ids[0] is of snapshot 1, and 2 answers now; search again.",
        "field": "ids[0]",
    }


def test_further_encoders_of_a_collection_are_indices_too(shelf: Shelf) -> None:
    encoder = encoder_of(OTHER)
    other = Shelf.make(shelf.library.data, "default", "other", spec=encoder.spec)
    other.add({"only": [("red", 10)]}, thumbs=Thumbs((3.0,), (b"a picture",)))
    other.build()
    aside = Shelf.make(shelf.library.data, "aside", "aside", spec=TOY.spec)
    aside.add(texts=["a red thing"])
    aside.build()

    def load(spec: Any) -> Any:
        return TOY if spec.name == TOY.spec.name else encoder

    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        until(lambda: http.get("/collections").text.count('"ready":true') == 3)
        assert http.get("/indices-list").json() == ["default", f"default/{OTHER}", "aside"]
        assert {each["video_id"] for each in rows(http, text="red", indice_name=f"default/{OTHER}")} == {
            id_of("only")
        }
        (best,) = rows(http, text="red", indice_name=f"default/{OTHER}", num_images=1)
        by_id = {"ids": [best["id"]], "indice_name": f"default/{OTHER}"}
        (told,) = http.post("/metadata", json=by_id).json()
        for url in (best["url"], told["metadata"]["url"]):
            assert http.get(url).content == b"a picture", url
        assert rows(http, text="red", indice_name="aside") == []
        assert rows(http, text="red", indice_name=None)[0]["video_id"] == RED


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({}, 400, "text"),
        ({"text": ""}, 400, "text"),
        ({"text": "red", "embedding_input": [1.0] * 12}, 400, "embedding_input"),
        ({"text": "red", "image": base64_of(picture("red"))}, 400, "image"),
        ({"image": base64_of(b"no picture")}, 422, "image"),
        ({"image": "not base64!"}, 400, "image"),
        ({"image": base64_of(picture("red")), "indice_name": "laion5B"}, 404, "indice_name"),
        ({"embedding_input": [1.0] * 11}, 400, "embedding_input"),
        ({"embedding_input": [0.0] * 12}, 400, "embedding_input"),
        ({"embedding_input": [1e300] * 12}, 400, "embedding_input"),
        ({"embedding_input": ["1"] * 12}, 400, "embedding_input[0]"),
        ({"text": "red", "modality": "audio"}, 400, "modality"),
        ({"text": "red", "num_images": 0}, 400, "num_images"),
        ({"text": "red", "num_result_ids": 10_001}, 400, "num_result_ids"),
        ({"text": "red", "use_mclip": True}, 400, "use_mclip"),
        ({"text": "red", "indice_name": "laion5B"}, 404, "indice_name"),
        ({"text": "red", "indice_name": "default/other"}, 404, "indice_name"),
        ({"text": "red", "indexname": "default"}, 400, "indexname"),
    ],
    ids=lambda value: value if isinstance(value, int | str) else "+".join(value) or "nothing",
)
def test_what_is_wrong_is_said(
    sample_server: Running, fields: dict[str, Any], status: int, field: str
) -> None:
    answer = knn(sample_server.http, **fields)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), answer.text


@pytest.mark.parametrize("id", [0, -1, (1 << 33) - 1, (1 << 34) - 1, 1 << 70], ids=str)
def test_a_number_of_nothing_is_not_found(sample_server: Running, id: int) -> None:
    answer = sample_server.http.post("/metadata", json={"ids": [id], "indice_name": "default"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (404, "ids[0]")
