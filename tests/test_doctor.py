from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from core.collections import Library
from core.store import Store
from core.types import EncoderSpec, Look, Sampling
from server.commands import doctor
from server.commands.doctor import Finding
from tests.server.worlds import Shelf


def states(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(finding.state, finding.about) for finding in findings]


def test_where_nothing_is_wrong_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--data", str(tmp_path / "data")]) == 0
    shown = capsys.readouterr().out
    for about in (
        "cinedex",
        "packages",
        "torch",
        "devices",
        "sqlite",
        "faiss",
        "search",
        "codecs",
        "encoders",
        "weights",
        "disk",
    ):
        assert f" {about} " in shown
    assert "toy" in shown and "h264" in shown and "atomic rename and hard links" in shown
    assert shown.endswith("Nothing is wrong.\n")
    assert not (tmp_path / "data").exists()


def test_an_index_that_does_not_open_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf.make(tmp_path)
    shelf.add({"red": [("red", 2)]})
    shelf.build()
    asked = ["--data", str(shelf.library.data), "--json"]
    assert doctor.main(asked) == 0
    capsys.readouterr()
    next((shelf.store.root / "parts").glob("*.rows.npy")).unlink()
    assert doctor.main(asked) == 1
    assert ".rows.npy is missing" in json.loads(capsys.readouterr().out)["wrong"][0]


@pytest.mark.parametrize("name", ["sources.parquet", "frame.parquet", "frame.npy"])
def test_a_shard_that_no_search_could_read_is_wrong(tmp_path: Path, name: str) -> None:
    shelf = Shelf.make(tmp_path)
    shelf.add({"red": [("red", 2)]})
    shelf.build()
    path = next((shelf.store.root / "shards").glob(f"*/{name}"))
    held = path.read_bytes()
    path.write_bytes(held[:-1] if name.endswith("npy") else held[:-9] + b"?" + held[-8:])
    [wrong] = [found for found in doctor.data_folder(shelf.library.data) if found.state == "wrong"]
    assert f"{path} is damaged" in wrong.says


def test_what_is_wrong_exits_1_and_is_listed_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "collections.json").write_text("{")
    assert doctor.main(["--data", str(tmp_path), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["wrong"]) == 1 and "collections.json is damaged" in answer["wrong"][0]
    assert {"state": "wrong", "about": "data", "says": answer["wrong"][0]} in answer["findings"]


def test_two_builds_of_faiss_are_wrong_and_one_is_not() -> None:
    assert list(doctor.faiss_packages({"faiss-gpu-cu12", "numpy"})) == []
    found = list(doctor.faiss_packages({"faiss-cpu", "faiss-gpu-cu12", "numpy"}))
    assert [f.state for f in found] == ["wrong"]
    assert found[0].says.startswith("faiss-cpu and faiss-gpu-cu12 overwrite each other")


def test_words_need_a_sqlite_that_searches_texts() -> None:
    assert doctor.sqlite().state == "ok"
    found = doctor.sqlite("CREATE VIRTUAL TABLE words USING fts6(tokens)")
    assert found.state == "wrong" and found.says.endswith("FTS5: no such module: fts6.")


def test_torch_and_torchvision_must_be_of_one_build() -> None:
    held: dict[str, object] = {
        "version": "2.15.0+cpu",
        "torchvision": "0.29.2+cpu",
        "cuda": None,
        "cards": [],
        "mps": False,
    }
    assert ("ok", "torch") in states(doctor.torch_found(held))
    assert ("wrong", "torch") in states(doctor.torch_found(held | {"torchvision": "0.29.2+cu132"}))


def test_it_says_what_a_gpu_would_be_used_by_and_why() -> None:
    none = list(doctor.search_found({"torch": "no GPU is found", "faiss": "faiss 1 is built for processors"}))
    assert none == [Finding("note", "search", "Only on the processor: no GPU is found.")]
    both = [f.says for f in doctor.search_found({"torch": "", "faiss": ""})]
    assert both[1] == "`index build --device cuda` trains by FAISS' own GPU code."
    assert states(doctor.search("cannot be used: x")) == [("note", "search")]
    one = [f.says for f in doctor.search_found({"torch": "", "faiss": "faiss 1 is built for processors"})]
    assert one[1].endswith("trains by torch: faiss 1 is built for processors.")


def test_a_missing_codec_is_named_and_without_h264_nothing_works() -> None:
    held: dict[str, object] = {
        "version": "18",
        "ffmpeg": "8",
        "decoders": [d for d in doctor.DECODERS if d != "prores"],
    }
    assert list(doctor.av_found(held))[1] == Finding(
        "note", "codecs", "This build of FFmpeg cannot read prores."
    )
    held["decoders"] = ["prores"]
    assert ("wrong", "codecs") in states(doctor.av_found(held))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import no_such_module", "cannot be used: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import os; os._exit(9)", "cannot be used: it ended with 9"),
    ],
)
def test_what_does_not_import_or_dies_costs_a_line_not_the_doctor(code: str, why: str) -> None:
    assert doctor._answer(doctor._ask(code)) == why


