"""`cinedex tag`: labels of one's own for every stored video or clip, as POST /tag answers for one."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.commands import main
from tests.server.conftest import Running
from tests.server.worlds import Shelf, id_of, samples

COLOURS = ["red", "blue", "green"]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """One for all tests, which only read it."""
    return samples(tmp_path_factory.mktemp("tagged") / "data")


def said(capsys: Captured, *args: str, code: int = 0) -> str:
    assert main(["tag", *args]) == code
    captured = capsys.readouterr()
    assert code == 0 or captured.out == ""
    return captured.out if code == 0 else captured.err


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def labels(tmp_path: Path) -> str:
    path = tmp_path / "labels.txt"
    path.write_text("red\nblue\ngreen\n")
    return str(path)


def test_each_video_has_a_line_by_path(shelf: Shelf, labels: str, capsys: Captured) -> None:
    out = said(capsys, "--labels", labels, "--data", str(shelf.library.data), "--top", "2")
    assert out == (
        "films/blue-then-white.mp4  blue 1.000, red 0.000\n"
        "films/green.mp4            green 1.000, red 0.000\n"
        "films/red-then-blue.mp4    red 0.500, blue 0.500\n"
    )


def test_each_clip_has_a_line_with_its_time(shelf: Shelf, labels: str, capsys: Captured) -> None:
    flags = ["--labels", labels, "--store", str(shelf.store.root), "--level", "clip", "--top", "1"]
    out = said(capsys, *flags, "--prefix", "films/red")
    first, *_, last = out.splitlines()
    assert first == "films/red-then-blue.mp4  00:00.000 – 00:08.000  red 1.000"
    assert last == "films/red-then-blue.mp4  00:16.000 – 00:24.000  blue 1.000"
    assert len(out.splitlines()) == 5
    frames = said(capsys, *flags, "--level", "frame", "--video", id_of("green"))
    assert len(frames.splitlines()) == 20 and frames.endswith(" 00:19.000 – 00:20.000  green 1.000\n")


def test_a_line_of_json_is_what_the_server_answers(
    shelf: Shelf, labels: str, sample_server: Running, capsys: Captured
) -> None:
    flags = ["--labels", labels, "--data", str(shelf.library.data), "--json", "--top", "3"]
    for templates in (["a video of {}"], ["{}", "all white: {}"]):
        told = [flag for template in templates for flag in ("--template", template)]
        found = lines(said(capsys, *flags, *told))
        assert len(found) == 3
        for line in found:
            asked = {"video_id": line.pop("video_id"), "labels": COLOURS, "templates": templates}
            assert line.pop("path").startswith("films/")
            assert (line.pop("start"), line.pop("end")) == (None, None)
            assert line == sample_server.http.post("/tag", json=asked).json()


def test_a_clips_labels_are_those_of_its_seconds(
    shelf: Shelf, labels: str, sample_server: Running, capsys: Captured
) -> None:
    flags = ["--labels", labels, "--data", str(shelf.library.data), "--json", "--level", "frame"]
    for line in lines(said(capsys, *flags, "--video", id_of("red-then-blue"))):
        asked = {"video_id": line["video_id"], "labels": COLOURS}
        asked |= {"start": line["start"], "end": line["end"]}
        answer = sample_server.http.post("/tag", json=asked).json()
        best = ["red", "blue"][line["start"] >= 12]
        assert line["labels"][0]["label"] == answer["labels"][0]["label"] == best


def test_a_choice_is_between_sentences_as_they_are(shelf: Shelf, capsys: Captured) -> None:
    flags = ["--data", str(shelf.library.data), "--video", id_of("green"), "--top", "1", "--json"]
    (line,) = lines(said(capsys, *flags, "--choice", "it is red", "--choice", "grass grows, green, tall"))
    assert line["labels"][0]["label"] == "grass grows, green, tall"
    assert line["labels"][0]["score"] == pytest.approx(1, abs=1e-3)


def test_a_table_has_a_row_a_label_and_no_formula(
    shelf: Shelf, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "x").write_text("=red+1\nblue")
    flags = ["--labels", str(tmp_path / "x"), "--data", str(shelf.library.data), "--export", "csv"]
    assert main(["tag", *flags, "--prefix", "films/red"]) == 0
    text = capsysbinary.readouterr().out.decode("utf-8-sig")
    first, second = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert [first["label"], second["label"]] == ["'=red+1", "blue"]
    assert (first["path"], first["start_s"], first["rank"]) == ("films/red-then-blue.mp4", "", "1")
    assert float(first["probability"]) + float(second["probability"]) == pytest.approx(1)
    assert first["video_id"] == id_of("red-then-blue")


def test_labels_may_be_of_any_editor(shelf: Shelf, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "x").write_bytes("\ufeffred\r\n  blau, bläulich \r\nblue\r\n".encode())
    flags = ["--labels", str(tmp_path / "x"), "--data", str(shelf.library.data), "--json"]
    found = lines(said(capsys, *flags, "--prefix", "films/green"))
    assert sorted(tag["label"] for tag in found[0]["labels"]) == ["blau, bläulich", "blue", "red"]


def test_what_has_no_rows_of_a_kind_is_left_out_and_told(
    tmp_path: Path, labels: str, capsys: Captured
) -> None:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({"clips": [("red", 8)]}, kinds=["clip"])
    shelf.add({"frames": [("blue", 8)]}, kinds=["frame"])
    shelf.build()
    flags = ["tag", "--labels", labels, "--data", str(shelf.library.data), "--level", "clip"]
    assert main(flags) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("films/clips.mp4") and captured.out.count("\n") == 1
    assert "videos without such rows are left out level=clip videos=1" in captured.err
    assert main([*flags, "--prefix", "none/"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "cinedex tag: prefix 'none/': no video has a path that begins so.\n"
    assert captured.out == ""
    assert said(capsys, *flags[1:], "--level", "video").count("\n") == 2


WRONG = {
    "": " holds no label; each line is one.",
    "\n": ", line 1, is empty; each line is a label.",
    "a\n\nb\n": ", line 2, is empty; each line is a label.",
    "a\n ": None,  # white space behind the last line end is none
    "a\nb\na\n": ", line 3, has 'a', as line 1 has; no two are alike.",
    "a\na \n": ", line 2, has 'a', as line 1 has; no two are alike.",
    "a\n" + "x" * 2_001: ", line 2, has 2001 characters; a label has 2000 at most.",
    "a\nb\xff": ", line 2, is not UTF-8; save the file as UTF-8.",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_with_a_file_of_labels_names_the_line(
    shelf: Shelf, tmp_path: Path, text: str, capsys: Captured
) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode("latin-1"))
    flags = ["--labels", str(path), "--data", str(shelf.library.data)]
    says = WRONG[text]
    if says is None:
        assert said(capsys, *flags).count("\n") == 3
    else:
        assert said(capsys, *flags, code=2) == f"cinedex tag: {path}{says}\n"


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        ([], 2, "No label is named: --labels FILE has one a line, --choice TEXT is one."),
        (["--labels", "none.txt"], 2, "labels 'none.txt' cannot be read: No such file or directory."),
        (["--labels", "."], 2, "labels '.' cannot be read: Is a directory."),
        (["--labels", "/dev/zero"], 2, "/dev/zero has more than 80 MiB; it is no file with a label a line."),
        (["--choice", "a", "--labels", "x"], 2, "--labels and --choice exclude each other"),
        (["--choice", "a", "--template", "{}"], 2, "--choice and --template exclude each other"),
        (["--choice", "a", "--choice", "a"], 2, "choice 'a' is given twice; no two are alike."),
        (["--choice", " "], 2, "choice.0: must be a text, not only white space (got ' ')"),
        (["--labels", "x", "--template", "a"], 2, "template.0: must have {} where the label comes (got 'a')"),
        (["--choice", "a", "--video", "v-none"], 2, "video_id: there is no 'v-none' in this collection."),
        (["--choice", "a", "--video", id_of("a red thing", "t")], 2, "video 't-"),
        (["--choice", "a", "--video", "v-1", "--prefix", "x"], 2, "--video and --prefix exclude each other"),
        (["--choice", "a", "--json", "--export", "csv"], 2, "--export and --json exclude each other"),
        (["--choice", "a", "--store", "x", "--collection", "y"], 2, "--store and --collection exclude"),
        (["--choice", "a", "--collection", "none"], 2, "There is no collection 'none' in"),
        (
            ["--choice", "a", "--encoder", "toy:none"],
            2,
            "The collection default has no encoder 'toy:none'; it has toy:rgb.",
        ),
    ],
)
def test_a_mistake_is_one_sentence(
    shelf: Shelf, flags: list[str], code: int, says: str, capsys: Captured
) -> None:
    error = said(capsys, *flags, "--data", str(shelf.library.data), code=code)
    assert error.startswith(f"cinedex tag: {says}") and error.count("\n") == 1


def test_more_labels_than_a_request_may_have_are_refused(
    shelf: Shelf, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "x").write_text("".join(f"{n}\n" for n in range(10_001)))
    error = said(capsys, "--labels", str(tmp_path / "x"), "--data", str(shelf.library.data), code=2)
    assert error.startswith("cinedex tag: labels: list should have at most 10000 items")
