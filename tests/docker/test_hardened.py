"""The image on its own, with as little as it can be given."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.conftest import Image
from tests.docker.deployment import until
from tests.docker.engine import ROOT, Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]
HARD = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")
V1 = ROOT / "tests" / "data" / "store-v1"
SOMEBODY = os.geteuid() or 54321  # whom no /etc/passwd of the image knows


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Path]:
    """A folder of theirs, and of nobody else."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    subprocess.run(["chown", f"{SOMEBODY}:{SOMEBODY}", str(folder)], check=True)
    yield folder


def run(
    engine: Engine, image: Image, folder: Path, *words: str, flags: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    who = ("--user", f"{SOMEBODY}:{SOMEBODY}", "--volume", f"{folder}:/data")
    return engine.run("run", "--rm", *HARD, *who, *flags, image.tag, *words, check=False)


def test_anybody_fills_and_asks_a_folder_of_theirs(engine: Engine, image: Image, owned: Path) -> None:
    done = run(engine, image, owned, "sample")
    assert done.returncode == 0, done.stderr
    answered = run(engine, image, owned, "search", "red", "--collection", "sample")
    assert answered.returncode == 0 and "sample-videos/" in answered.stdout, answered.stderr
    assert {path.stat().st_uid for path in owned.rglob("*")} == {SOMEBODY}


def test_no_room_for_temporary_files_is_one_sentence(engine: Engine, image: Image, owned: Path) -> None:
    assert (
        run(engine, image, owned, "sample-videos", "--plain", "/data/videos", "--count", "1").returncode == 0
    )
    words = ("extract", "--videos", "/data/videos", "--encoder", "toy:rgb", "--quiet")
    done = run(engine, image, owned, *words, flags=("--tmpfs", "/tmp:ro"))
    assert done.returncode == 1
    assert done.stderr == "extract: No folder for temporary files can be written; TMPDIR names one.\n"


@pytest.mark.parametrize(
    "words",
    [
        ("sample",),
        ("extract", "--videos", "/videos", "--encoder", "toy:rgb", "--quiet"),
        ("keys", "create", "page"),
        ("migrate", "--to", "toy:rgb"),
    ],
    ids=lambda words: words[0],
)
def test_a_volume_that_cannot_be_written_is_one_sentence(
    words: tuple[str, ...], engine: Engine, image: Image, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"no video")
    (tmp_path / "data").mkdir(mode=0o555)
    flags = ("--volume", f"{tmp_path / 'videos'}:/videos:ro")
    done = run(engine, image, tmp_path / "data", *words, flags=flags)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1 and "/data" in done.stderr, done.stderr
    assert "cannot be written" in done.stderr or words[0] == "migrate"


def library(folder: Path) -> Path:
    """One that answers, of nobody who runs here, and not to be written."""
    shutil.copytree(V1, folder / "toy-rgb")
    (folder / "collections.json").write_text('{"format": 1, "collections": {"default": ["toy-rgb"]}}')
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


def test_a_library_that_cannot_be_written_is_not_built_anew_which_is_one_sentence_and_is_served(
    engine: Engine, image: Image, tmp_path: Path
) -> None:
    read_only = library(tmp_path / "library")
    flags = ("--volume", f"{read_only}:/data:ro")
    done = engine.run("run", "--rm", *HARD, *flags, image.tag, "index", "build", check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"cinedex index build: /data/\S+ cannot be written: .+\.\n", done.stderr)

    name = f"cinedex-test-{uuid.uuid4().hex[:8]}"
    engine.run("run", "-d", "--name", name, *HARD, *flags, image.tag, "serve", "--follow-seconds", "0.2")
    try:
        asked = ("exec", name, "python3", "-m", "server.commands.ready")
        until(lambda: engine.run(*asked, check=False).returncode == 0)
        assert "cannot be written" not in engine.run("logs", name).stderr
    finally:
        engine.run("rm", "--force", "--volumes", name)


def test_64_mb_of_shared_memory_are_enough(engine: Engine, image: Image, owned: Path) -> None:
    """Docker's own, while several decoders hand their pictures over."""
    flags = ("--shm-size", "64m")
    assert run(engine, image, owned, "sample-videos", "--plain", "/data/videos", flags=flags).returncode == 0
    words = (
        "extract",
        "--videos",
        "/data/videos",
        "--encoder",
        "toy:rgb",
        "--decoders",
        "4",
        "--workers",
        "2",
    )
    done = run(engine, image, owned, *words, flags=flags)
    assert done.returncode == 0 and "8 done" in done.stderr, done.stderr


def test_the_cpus_that_it_is_given_are_those_that_it_counts(image: Image) -> None:
    ask = "from core.cpus import usable_cpus; print(usable_cpus())"
    assert image.run("--cpus", "0.5", "--entrypoint", "python3", image.tag, "-c", ask) == "1"
