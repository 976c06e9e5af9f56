"""`cinedex index`: what it prints, and with what it exits."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from core.collections import Library
from core.commands import VERBS
from core.commands import main as cinedex
from index.cli import COMMANDS, main
from index.snapshot import Snapshot
from tests.index.test_snapshot import assert_answers
from tests.index.worlds import World, lived_in, make, source_id, world

Out = pytest.CaptureFixture[str]


@pytest.fixture
def lived(tmp_path: Path) -> World:
    """DATA is the test's folder."""
    found = lived_in(tmp_path / "toy-rgb")
    Library(tmp_path).add_store("default", "toy-rgb")
    return found


def call(lived: World, *args: str) -> int:
    return main([args[0], "--data", str(lived.store.root.parent), *args[1:]])


def test_build_says_what_it_made_and_that_it_is_published(lived: World, capsys: Out) -> None:
    assert call(lived, "build") == 0
    out = capsys.readouterr().out
    assert out.startswith("toy-rgb: snapshot 1 made of 0 kept and 3 new parts, published (")
    assert f"{len(lived.rows('frame')[0])} frame rows" in out
    assert call(lived, "build") == 0
    assert capsys.readouterr().out.startswith("toy-rgb: nothing is new since snapshot 1 (")
    lived.add(1)
    assert call(lived, "build", "--no-publish") == 0
    assert "snapshot 2 made of 3 kept and 2 new parts, not published" in capsys.readouterr().out
    assert Snapshot.open(lived.store).number == 1
    assert call(lived, "build") == 0
    assert capsys.readouterr().out.startswith("toy-rgb: snapshot 2 was there, published (")
    assert_answers(lived, Snapshot.open(lived.store))


def test_build_makes_the_index_that_is_asked_for(lived: World, capsys: Out) -> None:
    assert call(lived, "build", "--factory", "frame=IVF2,SQfp16", "--memory", "512M") == 0
    snapshot = Snapshot.open(lived.store)
    assert snapshot.held["factories"] == {"frame": "IVF2,SQfp16", "clip": "Flat", "text": "Flat"}
    assert_answers(lived, snapshot)
    capsys.readouterr()
    assert call(lived, "build", "--factory", "frame=IVF2,SQ") == 2
    assert capsys.readouterr().err == (
        "cinedex index build: FAISS has no index 'IVF2,SQ' for vectors of 8 numbers.\n"
    )
    assert call(lived, "build", "--memory", "much") == 2
    assert "--memory is 'much'; a whole number and M, G or T would be right" in capsys.readouterr().err


def test_a_factory_for_a_kind_without_rows_is_said_not_to_be_kept(tmp_path: Path, capsys: Out) -> None:
    lived = world(tmp_path / "toy-rgb")
    Library(tmp_path).add_store("default", "toy-rgb")
    lived.add(2)
    kinds = [kind for kind in ("frame", "clip", "text") if lived.rows(kind)[0]]
    assert "text" not in kinds
    assert call(lived, "build", "--factory", "text=IVF2,SQfp16") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "toy-rgb: no text rows are there; --factory text=… is not kept for later."
    assert call(lived, "build", "--factory", "Flat", "--fresh") == 0
    assert "is not kept" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["build", "--follow-seconds", "9"], "--follow-seconds is for --follow, which is not there"),
        (["check", "--files", "--sample", "9"], "--sample is for --recall, which is not asked for beside"),
    ],
)
def test_a_flag_that_would_change_nothing_is_refused_unless_it_holds_for_many_calls(
    lived: World, capsys: Out, monkeypatch: pytest.MonkeyPatch, flags: list[str], says: str
) -> None:
    assert call(lived, *flags) == 2
    assert says in capsys.readouterr().err
    assert call(lived, "build") == 0
    monkeypatch.setenv("CINEDEX_" + flags[-2].removeprefix("--").replace("-", "_").upper(), flags[-1])
    assert call(lived, *flags[:-2]) == 0


def test_list_marks_the_published_one_and_shows_recall_and_size(lived: World, capsys: Out) -> None:
    call(lived, "build")
    lived.add(1)
    call(lived, "build", "--no-publish")
    capsys.readouterr()
    assert call(lived, "list") == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["store", "snapshot", "entry", "created", "sources"]
    assert head.split()[5:] == ["rows", "parts", "factories", "recall@10", "effort", "bytes"]
    assert first.startswith("*  toy-rgb  1")
    assert second.startswith("   toy-rgb  2")
    assert "1.000" in second
    assert "KiB" in second
    assert call(lived, "list", "--json") == 0
    held = json.loads(capsys.readouterr().out)["snapshots"]
    assert [(each["snapshot"], each["current"]) for each in held] == [(1, True), (2, False)]
    assert held[0]["recall"]["frame"]["10"] == 1.0
    assert held[0]["entry"] < held[1]["entry"] == lived.store.log.last().number


def test_list_names_a_damaged_snapshot(lived: World, capsys: Out) -> None:
    call(lived, "build")
    (lived.store.root / "snapshots" / "000001" / "snapshot.json").write_text("{}")
    capsys.readouterr()
    assert call(lived, "list") == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1].endswith("damaged")
    assert re.fullmatch(r"cinedex index list: .*snapshot\.json is damaged: .*\.\n", shown.err)


def test_publish_goes_back_to_an_older_snapshot(lived: World, capsys: Out) -> None:
    call(lived, "build")
    lived.add(1)
    call(lived, "build")
    assert call(lived, "publish", "1") == 0
    assert Snapshot.open(lived.store).number == 1
    capsys.readouterr()
    assert call(lived, "build") == 0
    assert capsys.readouterr().out.startswith("toy-rgb: nothing is new since snapshot 2 (")
    assert call(lived, "build") == 0
    assert capsys.readouterr().out.endswith("); 1 stays the published one.\n")
    assert call(lived, "publish", "7") == 1
    assert "000007 is missing; the snapshots that are there: 1, 2." in capsys.readouterr().err
    assert call(lived, "publish", "0") == 2


