"""`cinedex migrate`: a store of the same videos takes the place of another, while a server answers."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.commands import main
from core.store import Store
from core.writer import Writer
from extractor.encoders import hub
from server.library import ServedLibrary
from tests.extractor.shelf import Shelf
from tests.server.conftest import in_thread
from tests.server.test_command_open import CODE, descendants, is_there
from tests.server.test_switching import asked
from tests.server.worlds import until


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """red, blue with a column, green that was removed, and two texts; published."""
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "green.mp4"):
        shelf.put(videos / name)
    blue = shelf.put(videos / "blue.mp4")
    (tmp_path / "list.jsonl").write_text(f'{{"path": "{blue}", "tag": "sea"}}\n')
    (tmp_path / "texts.txt").write_text("a red thing\nthe blue sea\n")
    shelf.extract()
    shelf.extract(f"--videos={tmp_path / 'list.jsonl'}", f"--texts={tmp_path / 'texts.txt'}")
    data = str(tmp_path / "data")
    assert main(["remove", "films/green.mp4", "--data", data]) == 0
    assert main(["index", "build", "--data", data, "--quiet"]) == 0
    return shelf


def flags(shelf: Shelf, *more: str) -> list[str]:
    return ["migrate", "--to", "toy:rgb", "--fps", "2", "--data", str(shelf.folder / "data"), *more]


def new_store(shelf: Shelf) -> Store:
    return Store.open(shelf.folder / "data" / "toy-rgb-2")


def served(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/collections").json()["collections"][0]["encoders"][0]
    return found


def order(shelf: Shelf) -> list[str]:
    library = ServedLibrary.of_data(shelf.folder / "data")
    library.look()
    return [offer.seen.spec.name and offer.store for offer in library.offers["default"] if offer.seen.spec]


def test_a_running_server_goes_over_to_the_new_store_without_a_failed_answer(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_WORKERS", "0")
    with in_thread(ServedLibrary.of_data(shelf.folder / "data")) as http:
        until(lambda: http.post("/search", json={"query": "red"}).status_code == 200)
        assert served(http)["rows"] == {"frame": 20, "clip": 4, "text": 2}
        with asked(http, askers=1) as told:
            assert main(flags(shelf)) == 0
            until(lambda: served(http)["rows"] == {"frame": 40, "clip": 4, "text": 2})
        assert set(told) == {"toy:rgb"}, "none failed"
        body = {"query": "blue", "level": "frame", "limit": 1}
        best = http.post("/search", json=body).json()["results"][0]
        assert (best["path"], best["metadata"]) == ("films/blue.mp4", {"tag": "sea"})
        found = http.post("/search", json={"query": "red", "target": "texts", "limit": 1}).json()
        assert found["results"][0]["text"] == "a red thing"
    assert "toy-rgb-2 answers for default now: snapshot 1, " in capsys.readouterr().out
    old, new = shelf.store.log.last(), new_store(shelf).log.last()
    assert list(new.live_ids()) and new.live_ids() == old.live_ids()
    assert new.removed() == old.removed() != set()
    assert list(new.live()) == list(old.live())
    again = ["--videos", str(shelf.films), "--data", str(shelf.folder / "data"), "--quiet", "--workers=0"]
    assert main(["extract", *again]) == 0
    assert new_store(shelf).log.last().number == new.number, "what was taken over is not new"

    assert main(flags(shelf, "--drop-old")) == 0, "and run again it drops what stands second"
    assert "toy-rgb is out of default; its files stay in " in capsys.readouterr().out
    assert order(shelf) == ["toy-rgb-2"] and (shelf.store.root / "store.json").exists()


def test_killed_half_way_it_leaves_no_process_and_goes_on_when_run_again(shelf: Shelf) -> None:
    with subprocess.Popen([sys.executable, "-c", CODE, *flags(shelf)], stdout=subprocess.DEVNULL) as process:
        until(lambda: (shelf.folder / "data" / "toy-rgb-2" / "store.json").exists(), 60)
        pids = descendants(process.pid)
        process.kill()
        process.wait()
    until(lambda: not [pid for pid in pids if is_there(pid)], 60)
    library = shelf.folder / "data" / "collections.json"
    assert library.read_text().index('"toy-rgb"') >= 0
    assert main(flags(shelf, "--drop-old")) == 0
    assert '"toy-rgb"' not in library.read_text()
    assert new_store(shelf).log.last().live_ids() == shelf.store.log.last().live_ids()


def test_videos_whose_files_are_gone_are_named_and_refused_and_nothing_is_made(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    (shelf.films / "blue.mp4").unlink()
    before = sorted((shelf.folder / "data").iterdir())
    assert main(flags(shelf)) == 1
    told = capsys.readouterr()
    assert told.err.startswith("cinedex migrate: The files of films/blue.mp4 are not where they were: ")
    assert "--allow-missing" in told.err and "1 videos whose files are gone" in told.out
    assert sorted((shelf.folder / "data").iterdir()) == before


def test_a_dry_run_says_what_there_is_to_do_and_does_nothing(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((shelf.folder / "data").rglob("*"))
    capsys.readouterr()
    assert main(flags(shelf, "--dry-run")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "toy-rgb → toy-rgb-2: 2 videos of 0.0 hours and 2 texts.",
        "Nothing was done; toy-rgb-2 would be filled and answer in place of toy-rgb.",
    ]
    assert sorted((shelf.folder / "data").rglob("*")) == before


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["work", "dry-run"])
@pytest.mark.parametrize(
    "encoder", ["toy:nope", "nope:nope", "open_clip:nope/nope", "open_clip:ViT-B-32/nope"]
)
def test_what_is_no_encoder_is_refused_before_anything_is_done(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], encoder: str, more: list[str]
) -> None:
    before = sorted((shelf.folder / "data").rglob("*"))
    capsys.readouterr()
    assert main(["migrate", "--to", encoder, "--data", str(shelf.folder / "data"), *more]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("cinedex migrate: ") and "nope" in told.err and told.out == ""
    assert sorted((shelf.folder / "data").rglob("*")) == before


def test_weights_that_are_not_here_are_told_by_a_dry_run(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["migrate", "--to", "open_clip:ViT-B-32/laion2b_s34b_b79k", "--dry-run"]
    words += ["--data", str(shelf.folder / "data")]
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(shelf.folder / "weights"))
    capsys.readouterr()
    with hub.offline(True):
        assert main(words) == 1
    told = capsys.readouterr()
    assert "are not on this machine, and HF_HUB_OFFLINE forbids to fetch them" in told.err and told.out == ""

    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as answering:  # 501 to everything: it is there
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{answering.server_port}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        assert main(words) == 0
        answering.shutdown()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(
        "The weights of open_clip:ViT-B-32/laion2b_s34b_b79k are not on this machine; "
        f"they are downloaded from {address}/"
    )
    assert main([*words, "--random-weights", "1"]) == 0
    assert "not on this machine" not in capsys.readouterr().out


def test_a_store_whose_encoder_is_only_called_alike_is_another_one(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Store.open(shelf.folder / "data" / "toy-rgb")
    longer = replace(old.spec, name="toy:rgb-large")
    Store.create(shelf.folder / "data" / "toy-rgb-2", longer, old.sampling.but({"fps": 2.0}))
    capsys.readouterr()
    assert main(flags(shelf, "--dry-run")) == 0
    assert "toy-rgb-3 would be filled" in capsys.readouterr().out


def test_what_answers_already_is_not_made_again(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--to", "toy:rgb", "--data", str(shelf.folder / "data")]) == 0
    assert "is the default store of default already" in capsys.readouterr().out
    assert not (shelf.folder / "data" / "toy-rgb-2").exists()


@pytest.mark.parametrize("flags", [["--to=auto"], ["--to="], []], ids=["auto", "empty", "none"])
def test_an_encoder_must_be_named(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", *flags, "--data", str(tmp_path)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "to: it must be family:variant (got " in sentence or "as in --to open_clip:MODEL/TAG." in sentence


def test_what_could_not_be_taken_over_is_told_and_is_no_hindrance(
    shelf: Shelf, broken: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file was damaged since, another is gone and was let go."""
    monkeypatch.setenv("CINEDEX_WORKERS", "0")
    store, zeros = shelf.store, (broken / "zeros.mp4").read_bytes()
    (shelf.films / "blue.mp4").write_bytes(zeros)
    writer = Writer(store)
    writer.restored(store_id(store, b"green.mp4"), store.log.last().number)
    writer.commit()
    (shelf.films / "green.mp4").unlink()
    assert main(flags(shelf, "--allow-missing")) == 0
    said = capsys.readouterr().out
    assert "left out: films/blue.mp4: " in said
    assert "left out: films/green.mp4: its file is gone" in said
    live = new_store(shelf).log.last().live()
    assert [p.shown for s in live for p in s.places if s.id[0] == "v"] == ["films/red.mp4"]


def store_id(store: Store, path: bytes) -> str:
    said = store.log.last().said("films", path)
    assert said
    return said.word.source
