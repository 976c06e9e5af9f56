"""`cinedex search`: the same answers with a server and without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.commands import main
from core.store import Store
from core.types import Sampling
from server.commands.columns import clock
from server.commands.search import as_json, table
from server.commands.straight import store_in
from tests.server.conftest import Running
from tests.server.sent import picture
from tests.server.test_lines import told
from tests.server.worlds import Shelf, id_of

VOLATILE = ("took_ms", "next_cursor")


def said(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main(["search", *args]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def held(text: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(text)
    return {name: value for name, value in answer.items() if name not in VOLATILE}


def test_a_text_is_answered_as_a_table(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "red", "--data", str(shelf.library.data), "--top", "1")
    assert out == (
        "time                   score  path\n00:00.000 – 00:16.000  1.000  films/red-then-blue.mp4\n"
    )


def test_a_video_is_answered_with_texts(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--video", id_of("green"), "--target", "texts", "--store", str(shelf.store.root), "--top", "1"]
    line = said(capsys, *flags).splitlines()[1]
    assert "1.000" in line and line.endswith("something green")


def test_a_server_and_the_store_answer_the_same(
    shelf: Shelf, sample_server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in (
        ["blue"],
        ["blue", "--level", "video", "--top", "2"],
        ["--video", id_of("green")],
        ["sea", "--target", "texts"],
        ["blue", "--exact"],
        ["blue", "--effort", "3"],
        ["red", "--level", "frame", "--collection", "default", "--encoder", "toy:rgb"],
        ["red", "--weigh-frames"],
        ["blue", "--min-score", "0.5", "--top", "9"],
        ["blue", "--mode", "text"],
        ["blue", "--mode", "hybrid", "--top", "9"],
        ["sea", "--mode", "hybrid", "--target", "texts"],
        ["blue", "--filter", '{"seconds": {"gte": 17}, "metadata.tag": "sample"}'],
    ):
        local = held(said(capsys, *flags, "--data", str(shelf.library.data), "--json"))
        remote = held(said(capsys, *flags, "--server", sample_server.url, "--json"))
        assert local == remote
        table = said(capsys, *flags, "--data", str(shelf.library.data))
        assert table == said(capsys, *flags, "--server", sample_server.url)


@pytest.fixture
def blue(tmp_path: Path) -> str:
    """A picture's file."""
    (tmp_path / "blue.png").write_bytes(picture("blue"))
    return str(tmp_path / "blue.png")


