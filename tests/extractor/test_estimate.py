"""`--dry-run`: it says what then happens, and leaves nothing behind."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.store import Store
from core.types import Facts, Look, Sampling
from extractor import estimate, lengths
from extractor.cli import main
from extractor.encoders import toy
from extractor.lengths import points_of, rows_of
from extractor.probe import Probed, Spent, probe
from extractor.tally import Tally
from tests.extractor.shelf import Shelf, age

SRT = "1\n00:00:01,000 --> 00:00:02,000\nhello\n"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made: empty afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def everything(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if path.name != "report.json"}


def tried(shelf: Shelf, *flags: str, code: int = 0) -> dict[str, Any]:
    """The report of a `--dry-run`, which has changed nothing."""
    before = everything(shelf.folder)
    assert main(shelf.flags("--dry-run", "--probe-seconds=5", *flags)) == code
    held: dict[str, Any] = json.loads((shelf.folder / "report.json").read_text())
    after = everything(shelf.folder)
    temporary = str(shelf.folder / "temporary")
    assert after | {temporary: 0} == before | {temporary: 0}
    assert held["found"] == held["to_do"] + sum(held["skipped"].values()) + len(held["failed"])
    return held


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Every kind of good video, and a copy."""
    shelf = Shelf(tmp_path)
    for path in videos.iterdir():
        shelf.put(path)
    shelf.put(videos / "red.mp4", "copy.mp4")
    return shelf


