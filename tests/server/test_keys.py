"""The keys' file, and what can be made of a key."""

from __future__ import annotations

import json
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import StoreError, UsageError
from server import keys
from server.keys import KeysFile


@pytest.fixture
def file(tmp_path: Path) -> KeysFile:
    return KeysFile(tmp_path / "data" / "keys.json")


def test_a_key_is_read_back_and_its_secret_is_nowhere_in_the_file(file: KeysFile) -> None:
    key, text = keys.make("laptop", "read", datetime(2030, 1, 1, tzinfo=UTC))
    file.add(key)
    assert file.read() == (key,)
    parsed = keys.parse(text)
    assert parsed is not None and parsed[0] == key.id and len(parsed[1]) == 64
    held = file.path.read_text()
    assert parsed[1] not in held and keys.session_token(parsed[1]) not in held
    assert keys.token_hash(keys.session_token(parsed[1])) in held


def test_the_file_is_for_its_owner_only_and_no_draft_is_left(file: KeysFile) -> None:
    for name in ("a", "b"):
        file.add(keys.make(name, "read", None)[0])
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert {path.name for path in file.path.parent.iterdir()} == {"keys.json", "keys.json.lock"}


def test_a_file_that_others_may_read_stays_so(file: KeysFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.add(keys.make("a", "read", None)[0])
    given: list[tuple[int, int]] = []

    def refuse(path: Path, owner: int, group: int) -> None:
        given.append((owner, group))
        if owner >= 0:
            raise PermissionError

    monkeypatch.setattr("os.chown", refuse)
    held = file.path.stat()
    for change in (lambda: file.add(keys.make("b", "read", None)[0]), lambda: file.remove("a")):
        file.path.chmod(0o664)
        change()
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o664
    assert given == [(held.st_uid, held.st_gid), (-1, held.st_gid)] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_stays_theirs(file: KeysFile) -> None:
    file.add(keys.make("a", "read", None)[0])
    os.chown(file.path, 10001, 10001)
    file.remove("a")
    assert (file.path.stat().st_uid, file.path.stat().st_gid) == (10001, 10001)


def test_two_keys_have_nothing_in_common() -> None:
    (_, one), (_, other) = keys.make("a", "read", None), keys.make("a", "read", None)
    assert one[4:12] != other[4:12] and one[13:] != other[13:]


def test_keys_made_at_once_are_all_kept(file: KeysFile) -> None:
    def add(number: int) -> None:
        file.add(keys.make(f"key-{number}", "read", None)[0])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in file.read() or ()} == {f"key-{number}" for number in range(8)}


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_key_is_taken_away_by_id_and_by_name_and_the_file_stays(file: KeysFile, by: str) -> None:
    key, _ = keys.make("laptop", "read", None)
    file.add(key)
    assert file.remove(getattr(key, by)) == key
    assert file.read() == ()


def test_a_name_stands_for_one_key(file: KeysFile) -> None:
    file.add(keys.make("laptop", "read", None)[0])
    with pytest.raises(UsageError, match="a key is called 'laptop' already"):
        file.add(keys.make("laptop", "admin", None)[0])


def test_what_is_not_there_is_not_taken_away(file: KeysFile) -> None:
    with pytest.raises(UsageError, match="has no key 'laptop'"):
        file.remove("laptop")
    assert not file.path.parent.exists()


def test_a_key_is_over_when_its_time_comes() -> None:
    now = datetime.now(UTC)
    assert keys.make("a", "read", now - timedelta(seconds=1))[0].is_over()
    assert not keys.make("a", "read", now + timedelta(days=1))[0].is_over()
    assert not keys.make("a", "read", None)[0].is_over()


GOOD: dict[str, Any] = {
    "id": "0123abcd",
    "name": "a",
    "scope": "read",
    "created": "2026-01-01T00:00:00Z",
    "expires": None,
    "hash": "0" * 64,
}


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ([], "must be an object of format 1"),
        ({"keys": []}, "must be an object of format 1"),
        ({"format": 2, "keys": []}, "must be an object of format 1"),
        ({"format": 1}, "'keys' is missing"),
        ({"format": 1, "keys": [{}]}, "'id' is missing"),
        ({"format": 1, "keys": [GOOD | {"id": "../etc"}]}, "id of a key is no id"),
        ({"format": 1, "keys": [GOOD | {"hash": "0"}]}, "hash of a key is no hash"),
        ({"format": 1, "keys": [GOOD | {"name": ""}]}, "name of a key is no name"),
        ({"format": 1, "keys": [GOOD | {"scope": "all"}]}, "neither read nor admin"),
        ({"format": 1, "keys": [GOOD | {"scope": ["read"]}]}, "neither read nor admin"),
        ({"format": 1, "keys": [GOOD | {"expires": "2030-01-01"}]}, "names no zone"),
        ({"format": 1, "keys": [GOOD | {"expires": 5}]}, "must be str"),
        ({"format": 1, "keys": [GOOD, GOOD | {"name": "b"}]}, "two keys have the same id"),
        ({"format": 1, "keys": [GOOD, GOOD | {"id": "0123abce"}]}, "two keys have the same name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_understood_is_damage(file: KeysFile, held: Any, why: str) -> None:
    file.path.parent.mkdir()
    file.path.write_text(json.dumps(held))
    with pytest.raises(StoreError, match=why):
        file.read()


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00"])
def test_a_file_that_is_no_json_is_damage(file: KeysFile, text: str) -> None:
    file.path.parent.mkdir()
    file.path.write_text(text)
    with pytest.raises(StoreError, match="is damaged"):
        file.read()


def test_more_that_a_later_version_says_of_a_key_is_passed_over(file: KeysFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text(json.dumps({"format": 1, "keys": [GOOD | {"note": "x"}]}))
    assert [key.name for key in file.read() or ()] == ["a"]


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "a\n", "a\x1b[2J", "x" * 65])
def test_a_name_is_a_word(name: str) -> None:
    with pytest.raises(UsageError, match="name: "):
        keys.make(name, "read", None)


@pytest.mark.parametrize(
    "text", ["", "cdx_", "cdx_0123abcd_", "CDX_0123abcd_" + "0" * 64, "cdx_0123abcd_" + "0" * 65]
)
def test_what_does_not_look_like_a_key_is_none(text: str) -> None:
    assert keys.parse(text) is None
