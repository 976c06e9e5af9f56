"""The command: what it is told, what it says, and the exit codes."""

from __future__ import annotations

import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.collections import Library
from core.store import Store
from core.types import Place
from extractor.cli import main
from extractor.progress import Progress
from extractor.tally import Tally
from extractor.work import Committed, Encoded, Left, Lost, Report
from tests.extractor.shelf import FIRST, Shelf, age, as_nobody, outcome, trap

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Two videos, not extracted."""
    shelf = Shelf(tmp_path)
    for name in ("short.webm", "late.mp4"):
        shelf.put(videos / name)
    return shelf


def said(shelf: Shelf, capsys: pytest.CaptureFixture[str], *flags: str, code: int = 2) -> str:
    """The one sentence of a refusal."""
    assert main(shelf.flags(*flags)) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("extract: ") and told.err.count("\n") == 1, told.err
    return told.err.removeprefix("extract: ").strip()


def test_the_first_line_names_the_store_and_the_last_says_what_was_done(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [flag for flag in shelf.flags() if flag != "--quiet"]
    assert main(line) == 0
    told = capsys.readouterr()
    first, *_, last = told.err.splitlines()
    assert f"store={shelf.folder}/data/toy-rgb encoder=toy:rgb" in first
    assert "2 found: 2 done; 6 frame rows and 2 clip rows; " in last
    assert told.out == ""
    assert main([*line, "--log-format=json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[-1]["message"].startswith("2 found: 0 done, 2 skipped (2 already); no new rows; ")


def test_the_report_has_the_contracts_keys(shelf: Shelf) -> None:
    report = shelf.extract()
    seconds = {"wall", "wait_pictures", "wait_encoder", "encode", "write", "paused", "cpu"}
    assert report["seconds"].keys() == seconds
    assert report["skipped"].keys() == {
        *("already", "failed_before", "removed", "unstable", "still", "not_video")
    }
    assert report["decoded"] == {"planned": 2, "retried": 0, "full": 0}
    assert report["rows"] == {"frame": 6, "clip": 2, "text": 0}
    assert {"found", "done", "copies", "failed", "lost_packets"} < report.keys()


def test_operations_tells_of_every_key_of_the_report(shelf: Shelf) -> None:
    report = shelf.extract()
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    told = page.partition("### The report")[2].partition("## ")[0]
    keys = [
        *report,
        *report["seconds"],
        *report["skipped"],
        *report["decoded"],
        *report["rows"],
        *report["hdr"],
    ]
    assert [key for key in keys if f"`{key}`" not in told] == []


def test_the_store_joins_its_collection_and_the_root_is_claimed(shelf: Shelf) -> None:
    shelf.extract()
    library = Library(shelf.folder / "data")
    assert library.collections() == {"default": ["toy-rgb"]}
    assert library.roots() == {"films": shelf.films}


def test_another_collection_has_a_store_of_its_own(shelf: Shelf, videos: Path) -> None:
    other = Shelf(shelf.folder / "other")
    other.put(videos / "red.mp4")
    shelf.extract()
    asked = "--collection=other", f"--videos={other.films}", "--root=more"
    assert outcome(shelf.extract(*asked)) == {"done": 1}
    library = Library(shelf.folder / "data")
    assert library.collections() == {"default": ["toy-rgb"], "other": ["toy-rgb-2"]}
    stores = [Store.open(library.store_path(slug)) for slug in ("toy-rgb", "toy-rgb-2")]
    assert [len(list(store.log.last().live())) for store in stores] == [2, 1]
    assert outcome(shelf.extract(*asked)) == {"already": 1}
    assert outcome(shelf.extract()) == {"already": 2}


def test_without_an_encoder_the_collections_first_store_is_filled(shelf: Shelf, videos: Path) -> None:
    shelf.extract("--fps=2", "--encoder=toy")
    shelf.put(videos / "red.mp4")
    line = [flag for flag in shelf.flags() if not flag.startswith("--encoder")]
    assert main(line) == 0
    assert shelf.report()["rows"]["frame"] == 20


def test_a_store_outside_the_data_joins_no_collection(shelf: Shelf, tmp_path: Path) -> None:
    away = tmp_path / "away"
    shelf.extract(f"--store={away}", f"--data={tmp_path / 'none'}")
    assert len(list(Store.open(away).log.last().live())) == 2
    assert not (tmp_path / "none").exists()
    line = [flag for flag in shelf.flags(f"--store={away}") if not flag.startswith("--encoder")]
    assert main(line) == 0
    assert outcome(shelf.report()) == {"already": 2}


def test_a_store_outside_the_data_knows_its_roots_too(
    shelf: Shelf, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away, other = shelf.folder / "away", Shelf(shelf.folder / "other")
    store = f"--store={away}"
    shelf.extract(store)
    other.put(videos / "red.mp4", "late.mp4")
    told = said(shelf, capsys, store, f"--videos={other.films}")
    assert told.startswith(f"The root films is {shelf.films}, which still exists; ")
    assert len(list(Store.open(away).log.last().live())) == 2
    assert outcome(shelf.extract(store, f"--videos={other.films}", "--root=more")) == {"done": 1}
    assert Library(away).roots() == {"films": shelf.films, "more": other.films}


def test_a_store_inside_the_data_joins_by_its_folders_name(shelf: Shelf) -> None:
    data = shelf.folder / "data"
    shelf.extract(f"--store={data / 'mine'}", f"--data={data}", "--collection=sample")
    assert Library(data).collections() == {"sample": ["mine"]}
    assert outcome(shelf.extract("--collection=sample")) == {"already": 2}


def test_some_failed_is_exit_3_and_allowed_is_0(shelf: Shelf, broken: Path) -> None:
    shelf.put(broken / "truncated.mp4")
    assert outcome(shelf.extract(code=3)) == {"done": 2, "failed": 1}
    assert outcome(shelf.extract()) == {"already": 2, "failed_before": 1}
    assert outcome(shelf.extract("--retry-failed", "--allow-failed")) == {"already": 2, "failed": 1}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.mp4", r"is empty \(0 bytes\)"),
        ("text.mp4", "is text, not a video"),
        ("truncated.mp4", "cannot be opened"),
        ("zeros.mp4", "cannot be opened|no known kind"),
        ("sound.m4a", "only sound"),
        ("playlist.m3u8", "is a playlist"),
        ("playlist.mp4", "is a playlist"),
        ("encrypted.mp4", "is encrypted"),
        ("picture.png", "is a picture"),
    ],
)
def test_a_named_file_that_is_no_video_fails_with_one_sentence(
    tmp_path: Path, broken: Path, name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.put(broken / name)
    for _ in range(2):
        report = shelf.extract(f"--videos={path}", code=3)
        assert report["done"] == 0
        ((failed),) = report["failed"]
        assert failed["path"] == f"films/{name}"
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and re.search(says, told[0]), told


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--videos=nowhere"], "--videos nowhere does not exist."),
        (["--encoder=none:such"], "There is no encoder family 'none'; there are toy, open_clip, "),
        (["--encoder=none"], "There is no encoder family 'none'; there are toy, open_clip, "),
        (["--encoder=toy:such"], "toy has no variant 'such'; it has 'rgb'."),
        (["--fps=0"], "fps: it must be greater than 0 (got '0')"),
        (["--workers=-1"], "workers: it must be at least 0 (got '-1')"),
        (["--fps=100", "--clip-seconds=8"], "fps 100.0 and clip-seconds 8.0 make clips of 800 pictures; "),
        (["--store=report.json"], "report.json is a file, not the folder of a store."),
        (["--xyzzy"], "no flag is called '--xyzzy'."),
        (["--prune=some"], "prune: it must be 'no', 'yes' or 'force' (got 'some')"),
        (["--report=nowhere/x.json"], "--report nowhere/x.json cannot be written: No such file or dir"),
        (["--device=cuda:77"], "device 'cuda:77' is not on this machine; "),
        (["--root=a/b"], "--root 'a/b' must be one word of a path, without '/'."),
        (["--root=.."], "--root '..' must be one word of a path, without '/'."),
        (["--collection="], "collection: it must be one word of a path, without '/' (got '')"),
        (["--collection=a/../b"], "collection: it must be one word of a path, without '/' (got 'a/../b')"),
        (["--videos="], "videos: a path must not be empty (got '')"),
        (["--decoders=100000"], "decoders: it must be at most 256 (got '100000')"),
        (["--workers=257"], "workers: it must be at most 256 (got '257')"),
        (["--batch=5000"], "batch: it must be at most 4096 (got '5000')"),
        (["--texts=a.pdf"], "--texts a.pdf must be one of *.txt, *.jsonl, *.csv."),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    shelf: Shelf,
    flags: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(shelf.folder)
    Path("report.json").touch()
    code = main(shelf.flags(*flags))
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith("extract: " + says[:60]), told
    assert code in (1, 2)


def test_an_unknown_key_in_the_toml_is_refused_and_a_known_one_heeded(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shelf.folder)
    Path("cinedex.toml").write_text("[extract]\nfsp = 2\n")
    assert "no setting is called 'fsp'; did you mean 'fps'?" in said(shelf, capsys)
    Path("cinedex.toml").write_text("[extract]\nfps = 2\nprune = true\n")
    assert shelf.extract()["rows"]["frame"] == 9


def test_nothing_named_and_nothing_found_are_told(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    data = f"--data={shelf.folder / 'data'}"
    assert main([data, "--encoder=toy:rgb"]) == 2
    assert "name what to embed: --videos FOLDER, --texts FILE, or both." in capsys.readouterr().err
    empty = shelf.folder / "empty"
    empty.mkdir()
    assert said(shelf, capsys, f"--videos={empty}").endswith("/empty holds no videos.")
    (empty / "a.txt").touch()
    assert said(shelf, capsys, f"--videos={empty}").endswith("/empty holds no videos.")
    assert said(shelf, capsys, f"--videos={empty}/*.mp4").endswith("/empty/*.mp4 holds no videos.")
    assert said(shelf, capsys, f"--texts={empty / 'a.txt'}").endswith("/a.txt holds no texts.")
    assert not (shelf.folder / "data").exists()
    shelf.extract()
    told = said(shelf, capsys, f"--videos={empty}", "--prune")
    assert told.endswith("/empty holds no videos.")
    assert main(shelf.flags(f"--videos={empty}", "--prune=force")) == 0


def test_an_encoder_whose_variant_is_left_empty_is_its_familys_own(shelf: Shelf) -> None:
    shelf.extract("--encoder=toy:")
    assert Library(shelf.folder / "data").collections() == {"default": ["toy-rgb"]}
    assert outcome(shelf.extract("--encoder=toy:")) == {"already": 2}


def test_a_folder_of_which_nothing_is_a_video_is_told(
    tmp_path: Path, broken: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(broken / "text.mp4")
    shelf.put(broken / "text.mp4", "README")
    for _ in range(2):  # the second does not look at them again
        assert main(shelf.flags()) == 2
        assert capsys.readouterr().err.endswith("/films holds no videos.\n")
    told = [record.getMessage() for record in caplog.records if "though" in record.getMessage()]
    assert told == ["no video, though it is called so path=films/text.mp4"]


def test_another_encoder_or_sampling_than_the_stores_is_refused_by_name(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.extract()
    store = shelf.folder / "data" / "toy-rgb"
    told = said(shelf, capsys, f"--store={store}", "--encoder=open_clip:ViT-B-32", code=1)
    assert told == f"{store} holds vectors of toy:rgb, not of open_clip:ViT-B-32."
    told = said(shelf, capsys, "--fps=2", "--no-frames", code=1)
    assert told == f"{store} was sampled with fps 1.0, not 2.0; keep_frames True, not False."


@pytest.fixture
def open_shelf(videos: Path) -> Iterator[Shelf]:
    """In a folder that other users can reach, unlike pytest's; extracted but for one video."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        shelf = Shelf(Path(folder))
        shelf.put(videos / "short.webm")
        shelf.extract()
        shelf.put(videos / "red.mp4")
        yield shelf


