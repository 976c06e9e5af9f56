"""Folders of the machine in place of volumes, and an encoder whose weights come from a file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.deployment import Deployment, until
from tests.docker.test_hardened import SOMEBODY
from tests.docker.test_path import put_videos
from tests.extractor.encoders import tiny_s3d


def folder_of_theirs(path: Path) -> Path:
    """Nobody else's, so that who is not them can do nothing there."""
    path.mkdir(mode=0o700)
    subprocess.run(["chown", f"{SOMEBODY}:{SOMEBODY}", str(path)], check=True)
    return path


@pytest.mark.docker
@pytest.mark.timeout(3600)
def test_folders_of_their_owner_hold_the_library_and_weights_that_were_registered_once(
    deploy: Callable[..., Deployment], composes: list[str], tmp_path: Path
) -> None:
    (tmp_path / "given").mkdir()
    tiny_s3d.file(tmp_path / "given" / "s3d.pth", 4)
    tiny_s3d.word_list(tmp_path / "given" / "words.json")
    given = ("--volume", f"{tmp_path / 'given'}:/given:ro", "-e", "CINEDEX_S3D_WORDS=/given/words.json")
    encoder = ("--encoder", "s3d", "--weights", "/given/s3d.pth")
    for which in range(len(composes)):
        library = folder_of_theirs(tmp_path / f"library-{which}")
        weights = folder_of_theirs(tmp_path / f"weights-{which}")
        settings = {"CINEDEX_DATA": str(library), "CINEDEX_WEIGHTS": str(weights), "CINEDEX_ENCODER": ""}
        found = deploy(which, CINEDEX_USER=f"{SOMEBODY}:{SOMEBODY}", **settings)
        put_videos(found, 2)
        found.job(*given, "extract", "--videos", "/videos", *encoder)
        found.job("index", "build")
        found.compose("up", "-d", "server")
        until(found.is_ready)
        assert {each["path"].partition("/")[0] for each in found.search("red")} == {"videos"}
        assert list(weights.glob("*/weights.safetensors")) and list(library.glob("*/store.json"))
        made = [path for folder in (library, weights) for path in folder.rglob("*")]
        assert {path.stat().st_uid for path in made} == {SOMEBODY}
        put_videos(found, 1, seed=8)
        found.job("extract", "--videos", "/videos")  # by what is registered, without the file
        status = found.job("cinedex", "status").stdout
        assert "s3d" in status