def test_weights_come_from_a_folder_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = {"cache": str(tmp_path), "endpoint": "http://127.0.0.1:1", "offline": False}
    monkeypatch.delenv("CINEDEX_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert str(tmp_path / "cache/cinedex/weights") in next(doctor.weights(hub, network=False)).says
    assert states(doctor.weights(hub, network=False)) == [("note", "weights")] * 2
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path))
    assert "0 registered" in next(doctor.weights(hub, network=False)).says
    (tmp_path / "x").mkdir()
    for name in ("weights.safetensors", "about.json"):
        (tmp_path / "x" / name).touch()
    assert next(doctor.weights(hub, network=False)).state == "wrong"
    (tmp_path / "x" / "about.json").write_text('{"source": "mine.pt"}')
    assert "1 registered" in next(doctor.weights(hub, network=False)).says
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "no"))
    assert next(doctor.weights("cannot be used: x", network=False)).state == "wrong"
    assert states(doctor.weights(hub, network=True))[-1] == ("wrong", "weights")
    assert states(doctor.weights(hub | {"offline": True}, network=True))[-1] == ("note", "weights")


def test_the_hub_is_asked_once_and_only_when_wanted() -> None:
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = doctor.reachable(f"http://127.0.0.1:{server.server_port}")
        thread.join()
    assert (found.state, len(asked)) == ("ok", 1)


def test_stores_snapshots_and_lost_roots_are_told(tmp_path: Path) -> None:
    library = Library(tmp_path)
    Store.create(library.store_path("toy-rgb"), EncoderSpec("toy:rgb", 3, Look(8)), Sampling())
    library.add_store("default", "toy-rgb")
    library.add_store("default", "lost")
    library.claim_root("films", tmp_path / "away")
    found = list(doctor.data_folder(tmp_path))
    assert [(f.state, f.about) for f in found] == [
        ("ok", "data"),
        ("ok", "store"),
        ("wrong", "store"),
        ("note", "roots"),
    ]
    assert "no snapshot is published" in found[1].says
    assert "is not a store" in found[2].says


def test_an_encoder_that_must_not_be_taken_for_more_is_told(tmp_path: Path) -> None:
    library = Library(tmp_path)
    Store.create(library.store_path("starter"), EncoderSpec("starter", 3, Look(8)), Sampling())
    library.add_store("default", "starter")
    for found in (*doctor.encoders_found({"starter": "", "toy": ""}), *doctor.data_folder(tmp_path)):
        is_told = "know only the rendered world" in found.says
        assert is_told == (found.state == "note")
    assert "(starter), no snapshot is published. The starter encoders know only" in found.says


def test_what_cannot_be_read_is_a_line_each(tmp_path: Path) -> None:
    library = Library(tmp_path)
    Store.create(library.store_path("toy-rgb"), EncoderSpec("toy:rgb", 3, Look(8)), Sampling())
    library.add_store("default", "toy-rgb")
    library.add_store("default", "x" * 300)  # no file system has such names, so it is refused to look
    (library.store_path("toy-rgb") / "CURRENT").write_text("garbage")
    library.claim_root("films", tmp_path / ("y" * 300))
    found = list(doctor.data_folder(tmp_path))
    assert [(f.state, f.about) for f in found] == [("ok", "data"), ("wrong", "store"), ("wrong", "store")]
    assert found[0].says.endswith(": 1 collection, 1 root")
    assert "CURRENT is damaged" in found[1].says
    assert found[2].says.endswith("cannot be read: File name too long.")
    assert states(doctor.data_folder(tmp_path / ("z" * 300))) == [("wrong", "data")]
    assert states(doctor.file_system(tmp_path / ("z" * 300))) == [("wrong", "disk")]


def test_a_folder_that_cannot_hold_a_store_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert states(doctor.file_system(tmp_path / "not" / "yet")) == [("ok", "disk")]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert states(doctor.file_system(tmp_path / "file" / "data")) == [("wrong", "disk")]

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    found = list(doctor.file_system(tmp_path))
    assert [f.state for f in found] == ["wrong"] and "Operation not permitted" in found[0].says
