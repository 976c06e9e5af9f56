"""`cinedex keys` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.commands import main
from server.keys import KeysFile, parse

Keys = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Keys:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["keys", *words, "--data", str(tmp_path / "data")])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_a_key_is_printed_once_and_alone(run: Keys) -> None:
    code, out, err = run("create", "laptop")
    key = out.removesuffix("\n")
    assert code == 0 and parse(key) is not None
    assert key[13:] not in err and "name=laptop scope=read" in err
    assert key[13:] not in "".join(run("list")[1:]) + "".join(run("list", "--json")[1:])


def test_keys_are_listed_with_what_they_may_and_until_when(run: Keys) -> None:
    assert run("list")[1] == "id  name  scope  created  expires\n"
    run("create", "laptop")
    run("create", "boss", "--scope", "admin", "--days", "1")
    _, laptop, boss = run("list")[1].splitlines()
    assert " laptop  read " in laptop and laptop.endswith("  never")
    assert " boss    admin " in boss and boss.endswith("Z")
    held = json.loads(run("list", "--json")[1])["keys"]
    assert [set(key) for key in held] == [{"id", "name", "scope", "created", "expires", "expired"}] * 2
    assert [(key["name"], key["expires"] is None, key["expired"]) for key in held] == [
        ("laptop", True, False),
        ("boss", False, False),
    ]


def test_a_key_is_revoked_by_its_name(run: Keys) -> None:
    run("create", "laptop")
    assert run("revoke", "laptop")[0] == 0
    assert run("list", "--json")[1] == '{\n "keys": []\n}\n'
    code, out, err = run("revoke", "laptop")
    assert (code, out) == (2, "")
    assert "has no key 'laptop'; `cinedex keys list` shows those there are." in err


def test_another_file_can_be_named(run: Keys, tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    assert run("create", "laptop", "--keys-file", str(path))[0] == 0
    assert [key.name for key in KeysFile(path).read() or ()] == ["laptop"]
    assert not (tmp_path / "data").exists()


def test_a_damaged_file_is_left_as_it_is(run: Keys, tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    path.parent.mkdir()
    path.write_text("{")
    for words in (["create", "laptop"], ["list"], ["revoke", "laptop"]):
        code, out, err = run(*words)
        assert (code, out) == (1, "") and "keys.json is damaged" in err and err.count("\n") == 1
    assert path.read_text() == "{"


def test_a_misspelt_verb_is_told_its_name(run: Keys) -> None:
    assert run("revok", "x")[2] == "cinedex keys: no verb is called 'revok'; did you mean 'revoke'?\n"
