"""Subtitles of real files, found by what they say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.commands import main
from extractor import cli

FILES = ("media3__sample_with_vtt_subtitles.mkv", "media3__sample_with_ssa_subtitles.mkv")


@pytest.mark.parametrize("name", FILES)
def test_a_line_of_a_real_file_is_found(
    tmp_path: Path, media: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    films, data = tmp_path / "films", str(tmp_path / "data")
    films.mkdir()
    shutil.copy(media / "videos" / name, films / "film.mkv")
    (films / "film.de.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nEin schönes Schiff\n")
    assert cli.main(["--videos", str(films), "--encoder", "toy:rgb", "--data", data, "--workers", "0"]) == 0
    assert main(["index", "build", "--data", data]) == 0
    capsys.readouterr()
    for words, says in (("schones", "subtitles: Ein schönes Schiff"), ("first subtitle", "subtitles: ")):
        assert main(["search", words, "--mode", "text", "--data", data]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert len(shown) > 1 and says in shown[1], shown