def test_a_read_only_store_is_told_and_still_opens(
    open_shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [path for path in (open_shelf.folder / "data").rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    (open_shelf.folder / "report.json").unlink()
    with as_nobody():
        told = said(open_shelf, capsys, code=1)
        assert "cannot be written: Permission denied." in told
        assert len(open_shelf.live()) == 1
    for folder in folders:
        folder.chmod(0o755)
    (open_shelf.folder / "report.json").unlink()
    assert outcome(open_shelf.extract()) == {"already": 1, "done": 1}


def test_a_file_that_may_not_be_read_is_told_and_tried_again(open_shelf: Shelf) -> None:
    (open_shelf.films / "red.mp4").chmod(0)
    subprocess.run(["chmod", "-R", "a+rwX", open_shelf.folder / "data"], check=True)
    (open_shelf.folder / "report.json").unlink()
    with as_nobody():
        report = open_shelf.extract(code=3)
    error = "it cannot be read: Permission denied"
    assert report["failed"] == [{"path": "films/red.mp4", "error": error}]
    assert outcome(open_shelf.extract()) == {"already": 1, "done": 1}


def run_command(shelf: Shelf, *flags: str, limit: int | None = None) -> subprocess.Popen[str]:
    """The command as its own process, in which no file may grow beyond `limit` bytes."""

    def full() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    code = "import sys; from extractor.cli import main\nif __name__ == '__main__': sys.exit(main())"
    line = [sys.executable, "-W", "error", "-c", code, *shelf.flags(*flags)]
    return subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=full)


def test_a_full_disk_is_told_and_the_store_still_opens(shelf: Shelf, videos: Path) -> None:
    shelf.extract()
    shelf.put(videos / "red.mp4")
    process = run_command(shelf, "--workers=0", limit=1000)
    _, told = process.communicate()
    assert process.returncode == 1
    assert told.startswith("extract: ") and " cannot be written: " in told, told
    assert "File too large" in told and told.count("\n") == 1
    assert len(shelf.live()) == 2
    assert outcome(shelf.extract()) == {"already": 2, "done": 1}


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_signal_commits_what_is_done_and_the_next_run_does_the_rest(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    shelf = Shelf(tmp_path)
    for number in range(12):
        path = shelf.put(videos / "short.webm", f"{number:02}.webm")
        path.write_bytes(path.read_bytes() + bytes(number))  # a content of its own
        age(path)
    trap(shelf.folder, monkeypatch, "06.webm", f"os.kill({FIRST}, signal.SIGTERM); time.sleep(600)")
    process = run_command(shelf, f"--workers={workers}", "--batch=1", "--decoders=1")
    _, told = process.communicate()
    assert process.returncode == 130, told
    assert shelf.report()["done"] == len(shelf.live()) in range(7)
    shelf.extract()
    assert len(shelf.live()) == 12


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_second_signal_ends_it_at_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    # That decoder is waited for, for a while, and so is the worker.
    trap(shelf.folder, monkeypatch, "late.mp4", f"os.kill({FIRST}, signal.SIGINT); time.sleep(600)")
    process = run_command(shelf, f"--workers={workers}")
    assert process.stderr is not None
    assert "stopping; once more ends at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert not (shelf.folder / "report.json").exists()
    assert outcome(shelf.extract()) == {"done": 2}


@pytest.mark.parametrize(("workers", "who"), [("0", "worker"), ("1", "decoder")])
def test_a_file_that_makes_no_progress_is_given_up_and_the_rest_is_done(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch, workers: str, who: str
) -> None:
    shelf.put(videos / "red.mp4", "endless.mp4")
    trap(shelf.folder, monkeypatch, "endless.mp4", "time.sleep(600)", once=False)
    process = run_command(shelf, f"--workers={workers}", "--stall-seconds=2", "--decoders=2")
    _, told = process.communicate()
    assert process.returncode == 3, told
    error = f"its {who} made no progress for 2 s"
    assert f"failed path=films/endless.mp4 error={error}" in told
    report = shelf.report()
    assert outcome(report) == {"done": 2, "failed": 1}
    assert report["failed"] == [{"path": "films/endless.mp4", "error": error}]
    assert outcome(shelf.extract()) == {"already": 2, "failed_before": 1}


@pytest.mark.parametrize("moment", ["before the worker's code", "while the command is imported"])
def test_ctrl_c_at_the_start_is_an_exit_code_and_no_traceback(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    is_worker = "'--multiprocessing-fork' in sys.orig_argv"
    code = {
        "before the worker's code": f"if {is_worker}: os.killpg(0, signal.SIGINT)",
        "while the command is imported": f"sys.addaudithook(lambda event, args: {is_worker} or "
        "event == 'import' and args[0] == 'pydantic' and os.kill(os.getpid(), signal.SIGINT) or None)",
    }[moment]
    (shelf.folder / "sitecustomize.py").write_text(f"import os, signal, sys\n{code}\n")
    monkeypatch.setenv("PYTHONPATH", str(shelf.folder))
    script = Path(sys.executable).with_name("extract")
    process = subprocess.Popen(
        [script, *shelf.flags("--workers=1")],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that started the tests in its background has them, and this, ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    _, told = process.communicate()
    assert process.returncode == 130 and "Traceback" not in told and "extract:" not in told, told


def test_a_report_that_cannot_be_written_is_told_before_the_work(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, why in (("nowhere/x.json", "No such file or directory"), ("films", "Is a directory")):
        told = said(shelf, capsys, f"--report={shelf.folder / path}")
        assert told == f"--report {shelf.folder / path} cannot be written: {why}."
    assert not (shelf.folder / "data").exists()


def test_a_report_that_cannot_be_written_later_hides_no_mistake(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, reports = shelf.folder / "empty", shelf.folder / "reports"
    empty.mkdir()
    reports.mkdir()

    def removed(*_: object) -> None:
        reports.rmdir()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("extractor.cli._finish", removed)
        line = [flag for flag in shelf.flags(f"--report={reports / 'x.json'}") if flag != "--quiet"]
        assert main(line) == 1
    told = capsys.readouterr().err
    assert "2 found: 2 done; " in told and told.splitlines()[-1].startswith(
        f"extract: {reports}/x.json cannot"
    )
    reports.mkdir()
    told = said(shelf, capsys, f"--report={reports / 'x.json'}", f"--videos={empty}")
    assert told.endswith("/empty holds no videos.")


def test_a_lost_report_is_taken_back() -> None:
    tally = Tally()
    place = Place("films", b"a.mp4", "1-1")
    report = Report(place, "done", "v-1", {"frame": 3, "clip": 1}, lost_packets=2, transfer="pq")
    tally.take(report)
    tally.take(Committed(1, 1.0, 2.0, 3.0))
    assert (tally.done, tally.rows.total(), tally.wait_pictures) == (1, 4, 1.0)
    assert tally.as_json()["hdr"] == {"pq": 1, "hlg": 0}
    tally.take(Lost("was killed by SIGKILL", (report,)))
    assert (tally.done, tally.rows.total(), tally.lost_packets, tally.hdr.total()) == (0, 0, 0, 0)
    assert tally.lost == {("films", b"a.mp4"): place}
    tally.take(Report(place, "failed", error="no"))
    assert not tally.lost and tally.is_settled(place) and not tally.is_settled(Place("films", b"a.mp4", "2"))
    tally.take(report)
    assert not tally.failed and tally.found == 1


def test_progress_is_a_line_on_a_terminal_and_an_event_elsewhere(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally(done=3, pictures=40, bytes=300)
    tally.started -= 10
    with caplog.at_level(logging.INFO):
        progress = Progress(tally, lambda: Left(6, 600, True), may_draw=True)
        progress.show(Encoded(0))
        assert not caplog.records
        progress._next = 0.0
        progress.show(Encoded(0))
    assert "done=3 rows=0 pictures=40 failed=0 left=6 is_all=True to_go=0:20" in caplog.text
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = Progress(tally, lambda: Left(6, 600, True), may_draw=True)
    progress.show(Encoded(0))
    progress.clear()
    drawn = capsys.readouterr().err
    assert "3 done, 6 left, 0:20 to go, 0 rows/s, 4 pictures/s" in drawn
    assert drawn.endswith("\r\x1b[K")
