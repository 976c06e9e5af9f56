"""Videos and texts taken out of every answer over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from core import files
from core.commands import main
from server.library import ServedLibrary
from tests.extractor.shelf import as_nobody
from tests.server.conftest import in_thread
from tests.server.worlds import Shelf, id_of, make_keys, samples, until

GREEN = id_of("green")


def found(http: httpx.Client, query: str = "green", **fields: Any) -> set[str]:
    answer = http.post("/search", json={"query": query, "limit": 1000, **fields})
    assert answer.status_code == 200, answer.text
    return {each["video_id"] for each in answer.json()["results"]}


def twin(data: Path, slug: str = "second") -> Shelf:
    """Another store of the same collection."""
    shelf = Shelf.make(data, slug=slug)
    shelf.add({"green": [("green", 20)], "red": [("red", 8)]})
    shelf.build()
    return shelf


@contextmanager
def served(shelf: Shelf) -> Iterator[httpx.Client]:
    """By a server that looks when it begins, and then only when it is made to."""
    data = shelf.library.data
    library = ServedLibrary.of_data(data)
    with in_thread(library, data=data, follow_seconds=600) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        yield http


def removed(shelf: Shelf, id: str) -> bool:
    return shelf.store.log.last().is_removed(id)


def test_the_next_answer_is_without_it_and_so_are_all_others(shelf: Shelf) -> None:
    with served(shelf) as http:
        assert GREEN in found(http)
        answer = http.delete(f"/videos/{GREEN}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert GREEN not in found(http)
        assert removed(shelf, GREEN)
        for path in ("/videos/{}", "/videos/{}/similar", "/thumbnail/{}", "/media/{}"):
            assert http.get(path.format(GREEN)).status_code == 404, path
        assert GREEN not in {each["video_id"] for each in http.get("/videos").json()["videos"]}
        assert http.post("/search", json={"query": [{"video_id": GREEN}]}).status_code == 404


def test_pages_of_the_same_snapshot_go_on_without_it(shelf: Shelf) -> None:
    body = {"query": "white", "limit": 1, "group_by": "video"}
    with served(shelf) as http:
        first = http.post("/search", json=body).json()
        shelf.add({"more": [("black", 8)]})
        shelf.build()
        assert http.delete(f"/videos/{GREEN}").status_code == 204
        more = http.post("/search", json=body | {"limit": 100, "cursor": first["next_cursor"]}).json()
        assert more["snapshot"] == first["snapshot"]
        assert more["results"]
        assert GREEN not in {each["video_id"] for each in more["results"]}


def test_it_stays_out_and_can_be_brought_back_as_with_the_command(shelf: Shelf) -> None:
    with served(shelf) as http:
        assert http.delete(f"/videos/{GREEN}").status_code == 204
    shelf.copied("green", "a copy.mp4")
    shelf.build()
    with served(shelf) as http:
        assert GREEN not in found(http)
    assert main(["remove", GREEN, "--undo", "--data", str(shelf.library.data)]) == 0
    shelf.build()
    with served(shelf) as http:
        assert GREEN in found(http)


def test_a_collection_without_a_name_is_not_the_default_one(shelf: Shelf) -> None:
    with served(shelf) as http:
        answer = http.delete(f"/videos/{GREEN}?collection=")
        assert (answer.status_code, answer.json()["error"]["field"]) == (404, "collection")
        assert not removed(shelf, GREEN)


def test_said_twice_it_is_the_same_and_one_entry(shelf: Shelf) -> None:
    with served(shelf) as http:
        before = shelf.store.log.last().number
        assert [http.delete(f"/videos/{GREEN}").status_code for _ in range(3)] == [204, 204, 204]
        assert shelf.store.log.last().number == before + 1


def test_a_library_text_is_taken_out_likewise(shelf: Shelf) -> None:
    text = id_of("a red thing", "t")
    with served(shelf) as http:
        assert text in found(http, "red", target="texts")
        assert http.delete(f"/videos/{text}").status_code == 204
        assert text not in found(http, "red", target="texts")


def test_every_store_of_the_collection_is_told_and_no_other(shelf: Shelf) -> None:
    data = shelf.library.data
    second, other = twin(data), Shelf.make(data, "other", "third")
    other.add({"green": [("green", 20)]})
    other.build()
    with served(shelf) as http:
        assert http.delete(f"/videos/{GREEN}").status_code == 204
        assert removed(shelf, GREEN) and removed(second, GREEN)
        assert not removed(other, GREEN)
        assert GREEN in found(http, collection="other")
        assert http.delete(f"/videos/{GREEN}?collection=other").status_code == 204
        assert removed(other, GREEN)


def test_one_store_knowing_it_is_enough(shelf: Shelf) -> None:
    second = twin(shelf.library.data)
    with served(shelf) as http:
        assert http.delete(f"/videos/{id_of('red')}").status_code == 204
    assert removed(second, id_of("red"))
    assert not removed(shelf, id_of("red"))


def test_again_it_is_no_news(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    with served(shelf) as http, caplog.at_level("INFO", logger="server.removal"):
        assert [http.delete(f"/videos/{GREEN}").status_code for _ in range(2)] == [204, 204]
    told = [each.getMessage() for each in caplog.records if each.name == "server.removal"]
    assert len(told) == 1 and told[0].startswith(f"source removed source={GREEN}")


def test_a_store_that_was_added_since_the_last_look_is_told_too(shelf: Shelf) -> None:
    with served(shelf) as http:
        assert GREEN in found(http)
        second = twin(shelf.library.data)
        assert http.delete(f"/videos/{GREEN}").status_code == 204
    assert removed(second, GREEN)


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        (f"/videos/{id_of('nothing')}", 404, "video_id"),
        ("/videos/..%2f..%2fetc%2fpasswd", 404, None),
        ("/videos/v-%00", 400, None),
        (f"/videos/{GREEN}?collection=other", 404, "collection"),
        (f"/videos/{GREEN}?encoder=toy:rgb", 400, "encoder"),
        (f"/videos/{'v' * 201}", 400, "video_id"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_said(
    shelf: Shelf, path: str, status: int, field: str | None
) -> None:
    before = shelf.store.log.last().number
    with served(shelf) as http:
        answer = http.delete(path)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field), answer.text
    assert shelf.store.log.last().number == before


def test_a_store_that_cannot_be_written_is_named_and_the_others_are_told(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    second, write = twin(shelf.library.data), files.link_new

    def refused(path: Path, data: bytes) -> bool:
        if shelf.store.root in path.parents:
            raise OSError(30, "Read-only file system", str(path))
        return write(path, data)

    monkeypatch.setattr(files, "link_new", refused)
    with served(shelf) as http, caplog.at_level("INFO", logger="server.removal"):
        answer = http.delete(f"/videos/{GREEN}")
        assert answer.status_code == 503
        still = f"toy-rgb cannot be changed, so {GREEN} may be found there still"
        assert answer.json()["error"] == {
            "type": "unavailable",
            "message": f"{still}; it is out of second.",
            "field": None,
        }
        assert answer.headers["retry-after"]
        assert removed(second, GREEN) and not removed(shelf, GREEN)
        assert GREEN in found(http)
        monkeypatch.setattr(files, "link_new", write)
        assert http.delete(f"/videos/{GREEN}").status_code == 204
        assert GREEN not in found(http)
    told = [each.getMessage() for each in caplog.records if each.getMessage().startswith("source removed")]
    assert [line.rpartition("=")[2] for line in told] == ["second", "toy-rgb"]


def test_a_store_that_does_not_open_may_know_it(shelf: Shelf) -> None:
    second = twin(shelf.library.data)
    (second.store.root / "store.json").write_text("{}")
    with served(shelf) as http:
        answer = http.delete(f"/videos/{GREEN}")
        assert answer.status_code == 503
        said = f"second cannot be changed, so {GREEN} may be found there still; it is out of toy-rgb."
        assert answer.json()["error"]["message"] == said
        assert str(shelf.library.data) not in answer.text


def test_a_folder_that_is_read_only_is_told_in_a_sentence() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # nobody may go in, and read
        shelf = samples(Path(folder) / "data")
        with served(shelf) as http:
            with as_nobody():
                answer = http.delete(f"/videos/{GREEN}")
            assert GREEN in found(http)
    assert answer.status_code == 503
    assert answer.json()["error"] == {
        "type": "unavailable",
        "message": f"toy-rgb cannot be changed, so {GREEN} may be found there still.",
        "field": None,
    }


def test_collections_that_cannot_be_read_are_not_taken_for_those_before(shelf: Shelf) -> None:
    with served(shelf) as http:
        held = shelf.library.data / "collections.json"
        held.write_text("{")
        answer = http.delete(f"/videos/{GREEN}")
    assert answer.status_code == 503
    assert not removed(shelf, GREEN)


def test_only_an_admins_key_removes(shelf: Shelf) -> None:
    keys = make_keys(shelf.library.data)
    path = f"/videos/{GREEN}"
    with served(shelf) as http:
        assert http.delete(path).status_code == 401
        reader, admin = ({"x-api-key": keys[scope]} for scope in ("read", "admin"))
        assert http.delete(path, headers=reader).status_code == 403
        assert not removed(shelf, GREEN)
        assert http.delete(path, headers=admin).status_code == 204
        http.headers.update(reader)
        assert GREEN not in found(http)


def test_another_server_is_without_it_from_its_next_look_on(shelf: Shelf) -> None:
    library = ServedLibrary.of_data(shelf.library.data)
    with served(shelf) as one, in_thread(library, follow_seconds=600) as other:
        until(lambda: other.get("/readyz").status_code == 200)
        assert one.delete(f"/videos/{GREEN}").status_code == 204
        assert GREEN in found(other)
        library.look()
        assert GREEN not in found(other)


def test_the_store_that_still_answers_for_another_is_told_as_well(shelf: Shelf) -> None:
    """While a collection moves on, what was its default answers until the new one can be searched."""
    data = shelf.library.data
    with served(shelf) as http:
        Shelf.make(data, slug="empty")
        text = (data / "collections.json").read_text().replace('"toy-rgb",', "")
        (data / "collections.json").write_text(text)
        assert http.delete(f"/videos/{GREEN}").status_code == 204
        assert GREEN not in found(http)
    assert removed(shelf, GREEN)
