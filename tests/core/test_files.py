from __future__ import annotations

import os
import resource
from contextlib import AbstractContextManager
from multiprocessing import get_context
from pathlib import Path

import pytest

from core import files
from core.errors import StoreError


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with files.draft(tmp_path / "a" / "b") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "b" / "x").read_text() == "1"
    with pytest.raises(RuntimeError), files.draft(tmp_path / "c") as folder:
        raise RuntimeError
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    assert files.link_new(tmp_path / "1", b"mine")
    assert not files.link_new(tmp_path / "1", b"yours")
    assert (tmp_path / "1").read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == ["1"]


def _take(folder: Path, name: str) -> None:
    for number in range(40):
        files.link_new(folder / str(number), name.encode())


def test_six_processes_that_race_for_names_take_each_once(tmp_path: Path) -> None:
    context = get_context("fork")
    racers = [context.Process(target=_take, args=(tmp_path, str(i))) for i in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(map(str, range(40)))


def test_sealed_json_shows_any_flipped_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    good = files.sealed({"name": "café", "rows": [1, 2.5], "of": None}).encode()
    path.write_bytes(good)
    assert files.read_sealed(path) == {"name": "café", "rows": [1, 2.5], "of": None}
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x20]) + good[at + 1 :])
        with pytest.raises(StoreError, match="damaged"):
            files.read_sealed(path)


def test_only_what_crashed_writers_left_is_swept_and_only_when_old(tmp_path: Path) -> None:
    for name in (".draft-1", ".gone-2"):
        (tmp_path / name).mkdir()
    (tmp_path / ".temp-3").touch()
    (tmp_path / ".keep").touch()
    (tmp_path / "shard").mkdir()
    os.utime(tmp_path / ".draft-1", (0, 0))
    assert files.sweep(tmp_path, 86_400) == 1
    assert files.sweep(tmp_path, 0) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == [".keep", "shard"]


@pytest.mark.parametrize("is_there", [True, False])
def test_what_is_being_filled_is_forgotten_only_once_nobody_fills_it(is_there: bool, tmp_path: Path) -> None:
    out, dead = tmp_path / "out", tmp_path / f"{files.FILLING}1"
    for folder in (dead, tmp_path / ".draft-2", *([out] if is_there else [])):
        folder.mkdir()
    (dead / "half").touch()
    with files.filling(out, "last") as folder:
        (folder / "last").touch()
        files.forget(out)
        assert (folder / "last").exists() and not dead.exists()
    files.forget(out / "no" / "such")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".draft-2", "out"]
    assert [path.name for path in out.iterdir()] == ["last"]


def test_a_draft_that_is_taken_away_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = files.folder_locked, list[Path]()

    def late(path: Path, *, waits: bool = False) -> AbstractContextManager[None]:
        if not taken:
            taken.append(path)
            files.forget(tmp_path / "out")
        return lock(path, waits=waits)

    monkeypatch.setattr(files, "folder_locked", late)
    with files.filling(tmp_path / "out", "last") as folder:
        assert folder not in taken and not taken[0].exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_retired_folder_is_gone(tmp_path: Path) -> None:
    (tmp_path / "shard").mkdir()
    (tmp_path / "shard" / "x").touch()
    files.retire(tmp_path / "shard")
    assert list(tmp_path.iterdir()) == []


def _too_large(path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    os.environ["PYTHONFAULTHANDLER"] = ""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        files.replace_text(path, "x" * 10_000)
    except StoreError as error:
        os._exit(42 if "cannot be written" in str(error) and "\n" not in str(error) else 1)
    os._exit(2)


def test_a_full_disk_is_one_sentence_and_leaves_the_old_text(tmp_path: Path) -> None:
    files.replace_text(tmp_path / "CURRENT", "old")
    process = get_context("fork").Process(target=_too_large, args=(tmp_path / "CURRENT",))
    process.start()
    process.join()
    assert process.exitcode == 42
    assert (tmp_path / "CURRENT").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["CURRENT"]


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written: No such file or directory"):
        files.link_new(tmp_path / "no" / "x", b"")


def test_a_text_for_its_owner_only_is_never_anybody_elses(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    files.replace_text(path, "old")
    files.replace_text(path, "new", 0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_whether_a_folder_can_be_written_is_tried_and_leaves_nothing(tmp_path: Path) -> None:
    files.require_writable(tmp_path / "not" / "there" / "yet")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/data cannot be written: Not a directory\.$"):
        files.require_writable(tmp_path / "file" / "data")


def test_no_room_for_temporary_files_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", refuse)
    with pytest.raises(StoreError, match="TMPDIR names one"):
        files.require_temporary()
