"""`cinedex sample-videos`: what it writes, and that its table of questions is true."""

from __future__ import annotations

import csv
import gc
import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.types import Look, Sampling
from extractor.media.reader import Reader
from extractor.world import questions
from extractor.world.colours import COLOURS
from extractor.world.plain_films import PlainScene, plain_film
from extractor.world.questions import Question, Sample, queries, samples
from extractor.world.render import render
from extractor.world.sample_videos import main
from extractor.world.scene import Scene
from extractor.world.shapes import SHAPES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("samples") / "films"
    assert main(["--seed", "7", "--count", "3", "--seconds", "9", "--out", str(found), "--quiet"]) == 0
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "queries.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("flags", [[], ["--plain"]])
def test_a_seed_gives_the_same_files_again(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        assert main(["--out", str(tmp_path / name), "--count", "2", "--seconds", "3", *flags]) == 0
    first, second = ([path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "ab")
    assert first == second
    assert capsys.readouterr().out.count("sample-01.mp4\n") == 2


def test_the_videos_show_what_was_rendered(folder: Path) -> None:
    made = samples(7, 3, 9.0)
    for each in made:
        with Reader(folder / each.name) as reader:
            assert reader.facts.seconds == 9.0 and reader.facts.codec == "h264"
            for picture in reader.pictures(Sampling(), Look(size=64)):
                moment = next(m for m in each.moments if m.start <= picture.t < m.end)
                part = (picture.t - moment.start) / (moment.end - moment.start)
                (meant,) = render(moment.scene, [part], 64)
                assert np.abs(picture.pixels.astype(int) - meant).mean() < 12


def test_the_table_holds_all_that_is_true_and_nothing_else(folder: Path) -> None:
    made = samples(7, 3, 9.0)
    table = rows(folder)
    assert [tuple(row.values()) for row in table] == [tuple(map(str, row)) for row in queries(made)]
    scenes = {(each.name, m.start): m for each in made for m in each.moments}
    truths = {q.text: q.is_true_of for each in made for m in each.moments for q in m.questions()}
    found = {(row["query"], row["video"], float(row["start"])) for row in table}
    for text, is_true_of in truths.items():
        for (name, start), moment in scenes.items():
            assert is_true_of(moment.scene) == ((text, name, start) in found)


def test_a_question_is_listed_once_with_every_answer() -> None:
    made = samples(1, 30, 12.0)
    table = list(queries(made))
    assert len(set(table)) == len(table)
    texts = [row[0] for row in table]
    assert max(texts.count(text) for text in set(texts)) > 1


def test_questions_are_bounded_where_there_are_many_moments() -> None:
    made = samples(1, 3, 900.0)
    assert sum(len(each.moments) for each in made) > 600
    assert len({row[0] for row in queries(made)}) <= 400


@pytest.mark.parametrize("flags", [[], ["--plain"]])
def test_of_many_films_no_more_than_two_are_held_and_no_more_is_asked_than_is_written(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, looks, held, asked = scenes_alive(), [], [], []

    def look(*given: object) -> bool:
        looks.append(len(given))
        if len(looks) % 20 == 0:
            held.append(scenes_alive() - before)
        return True

    def made(text: str, is_true_of: Callable[[Any], bool]) -> Question:
        asked.append(text)
        return Question(text, look if len(asked) == 1 else is_true_of)

    monkeypatch.setattr(Sample, "write", look)
    monkeypatch.setattr(questions, "Question", made)
    per_film, count = (3, 80) if flags else (25, 10)
    assert main([str(tmp_path / "out"), "--count", str(count), "--seconds", "100", *flags]) == 0
    assert capsys.readouterr().out.count(" s to ") == per_film * count
    assert len(looks) == count + per_film * count
    assert 0 < max(held) <= 2 * per_film + 1
    assert 200 <= len(asked) <= 400


def scenes_alive() -> int:
    return sum(type(each) in (Scene, PlainScene) for each in gc.get_objects())


def test_plain_ones_are_the_plain_films(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "a"), "--count", "2", "--seconds", "3", "--plain"]) == 0
    caption = plain_film(0, 1, 3).scenes[2].caption
    assert caption in capsys.readouterr().out
    assert {"query": caption, "video": "sample-02.mp4", "start": "2.0", "end": "3.0"} in rows(tmp_path / "a")
    assert any(row["query"].startswith("a ") for row in rows(tmp_path / "a"))


def test_file_names_do_not_give_away_what_is_in_them(folder: Path) -> None:
    words = {*COLOURS, *SHAPES}
    assert not any(word in path.name for path in folder.iterdir() for word in words)


@pytest.mark.parametrize("is_file", [True, False])
def test_a_folder_with_something_in_it_is_refused_and_left_as_it_is(
    is_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    if is_file:
        out.touch()
    else:
        out.mkdir()
        (out / "mine.txt").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(["--out", str(out), "--count", "1"]) == 2
    assert capsys.readouterr().err == (
        f"cinedex sample-videos: {out} is there already; "
        "the videos are written to a folder that is new or empty.\n"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert main(["--out", str(out), "--count", "1", "--seconds", "1"]) == 0
    assert {path.name for path in out.iterdir()} == {"sample-01.mp4", "queries.csv"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_current_folder_is_filled_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    assert main([".", "--count", "1", "--seconds", "1"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"sample-01.mp4", "queries.csv"}
    assert tmp_path.stat().st_ino == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "nothing says where to; give one folder: --out films."),
        (["a", "--out", "b"], "a and b both say where to; give one folder: --out films."),
        (["--out", "/dev/null/a"], "/dev/null/a cannot be written: Not a directory."),
    ],
)
def test_a_folder_that_cannot_be_is_one_sentence(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*given, "--count", "1", "--seconds", "1"]) != 0
    assert capsys.readouterr().err == f"cinedex sample-videos: {said}\n"


def _killed(out: Path) -> None:
    def half(self: Sample, path: Path) -> None:
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    Sample.write = half  # type: ignore[method-assign]
    main(["--out", str(out), "--quiet"])


@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_killed_one_left_is_taken_away_by_the_next(is_there: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if is_there:
        out.mkdir()
    process = get_context("fork").Process(target=_killed, args=(out,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (half,) = tmp_path.rglob("sample-01.mp4")
    assert half.read_bytes() == b"half" and half.parent.parent == (out if is_there else tmp_path)
    assert main(["--out", str(out), "--count", "1", "--seconds", "1"]) == 0
    assert {path.name for path in out.iterdir()} == {"sample-01.mp4", "queries.csv"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Sample, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Sample, "write", broken)
    assert main(["--out", str(tmp_path / "out"), "--count", "1"]) != 0
    assert list(tmp_path.iterdir()) == []
    assert main(["--out", str(tmp_path), "--count", "1"]) != 0
    assert list(tmp_path.iterdir()) == []