def test_check_exits_1_and_names_what_is_damaged(lived: World, capsys: Out) -> None:
    call(lived, "build")
    capsys.readouterr()
    assert call(lived, "check") == 0
    out = capsys.readouterr().out
    assert "toy-rgb: every file is as it was written." in out
    for asked in ("rows", "texts"):
        assert f"frame rows by {asked}: recall@1 1.0000, recall@10 1.0000, recall@100 1.0000." in out
    assert re.search(r"clip rows: a search takes [0-9.]+ ms, one in a hundred [0-9.]+ ms\.\n", out)
    assert call(lived, "check", "--recall") == call(lived, "check", "--recall", "1") == 0
    assert "every file" not in capsys.readouterr().out
    shard = next((lived.store.root / "shards").iterdir())
    path = shard / "sources.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert call(lived, "check", "--files") == 1
    shown = capsys.readouterr()
    assert shown.out == f"{path} is damaged: its hash is not the one its manifest holds.\n"
    assert re.fullmatch(r"cinedex index check: `extract --again` makes the shards .* replaced\.\n", shown.err)
    (lived.store.root / "store.json").write_text("{}")
    next((lived.store.root / "parts").glob("*.faiss")).unlink()
    assert call(lived, "check", "--files") == 1
    shown = capsys.readouterr()
    assert "store.json is damaged" in shown.out
    assert [line.split(":", 1)[1].split()[0] for line in shown.err.splitlines()] == [
        "`cinedex",
        "`extract",
        "Of",
    ]


def test_compact_and_gc_say_what_they_did_and_change_no_answer(lived: World, capsys: Out) -> None:
    lived.add(2)
    lived.add(2)
    lived.remove(source_id(lived.added))
    before = len(lived.store.log.last().shards())
    assert call(lived, "compact") == 0
    assert capsys.readouterr().out == f"toy-rgb: {before} shards became 1.\n"
    assert call(lived, "compact") == 0
    assert capsys.readouterr().out == "toy-rgb: no shard is worn.\n"
    call(lived, "build")
    assert_answers(lived, Snapshot.open(lived.store))
    capsys.readouterr()
    shards = list((lived.store.root / "shards").iterdir())
    assert call(lived, "gc", "--age-s", "0", "--keep", "1") == 0
    assert capsys.readouterr().out.startswith("toy-rgb: removed 0 snapshots, 0 parts, 0 shards, 0 log files")
    assert list((lived.store.root / "shards").iterdir()) == shards
    for path in lived.store.root.rglob("*"):
        os.utime(path, (0, 0))
    assert call(lived, "gc", "--keep", "1") == 0
    assert f"removed 0 snapshots, 0 parts, {len(shards) - 1} shards" in capsys.readouterr().out
    assert len(list((lived.store.root / "shards").iterdir())) == 1
    assert_answers(lived, Snapshot.open(lived.store))


def test_all_stores_are_meant_unless_one_or_a_collection_is_named(lived: World, capsys: Out) -> None:
    data = lived.store.root.parent
    other = world(data / "other")
    other.add(1)
    make(data / "empty")
    for slug in ("other", "empty"):
        Library(data).add_store("more", slug)
    assert call(lived, "build") == 0
    shown = capsys.readouterr()
    *built, last = shown.out.splitlines()
    assert [*dict.fromkeys(line.partition(":")[0] for line in built)] == ["toy-rgb", "other"]
    assert last == f"{data / 'empty'} holds nothing to build from; `extract` fills it.", "which is no failure"
    assert "cinedex index build: " not in shown.err
    whole = (data / "toy-rgb" / "store.json").read_text()
    (data / "toy-rgb" / "store.json").write_text("{}")
    assert call(lived, "list") == 1
    (data / "toy-rgb" / "store.json").write_text(whole)
    shown = capsys.readouterr()
    assert re.fullmatch(r"cinedex index list: .*store\.json is damaged: .*\.\n", shown.err)
    assert [line.split()[1] for line in shown.out.splitlines()[1:]] == ["other"]
    assert call(lived, "build", "--collection", "default") == 0
    assert capsys.readouterr().out.startswith("toy-rgb: nothing is new")
    assert call(lived, "build", "--store", str(other.store.root)) == 0
    assert capsys.readouterr().out.startswith("other: nothing is new")
    assert call(lived, "publish", "1") == 2
    assert "publish takes one store" in capsys.readouterr().err


def test_what_cannot_be_is_one_sentence_and_exit_2(tmp_path: Path, lived: World, capsys: Out) -> None:
    assert main(["build", "--data", str(tmp_path / "nowhere")]) == 2
    assert "holds no store; `extract` makes one" in capsys.readouterr().err
    assert call(lived, "build", "--collection", "defualt") == 2
    assert "has no collection 'defualt'; did you mean 'default'?" in capsys.readouterr().err
    assert main(["biuld"]) == 2
    assert capsys.readouterr().err == "cinedex index: no verb is called 'biuld'; did you mean 'build'?\n"
    assert main(["build", "--store", str(tmp_path / "collections.json")]) == 1
    assert "is a file, not the folder of a store." in capsys.readouterr().err
    assert main(["check", "--files", "--store", str(tmp_path / "nowhere")]) == 2


def test_every_verb_is_in_the_help_and_in_the_umbrella_command(capsys: Out) -> None:
    assert tuple(COMMANDS) == VERBS["index"].inner
    assert cinedex(["index", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