def test_what_a_run_passes_over_is_not_what_cannot_be_opened(
    shelf: Shelf, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.put(broken / "truncated.mp4")
    shelf.put(broken / "text.mp4")
    shelf.put(broken / "picture.png", "cover.mp4")
    videos = tried(shelf)["videos"]
    told = ", 1 that cannot be opened, 1 that is no video, 1 still picture."
    assert told in capsys.readouterr().out
    listed = shelf.folder / "list.txt"
    listed.write_text(f"{shelf.films / 'text.mp4'}\n")
    assert tried(shelf, f"--videos={listed}")["videos"]["unreadable"] == 1  # it was named
    report = shelf.extract(code=3)
    assert videos["unreadable"] == len(report["failed"]) == 1
    for why in ("not_video", "still"):
        assert videos[why] == report["skipped"][why] == 1


@pytest.mark.parametrize("sampling", [(), ("--fps=3", "--clip-seconds=2", "--stride-seconds=0.7")])
def test_its_counts_are_those_of_the_run_that_follows(
    shelf: Shelf, broken: Path, sampling: tuple[str, ...]
) -> None:
    for name in ("truncated.mp4", "sound.m4a", "picture.png"):
        shelf.put(broken / name)
    held = tried(shelf, *sampling)
    report = shelf.extract(*sampling, code=3)
    assert held["found"] == report["found"]
    assert held["videos"]["copies"] == report["copies"] == 1
    assert held["videos"]["unreadable"] == len(report["failed"]) == 1
    assert held["skipped"] == report["skipped"]
    for kind in ("frame", "clip"):
        assert held["rows"][kind] == pytest.approx(report["rows"][kind], rel=0.1)
    assert held["videos"]["looked"] == held["videos"]["count"] == held["to_do"]
    assert held["probe"]["pictures"] > 0


def test_texts_are_counted_too(shelf: Shelf) -> None:
    texts = shelf.folder / "texts.txt"
    texts.write_text("red\nblue\n")
    held = tried(shelf, f"--texts={texts}", f"--videos={shelf.films}")
    assert held["texts"] == held["rows"]["text"] == 2
    alone = tried(shelf, f"--texts={texts}")
    assert alone["to_do"] == 2 and alone["rows"] == {"frame": 0, "clip": 0, "text": 2}
    assert alone["seconds"]["cpu"] > 0 and alone["videos"]["count"] == 0


def test_what_is_done_already_is_not_to_do_and_the_stores_sampling_holds(shelf: Shelf, videos: Path) -> None:
    shelf.extract("--fps=5", "--clip-seconds=2")
    held = tried(shelf)
    assert held["to_do"] == 0 and held["skipped"]["already"] == held["found"] == 11
    assert held["rows"] == {"frame": 0, "clip": 0, "text": 0}
    assert held["seconds"] == {"wall": 0.0, "cpu": 0.0} and held["disk_bytes"] == 0
    (shelf.films / "blue.mp4").rename(shelf.films / "moved.mp4")
    with (shelf.films / "new.mp4").open("wb") as file:
        file.write((videos / "white.mp4").read_bytes() + b"!")
    age(shelf.films / "new.mp4")
    held = tried(shelf)
    assert held["to_do"] == 2 and held["videos"]["copies"] == 1  # its content is known
    assert held["rows"]["frame"] == 50 == shelf.extract()["rows"]["frame"]


def test_new_sidecars_and_columns_are_the_copies_that_the_run_reports(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.extract()
    (shelf.films / "red.srt").write_text(SRT)
    age(shelf.films / "red.srt")
    listed = shelf.folder / "list.csv"
    listed.write_text(f"path,tag\n{shelf.films / 'red.mp4'},\n{shelf.films / 'blue.mp4'},one\n")
    for flags in ((), (f"--videos={listed}",)):
        held = tried(shelf, *flags)
        assert "1 to do (1 new columns or sidecars only)" in capsys.readouterr().out
        report = shelf.extract(*flags)
        assert (held["copies"], held["to_do"], held["skipped"]) == (1, 1, report["skipped"])
        assert (report["copies"], report["done"]) == (1, 0)
    assert tried(shelf)["to_do"] == 0  # though a shard has lines alone


@pytest.fixture
def told(tmp_path: Path, videos: Path) -> Shelf:
    """Twelve videos, each with words of its own beside it."""
    shelf = Shelf(tmp_path)
    for number in range(12):
        path = shelf.put(videos / ("red-then-blue.mp4", "vfr.mkv", "late.mp4")[number % 3], f"{number}.mp4")
        path.write_bytes(path.read_bytes() + bytes(number + 1))  # a content of its own
        age(path)
        chance = random.Random(number)
        said = (SRT.replace("hello", chance.randbytes(20).hex()) for _ in range(40))
        path.with_suffix(".srt").write_text("\n".join(said))
        age(path.with_suffix(".srt"))
    return shelf


@pytest.mark.parametrize(
    "flags", [(), ("--no-thumbs",), ("--embed-subtitles",), ("--fps=10", "--clip-seconds=2")]
)
def test_the_disk_is_what_the_store_then_takes(told: Shelf, flags: tuple[str, ...]) -> None:
    held = tried(told, *flags)
    report = told.extract(*flags)
    shards = (told.store.root / "shards").rglob("*")
    taken = sum(path.stat().st_size for path in shards if path.is_file())
    assert taken / 1.5 < held["disk_bytes"] < 1.5 * taken
    assert held["rows"]["text"] == report["rows"]["text"]


def test_rows_of_lines_are_scaled_and_join_those_of_texts(
    told: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = told.folder / "texts.txt"
    texts.write_text("red\nblue\n")
    flags = ("--embed-subtitles", f"--texts={texts}", f"--videos={told.films}")
    assert tried(told, *flags)["rows"]["text"] == 12 * 40 + 2
    monkeypatch.setattr(estimate, "MOST_FILES", 6)
    assert tried(told, *flags)["rows"]["text"] == pytest.approx(12 * 40 + 2, rel=0.3)
    capsys.readouterr()
    monkeypatch.setattr(estimate, "probe", unfinished)
    held = tried(told, *flags)
    assert held["rows"]["text"] is held["disk_bytes"] is None and held["rows"]["frame"] > 0
    assert "of subtitles it is not known, since no video was finished" in capsys.readouterr().out
    held = tried(told)
    assert held["rows"]["text"] == 0 and held["disk_bytes"] > 12 * 4_500


def unfinished(*args: Any) -> Probed:
    """A try of films so long that none came to its end."""
    return replace(probe(*args), video_s=0.0, beside_bytes=0)


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("probe_seconds", ["1.5", "60"])
def test_the_processors_time_is_that_of_the_run_within_a_factor_of_two(
    tmp_path: Path, videos: Path, workers: str, probe_seconds: str
) -> None:
    shelf = Shelf(tmp_path)
    names = ("red.mp4", "red-then-blue.mp4", "vfr.mkv", "with-sound.mkv", "rotated.mp4")
    for number in range(60):
        path = shelf.put(videos / names[number % 5], f"{number}-{names[number % 5]}")
        path.write_bytes(path.read_bytes() + bytes(number + 1))  # a content of its own
        age(path)
    code = "import sys; from extractor.cli import main\nif __name__ == '__main__': sys.exit(main())"

    def ran(*flags: str) -> dict[str, Any]:
        line = [sys.executable, "-c", code, *shelf.flags(*flags, f"--workers={workers}", "--fps=4")]
        subprocess.run(line, check=True)
        held: dict[str, Any] = json.loads((shelf.folder / "report.json").read_text())
        return held

    said = ran("--clip-seconds=2", "--dry-run", f"--probe-seconds={probe_seconds}")
    done = ran("--clip-seconds=2")
    assert done["done"] == said["to_do"] == 60
    assert done["seconds"]["cpu"] / 2 < said["seconds"]["cpu"] < 2 * done["seconds"]["cpu"], (said, done)
    assert said["rows"]["frame"] == pytest.approx(done["rows"]["frame"], rel=0.05)


def test_for_people_it_is_some_lines_and_as_json_one_object(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [*shelf.flags("--dry-run", "--probe-seconds=5")]
    assert main(line) == 0
    found, media, rows, took = capsys.readouterr().out.splitlines()
    assert found == "11 found: 11 to do."
    assert media.startswith("11 videos of 1:0") and media.endswith(" kB, 1 copies.")
    assert " frame rows and " in rows and rows.endswith(f"kB in {shelf.folder}/data/toy-rgb.")
    assert " from now, " in took and took.endswith(" s.")
    assert main([*line, "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["to_do"] == 11
    assert held.keys() == json.loads((shelf.folder / "report.json").read_text()).keys()


def test_of_many_files_some_are_opened_and_it_says_so(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tried(shelf)
    monkeypatch.setattr(estimate, "MOST_FILES", 5)
    held = tried(shelf)
    assert held["videos"]["looked"] == 5 and held["videos"]["count"] == 11
    assert held["videos"]["bytes"] == whole["videos"]["bytes"]
    assert 0.2 < held["videos"]["seconds"] / whole["videos"]["seconds"] < 5
    assert "by the headers of 5 of them" in capsys.readouterr().out


def test_headers_are_read_for_a_bounded_time(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lengths, "MOST_S", -1.0)
    held = tried(shelf)
    assert held["videos"]["looked"] == 0 and held["videos"]["count"] == 11


def test_what_extract_would_refuse_it_refuses(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    empty = shelf.folder / "empty"
    empty.mkdir()
    for flags, says in (
        ([f"--videos={empty}"], "/empty holds no videos."),
        (["--encoder=toy:such"], "toy has no variant 'such'; it has 'rgb'."),
        (["--device=cuda:77"], "device 'cuda:77' is not on this machine; "),
    ):
        assert main(shelf.flags("--dry-run", *flags)) in (1, 2)
        assert says in capsys.readouterr().err
    assert not (shelf.folder / "data").exists()


def test_a_store_of_another_sampling_is_refused_as_by_extract(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.extract()
    assert main(shelf.flags("--dry-run", "--fps=2")) == 1
    assert "was sampled with fps 1.0, not 2.0." in capsys.readouterr().err


@pytest.mark.parametrize("points", [1, 7, 8, 9, 100, 256, 257, 1023])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(keep_frames=False, fps=3.0, stride_seconds=1.1)])
def test_rows_are_counted_as_windows_make_them(points: int, sampling: Sampling) -> None:
    rows = rows_of(sampling, points)
    length, stride = sampling.clip_seconds * sampling.fps, sampling.stride_seconds * sampling.fps
    starts = [n * stride for n in range(points) if n * stride + length <= points + 1e-9]
    is_covered = bool(starts) and starts[-1] + length > points - 1e-9
    assert abs(rows["clip"] - (len(starts) + (not is_covered))) <= 1
    assert rows["frame"] == (points if sampling.keep_frames else 0)


def test_beyond_what_is_counted_rows_grow_evenly() -> None:
    rows = rows_of(Sampling(), 36_000)
    assert rows["frame"] == 36_000 and rows["clip"] == pytest.approx(8_999, rel=0.005)


def test_there_are_no_more_points_than_pictures() -> None:
    assert points_of(Facts(seconds=10.0, frame_rate="25"), Sampling(fps=2.0)) == 20
    assert points_of(Facts(seconds=10.0, frame_rate="1/2"), Sampling(fps=2.0)) == 5
    assert points_of(Facts(seconds=10.04), Sampling()) == 11
    assert points_of(Facts(seconds=0.0, frame_rate="25"), Sampling()) == 1


def probed(total: Spent, steady: Spent, *, is_whole: bool = False) -> Probed:
    return Probed(Tally(), None, 0.0, total, steady, is_whole)  # type: ignore[arg-type]  # no store is asked


def test_what_begins_once_is_counted_once() -> None:
    found = probed(Spent(14.0, 9.0, 110), Spent(10.0, 5.0, 100))
    assert found.expected(1010) == Spent(104.0, 54.0, 1010)
    assert found.expected(110) == Spent(14.0, 9.0, 110)


def test_what_was_done_whole_took_what_it_took() -> None:
    assert probed(Spent(3.0, 2.0, 30), Spent(), is_whole=True).expected(29) == Spent(3.0, 2.0, 30)


def test_where_nearly_all_came_at_once_it_is_all_in_proportion() -> None:
    assert probed(Spent(4.0, 2.0, 20), Spent(0.1, 0.1, 4)).expected(200) == Spent(40.0, 20.0, 200)


@pytest.mark.parametrize("run", [1, 30])
def test_pictures_to_come_are_counted_as_those_that_were_done(tmp_path: Path, run: int) -> None:
    spec = replace(toy.load("", "cpu", None).spec, look=Look(size=32, run=run))
    store = Store.create(tmp_path / "store", spec, Sampling())
    tally = Tally(pictures=20 * run)
    of = replace(probed(Spent(4.0, 2.0, tally.pictures), Spent()), store=store, tally=tally)
    pictures, rows = estimate._expected(
        lengths.Lengths(facts=[Facts(seconds=60.0, frame_rate="30/1")]), of, 1.0
    )
    assert pictures is not None and rows is not None
    assert (pictures, rows["frame"]) == (60 * run, 60)
    assert of.expected(pictures).wall == 12.0