def test_files_are_asked_with_alike_here_and_there(
    shelf: Shelf, sample_server: Running, blue: str, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = str(videos / "red.mp4")
    for flags in (
        ["--image", blue],
        ["white", "--image", blue, "--level", "frame"],
        ["--video", video],
        ["green", "--video", video, "--target", "texts"],
        ["--image", blue, "--then", "white", "--within-s", "2"],
        ["red", "--then", "blue"],
        ["--video", id_of("red-then-blue"), "--start", "14", "--end", "20", "--all"],
        ["blue", "--all", "--level", "frame"],
    ):
        local = held(said(capsys, *flags, "--data", str(shelf.library.data), "--json"))
        assert local["results"] and local == held(
            said(capsys, *flags, "--server", sample_server.url, "--json")
        )
    best = said(capsys, "--image", blue, "--data", str(shelf.library.data), "--top", "1")
    assert best.splitlines()[1].endswith("films/blue-then-white.mp4")


def test_a_sequence_is_a_line_from_its_first_second_to_its_last(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["red", "--then", "blue", "--data", str(shelf.library.data), "--level", "frame", "--top", "1"]
    assert said(capsys, *flags).splitlines()[1].endswith("1.000  films/red-then-blue.mp4")


def test_all_results_come_however_many(
    shelf: Shelf, sample_server: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.search.MAX_LIMIT", 2)
    for place in (["--data", str(shelf.library.data)], ["--server", sample_server.url]):
        answer = held(said(capsys, "red", "--all", "--json", *place))
        assert len({result["id"] for result in answer["results"]}) == len(answer["results"])
        assert len(answer["results"]) == answer["total"]["value"] > 2


def test_a_key_is_told_to_the_server_that_wants_one(
    keyed_server: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["red", "--server", keyed_server.url]
    assert "key" in said(capsys, *flags, code=1)
    assert "red-then-blue" in said(capsys, *flags, "--key", keyed_server.keys["read"])
    monkeypatch.setenv("CINEDEX_KEY", keyed_server.keys["read"])
    assert "red-then-blue" in said(capsys, *flags)


def test_what_words_matched_is_shown_and_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(told(tmp_path / "data").library.data)]
    assert said(capsys, "haze", "--mode", "text", *data) == (
        "time                   score  path\n"
        "00:01.000 – 00:03.000         films/green.mp4  subtitles: purple haze\n"
    )
    assert said(capsys, "white", "--mode", "text", *data).endswith("  films/blue-then-white.mp4  path\n")
    (_, first, *_) = said(capsys, "haze", *data).splitlines()
    assert first.endswith("films/green.mp4  visual, subtitles: purple haze")
    assert said(capsys, "nothing of the kind", "--mode", "text", *data) == "Nothing is found.\n"


def test_a_filter_is_json_and_what_is_wrong_with_it_is_said(
    shelf: Shelf, sample_server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", str(shelf.library.data))
    lines = said(capsys, "blue", *data, "--filter", '{"name": {"prefix": "green"}}').splitlines()
    assert len(lines) == 2 and lines[1].endswith("films/green.mp4")
    for text, says in (
        ("{", "filter '{' is not JSON: "),
        ("", "filter '' is not JSON: "),
        ("[" * 100_000, "is not JSON: "),
        ('{"a": 1, "a": 2}', " has the field 'a' twice in one object."),
        ("[]", "filter must be an object."),
        ('{"secnds": NaN}', "filter.secnds: must be a finite number"),
        ('{"secnds": 3}', "filter.secnds is no column here; there are root, path"),
    ):
        assert says in said(capsys, "blue", *data, "--filter", text, code=2)
    says = said(capsys, "blue", "--server", sample_server.url, "--filter", '{"secnds": 3}', code=2)
    assert says.startswith("cinedex search: filter.secnds is no column here")


def test_what_was_removed_since_the_build_is_not_found(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.remove("green")
    assert "films/green.mp4" not in said(capsys, "green", "--data", str(shelf.library.data))


def test_a_library_without_texts_finds_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({"video": [("red", 8)]})
    shelf.build()
    flags = ["--data", str(shelf.library.data), "--target", "texts"]
    assert said(capsys, "red", *flags) == "Nothing is found.\n"


def test_an_encoder_in_a_folder_is_named_as_it_was_to_extract(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, name = shelf.library, f"open_clip:local-dir:{tmp_path / 'model'}"
    Store.create(library.store_path("other"), replace(shelf.store.spec, name=name), Sampling())
    library.add_store("default", "other")
    monkeypatch.chdir(tmp_path)
    found = store_in(library.data, None, "open_clip:local-dir:model/")
    assert found == ("default", library.store_path("other"))


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        ([], 2, "Nothing to look for is named: a text, --image FILE, or --video"),
        (["red", "--collection", "none"], 2, "There is no collection 'none' in"),
        (["red", "--collection", ""], 2, "There is no collection '' in"),
        (
            ["red", "--encoder", "toy:none"],
            2,
            "The collection default has no encoder 'toy:none'; it has toy:rgb.",
        ),
        (["--video", "v-none"], 2, "query[0].video_id: there is no 'v-none' in this collection."),
        (["red", "--video", id_of("green"), "--encoder", "toy:x", "--store", "x"], 1, "x is not a store"),
        (["--video", id_of("green"), "--mode", "text"], 2, 'mode: "text" needs a query of texts alone'),
        (["red", "--store", "x", "--server", "http://127.0.0.1:1"], 2, "--server and --store exclude"),
        (["red", "--store", "x", "--collection", "y"], 2, "--store and --collection exclude"),
        (["x" * 2_001], 2, "query[0].text: string should have at most 2000 characters"),
        (["--video", "none.mp4"], 2, "video 'none.mp4' is neither a file nor the id of a stored video."),
        (["red", "--server", "127.0.0.1:8000"], 2, "server '127.0.0.1:8000' is no address: http://HOST:PORT"),
        (["--image", "none.png"], 2, "image 'none.png' cannot be read: No such file or directory."),
        (["--image", __file__], 1, f"image {__file__!r}: the picture is no JPEG, PNG or WebP."),
        (["--video", __file__], 1, f"video {__file__!r}: the file is text, not a video."),
        (["--video", __file__, "--end", "4"], 2, "--start and --end need --video with the id of a stored"),
        (["red", "--start", "4"], 2, "--start and --end need --video with the id of a stored video."),
        (["red", "--then", " "], 2, "--then is empty; a text would be right."),
        (["red", "--within-s", "4"], 2, "--within-s needs --then: it is the time between two things."),
        (["red", "--all", "--top", "4"], 2, "--all and --top exclude each other"),
        (["red", "--limit", "4"], 2, "no flag is called '--limit'; did you mean '--top'?"),
        (["red", "--key", "k y", "--server", "http://127.0.0.1:1"], 1, "The key has characters that no key"),
        (["red", "--top", "0"], 2, "top: it must be at least 1"),
        (["red", "--device", "cuda", "--server", "http://x"], 2, "--server and --device exclude each other"),
        (["red", "--device", "cuda"], 2, "device 'cuda' is not on this machine; no GPU is found."),
        (["red", "--server", "http://127.0.0.1:1"], 1, "http://127.0.0.1:1 does not answer:"),
        (["red", "--server", "nowhere"], 2, "server 'nowhere' is no address: http://HOST:PORT is."),
    ],
)
def test_a_mistake_is_one_sentence(
    shelf: Shelf,
    flags: list[str],
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    error = said(capsys, *flags, "--data", str(shelf.library.data), code=code)
    assert error.startswith(f"cinedex search: {says}"), error
    assert error.count("\n") == 1


@pytest.mark.gpu
def test_a_gpu_answers_as_the_processor_does(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["red", "--data", str(shelf.library.data), "--json"]
    assert held(said(capsys, *line, "--device", "cuda")) == held(said(capsys, *line))


def test_how_many_there_are_as_a_rule_is_no_hindrance_to_all(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["red", "--data", str(shelf.library.data), "--all"]
    before = said(capsys, *line)
    monkeypatch.setenv("CINEDEX_TOP", "1")
    assert said(capsys, *line) == before


def test_a_store_is_not_asked_for_another_encoder(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(shelf.store.root)]
    assert "films" in said(capsys, "red", *store, "--encoder", "toy:rgb")
    error = said(capsys, "red", *store, "--encoder", "nosuch:thing", code=2)
    assert error.endswith(f"--store {shelf.store.root} holds vectors of toy:rgb, not of 'nosuch:thing'.\n")


def test_a_server_s_refusal_exits_as_the_store_s_own(
    shelf: Shelf, sample_server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in (
        ["x" * 2_001],
        ["--video", "v-none"],
        ["red", "--collection", "none"],
        ["red", "--encoder", "toy:none"],
    ):
        for where in (["--data", str(shelf.library.data)], ["--server", sample_server.url]):
            assert said(capsys, *flags, *where, code=2).count("\n") == 1


def test_what_a_terminal_has_not_is_shown_otherwise() -> None:
    best = {"start": 0.0, "end": 1.0, "score": 1.0, "best": {"t": 0.0}, "path": "films/Ä.mp4", "text": None}
    answer = {"results": [best]}
    assert table(answer, "utf-8").splitlines()[1] == "00:00.000 – 00:01.000  1.000  films/Ä.mp4"
    assert table(answer, "ascii").splitlines()[1] == "00:00.000 - 00:01.000  1.000  films/?.mp4"
    assert as_json(answer, "ascii").isascii() and "Ä" in as_json(answer, "UTF-8")
    assert json.loads(as_json(answer, "ascii")) == answer


def test_a_folder_without_a_library_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = said(capsys, "red", "--data", str(tmp_path), code=2)
    assert error == f"cinedex search: {tmp_path} holds no collection; `extract --videos DIR` makes one.\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((0.0, "00:00.000"), (61.0004, "01:01.000"), (59.9996, "01:00.000")),
        *((4503.25, "75:03.250"), (-0.5, "-00:00.500")),
    ],
)
def test_times_are_minutes_and_seconds(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
