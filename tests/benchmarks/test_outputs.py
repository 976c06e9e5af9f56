"""Where figures cannot be written is told before they are made."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from benchmarks import extract, outputs
from benchmarks.outputs import new_file, new_folder


def test_a_file_can_be_new_or_there_and_its_folder_is(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.touch()
    assert new_file(str(old)) == old
    assert new_file(str(tmp_path / "new.json")) == tmp_path / "new.json"
    for text in ("", str(tmp_path), str(tmp_path / "none" / "new.json"), str(old / "new.json")):
        with pytest.raises(ArgumentTypeError, match="is no "):
            new_file(text)


def test_a_folder_can_be_made_below_one_that_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert new_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert new_folder("docs/none") == Path("docs/none")
    for path in (file, file / "plots"):
        with pytest.raises(ArgumentTypeError, match=r"file is no folder"):
            new_folder(str(path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_what_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for kind in (new_file, new_folder):
        with pytest.raises(ArgumentTypeError, match="no permission"):
            kind(str(tmp_path / "found"))
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("flag", ["--json", "--plots", "--cache"])
def test_nothing_is_measured_for_what_cannot_be_written(
    flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["extract.py", "--only=none", flag, str(tmp_path / "file" / "found")])
    with pytest.raises(SystemExit) as ended:
        extract.main()
    assert ended.value.code == 2
    assert f"argument {flag}: {tmp_path / 'file'} is no folder" in capsys.readouterr().err


def test_every_benchmark_looks_before_it_measures() -> None:
    for path in Path(extract.__file__).parent.glob("*.py"):
        for line in path.read_text().splitlines():
            if 'add_argument("--json"' in line:
                assert "type=new_file" in line, path.name
            if 'add_argument("--plots"' in line:
                assert "type=new_folder" in line, path.name


def test_each_benchmark_can_be_quick() -> None:
    """As `make bench` runs them."""
    scripts = [path.read_text() for path in Path(outputs.__file__).parent.glob("*.py")]
    run = [text for text in scripts if '\nif __name__ == "__main__":' in text and "ArgumentParser(" in text]
    assert len(run) > 15
    assert all('"--quick"' in text for text in run)
