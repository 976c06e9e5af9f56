"""Settings of `extract` that do not go together: one sentence, exit 2, and nothing is made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from extractor.cli import main

ALONE = "name what to embed: --videos FOLDER, --texts FILE, or both."


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], ALONE),
        (["--dry-run"], ALONE),
        (["--retry-failed"], ALONE),
        (["--failed", "--dry-run"], "--failed and --dry-run exclude each other: one lists what was, "),
        (
            ["--videos=.", "--json"],
            "--json goes with --failed or --dry-run; --report FILE says what a run did.",
        ),
        (["--videos=.", "--dry-run", "--prune"], "--dry-run does nothing; leave --prune out."),
        (["--videos=.", "--dry-run", "--between=1:00-2:00"], "--dry-run does nothing; leave --between out."),
        (["--failed", "--again"], "--failed only lists; leave --again out."),
        (["--failed", "--retry-failed"], "--failed only lists; leave --retry-failed out."),
        (["--failed", "--prune=force"], "--failed only lists; leave --prune out."),
        (["--failed", "--texts=a.txt"], "--failed only lists; leave --texts out."),
        (["--failed", "--report=x.json"], "--failed only lists; leave --report out."),
        (["--failed", "--collection=none"], "data has no collection 'none' yet; `extract` makes one."),
        (
            ["--videos=.", "--between=6-22"],
            "between: it must be two times of day, as in 22:00-06:00 (got '6-22')",
        ),
        (
            ["--videos=.", "--between=6:00-6:00"],
            "between: it must end at another time than it begins (got '6:",
        ),
        (["--videos=.", "--nice=20"], "nice: it must be at most 19 (got '20')"),
        (["--videos=.", "--nice=-1"], "nice: it must be at least 0 (got '-1')"),
        (["--videos=.", "--probe-seconds=0"], "probe-seconds: it must be greater than 0 (got '0')"),
        (
            ["--videos=.", "--decoder-gb=1e300"],
            "decoder-gb: it must be at most 1024 (got ",
        ),
        (
            ["--videos=*.mp4", "--prune", "--encoder=toy"],
            "--prune needs a whole folder; --videos ",
        ),
        (
            ["--videos=.", "--fps=900"],
            "fps 900.0 and clip-seconds 8.0 make clips of 7200 pictures; at most 256 fit.",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    flags: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--data=data", *flags]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and told.err.startswith(f"extract: {says}"), told.err
    assert list(tmp_path.iterdir()) == []


def test_what_holds_for_many_calls_hinders_none_that_does_nothing_of_it(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CINEDEX_PRUNE", "force")
    (tmp_path / "films").mkdir()
    shutil.copy(videos / "red.mp4", tmp_path / "films")
    flags = [f"--data={tmp_path / 'data'}", "--encoder=toy:rgb", f"--videos={tmp_path / 'films'}"]
    assert main([*flags, "--dry-run", "--probe-seconds=0.1"]) == 0
    assert "1 found: 1 to do" in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


def test_an_encoder_that_cannot_be_loaded_leaves_nothing_either(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flag in ("--encoder=toy:such", "--encoder=none:such", "--device=cuda:77"):
        line = [f"--data={tmp_path / 'data'}", f"--videos={videos}", "--encoder=toy", "--workers=0", flag]
        assert main([*line, "--quiet"]) in (1, 2)
        assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_given_as_its_default_is_no_mistake(tmp_path: Path, videos: Path) -> None:
    line = [f"--data={tmp_path / 'data'}", f"--videos={videos}", "--encoder=toy", "--workers=0", "--quiet"]
    assert main([*line, "--dry-run", "--prune=no", "--between=", "--probe-seconds=0.1"]) == 0
    assert list(tmp_path.iterdir()) == []
