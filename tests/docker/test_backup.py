"""The backup that docs/operations.md tells of, taken while everything runs, is a library."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.deployment import Deployment, until
from tests.docker.engine import ROOT
from tests.docker.test_path import arrive, put_videos


def script() -> str:
    page = (ROOT / "docs" / "operations.md").read_text()
    return page.partition("cat > backup.sh <<'END'\n")[2].partition("END\n")[0]


def backed_up(found: Deployment, folder: Path) -> Path:
    """A tar file."""
    (folder / "backup.sh").write_text(script())
    mounted = ("--volume", f"{folder / 'backup.sh'}:/backup.sh:ro", "--entrypoint", "sh", "cinedex")
    with (folder / "library.tar").open("wb") as tar:
        done = found.piped("--no-deps", *mounted, "/backup.sh", stdout=tar)
    changed = b"file changed as we read it"  # one of those that are replaced whole
    assert done.returncode == 0 or (done.returncode == 1 and changed in done.stderr), done.stderr
    return folder / "library.tar"


@pytest.mark.docker
@pytest.mark.timeout(3600)
def test_a_backup_of_what_is_being_written_is_restored_whole(
    deploy: Callable[..., Deployment], tmp_path: Path
) -> None:
    found = deploy()
    put_videos(found, 2)
    found.job("--no-deps", "sample")
    found.compose("up", "-d", "server")
    found.compose("run", "-d", "extract", "--videos", "/videos", "--watch", "--watch-seconds", "0.2")
    found.compose("run", "-d", "index", "build", "--follow", "--follow-seconds", "0.2")
    until(found.is_ready)
    put_videos(found, 12)
    kept = [backed_up(found, tmp_path) for _ in range(2)][-1]

    other = deploy()
    unpack = ("--no-deps", "--entrypoint", "tar", "cinedex", "-C", "/data", "-xpf", "-")
    with kept.open("rb") as tar:
        done = other.piped(*unpack, stdin=tar)
    assert done.returncode == 0, done.stderr
    other.job("index", "check", "--files")
    other.job("index", "build")
    other.compose("up", "-d", "server")
    until(other.is_ready)
    assert other.search("red")
    (first, *_) = until(lambda: other.search("red", collection="sample"))  # once its encoder is loaded
    played = other.get(f"/media/{first['video_id']}?collection=sample")
    assert played is not None and played.status_code == 200, "a file is known by its time"


def test_films_come_into_a_folder_that_has_some_and_stays_the_one_that_is_mounted(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    mounted = folder.stat().st_ino
    for count in (1, 2):
        arrive(folder, count)
        assert len(list(folder.iterdir())) == count
    assert folder.stat().st_ino == mounted and list(tmp_path.iterdir()) == [folder]


def test_the_script_leaves_out_what_need_not_be_kept_and_is_one_that_a_shell_reads() -> None:
    assert "--format=posix" in script(), "which keeps fractions of seconds"
    assert "./spool*" in script() and "./running*" in script()
    assert subprocess.run(["sh", "-n", "-c", script()]).returncode == 0
