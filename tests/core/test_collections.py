from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from core.collections import Library
from core.errors import StoreError, UsageError


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "data")


def test_a_library_that_is_not_there_has_nothing(library: Library) -> None:
    assert library.collections() == {}
    assert library.roots() == {}
    assert not library.data.exists()


def test_the_first_store_of_a_collection_stays_the_default(library: Library) -> None:
    library.add_store("default", "toy-rgb")
    library.add_store("default", "other")
    library.add_store("default", "toy-rgb")
    library.add_store("sample", "toy-rgb")
    assert library.collections() == {"default": ["toy-rgb", "other"], "sample": ["toy-rgb"]}
    assert library.store_path("toy-rgb") == library.data / "toy-rgb"


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/../b", "a\nb", "\udc80"])
def test_a_collection_is_called_by_one_printable_word(library: Library, name: str) -> None:
    with pytest.raises(UsageError, match=r"--collection .* must be one word of a path, without '/'\."):
        library.add_store(name, "toy-rgb")
    assert library.collections() == {}


def test_what_a_later_version_wrote_beside_is_kept(library: Library) -> None:
    library.data.mkdir()
    held = {"format": 1, "collections": {"a": ["x"]}, "later": 1}
    (library.data / "collections.json").write_text(json.dumps(held))
    library.add_store("a", "y")
    assert json.loads((library.data / "collections.json").read_text())["later"] == 1


def _add(data: Path, number: int) -> None:
    for i in range(10):
        Library(data).add_store("default", f"store-{number}-{i}")


def test_several_commands_at_once_lose_nothing(library: Library) -> None:
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_add, args=(library.data, number)) for number in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert len(library.collections()["default"]) == 40


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is damaged: Expecting"),
        ("[]", "must hold one JSON object"),
        ('{"format": 2, "collections": {}}', "has the format 2; this version reads format 1"),
        ('{"format": 1}', '"collections" must map'),
        ('{"format": 1, "collections": {"a": "b"}}', '"collections" must map'),
        ('{"format": 1, "collections": {"a": [""]}}', '"collections" must map'),
    ],
)
def test_a_damaged_file_is_named(library: Library, text: str, why: str) -> None:
    library.data.mkdir()
    (library.data / "collections.json").write_text(text)
    with pytest.raises(StoreError, match=f"collections.json .*{why}"):
        library.collections()


def test_a_data_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match=r"data cannot be written: .*\.$"):
        Library(tmp_path / "data").add_store("default", "toy-rgb")


def test_a_root_is_found_again_and_moves_only_when_its_folder_is_gone(
    library: Library, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    library.claim_root("films", old)
    library.claim_root("films", old)
    assert library.roots() == {"films": old}
    with pytest.raises(UsageError, match=r"The root films is .*old, which still exists; .*--root"):
        library.claim_root("films", new)
    old.rmdir()
    library.claim_root("films", new)
    assert library.roots() == {"films": new}


def test_the_same_folder_by_another_path_is_the_same_root(library: Library, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    library.claim_root("films", tmp_path / "real")
    library.claim_root("films", tmp_path / "link")
    assert library.roots() == {"films": tmp_path / "link"}


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "ü ö", "Ж" * 300, "\udc80", "a%2Fb", "con:\n"])
def test_any_root_name_is_a_safe_file_name(library: Library, name: str, tmp_path: Path) -> None:
    library.claim_root(name, tmp_path / "odd \udcff")
    library.claim_root("plain", tmp_path)
    assert library.roots() == {name: tmp_path / "odd \udcff", "plain": tmp_path}
    files = list((library.data / "roots").iterdir())
    assert len(files) == 2 and (library.data / "roots" / "plain") in files


def test_a_root_needs_a_name(library: Library, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a name"):
        library.claim_root("", tmp_path)


def test_a_damaged_root_is_named(library: Library, tmp_path: Path) -> None:
    library.claim_root("films", tmp_path)
    (library.data / "roots" / "films").write_text('{"root": 1}')
    with pytest.raises(StoreError, match=r"roots/films is damaged"):
        library.roots()


def test_a_store_becomes_the_default_one_and_takes_the_place_of_another(library: Library) -> None:
    for slug in ("old", "other", "new"):
        library.add_store("default", slug)
    library.put_first("default", "new")
    assert library.collections() == {"default": ["new", "old", "other"]}
    library.put_first("default", "other", without=("new", "unknown"))
    assert library.collections() == {"default": ["other", "old"]}
    with pytest.raises(StoreError, match=r"^The collection default in .* has no store nobody\.$"):
        library.put_first("default", "nobody")
    with pytest.raises(StoreError, match=r"has no store other\.$"):
        library.put_first("sample", "other")


def test_what_is_the_default_one_already_is_not_written_again(library: Library) -> None:
    library.add_store("default", "one")
    before = (library.data / "collections.json").stat()
    library.put_first("default", "one")
    assert (library.data / "collections.json").stat().st_ino == before.st_ino
