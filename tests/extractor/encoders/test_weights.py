"""Registered weights: whole or not at all, found by hash, and damaged ones told."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import EncoderError
from extractor.encoders import weights
from extractor.encoders.tensors import read
from extractor.encoders.weights import ABOUT, FILE, About


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two names for the same memory, a view, a number and a type that numpy has not."""
    table = torch.arange(12.0).reshape(3, 4)
    state = {"a": table, "b": table, "c": table.T, "d": torch.tensor(3), "e": table.bfloat16()}
    torch.save(state, tmp_path / "mine.pt")
    return tmp_path / "mine.pt"


def test_the_folder_is_asked_for_or_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path))
    assert weights.folder() == tmp_path
    monkeypatch.setenv("CINEDEX_WEIGHTS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights.folder() == tmp_path / "cache" / "cinedex" / "weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights.folder() == tmp_path / ".cache" / "cinedex" / "weights"


def test_what_is_registered_has_the_same_tensors_and_the_same_hash(folder: Path, file: Path) -> None:
    known = weights.register(file, About("mine.pt"))
    path = weights.registered(known.hash)
    assert path == folder / known.hash / FILE
    held, given = load_file(path), read(file)
    assert held.keys() == given.keys()
    assert all(
        torch.equal(held[name], given[name]) and held[name].dtype == given[name].dtype for name in held
    )
    assert weights.hash_of(path) == known.hash == weights.hash_state(held)
    assert known.bytes == path.stat().st_size and weights.about(path) == known
    assert weights.register(file, About("again.pt")) == known
    assert list(weights.all_known()) == [known]
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_what_is_registered_is_for_whom_the_umask_says(
    folder: Path, file: Path, umask: int, mode: int
) -> None:
    """A folder of weights is carried to machines where somebody else reads it."""
    before = os.umask(umask)
    try:
        known = weights.register(file, About("mine.pt"))
    finally:
        os.umask(before)
    made = folder / known.hash
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()} == {mode}
    assert {path.name for path in made.iterdir()} == {FILE, ABOUT}


def test_every_part_of_a_tensor_is_in_the_hash() -> None:
    one = {"a": torch.zeros(2, 3)}
    others = [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": torch.tensor([[0, 0, 0], [0, 0, 1e-9]])},
        {"a": torch.zeros(2, 3), "b": torch.zeros(0)},
    ]
    assert len({weights.hash_state(state) for state in (one, *others)}) == 6


def test_a_file_is_read_again_only_if_it_has_changed(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = weights.register(file, About("mine.pt")).hash

    def refused(path: Path) -> None:
        raise AssertionError(f"{path} is read again")

    with monkeypatch.context() as patch:
        patch.setattr(weights, "read", refused)
        assert weights.register(file, About("mine.pt")).hash == first
    torch.save({"a": torch.zeros(5)}, file)
    assert weights.register(file, About("mine.pt")).hash != first


def test_weights_that_were_changed_where_they_lie_are_damaged(folder: Path, file: Path) -> None:
    known = weights.register(file, About("mine.pt"))
    path = folder / known.hash / FILE
    save_file({"a": torch.zeros(5)}, path)
    with pytest.raises(EncoderError, match=f"is damaged: its tensors have the hash .*, not {known.hash}"):
        weights.hash_of(path)
    (path.parent / ABOUT).write_text("{")
    with pytest.raises(EncoderError, match=r"about.json is damaged: "):
        weights.about(path)


def test_a_folder_without_its_description_is_damaged(folder: Path, file: Path) -> None:
    known = weights.register(file, About("mine.pt"))
    (folder / known.hash / ABOUT).unlink()
    with pytest.raises(EncoderError, match=r"is damaged: it has no about.json; remove it, and try again."):
        weights.register(file, About("mine.pt"))


def test_who_may_not_write_there_can_still_read(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "a file" / "weights"))
    assert weights.hash_of(file) == weights.hash_state(read(file))


def test_only_what_was_downloaded_is_found_by_name_and_the_newest_of_it(folder: Path, tmp_path: Path) -> None:
    name = "open_clip:tiny/one"
    for number in range(3):
        save_file({"a": torch.full((2,), float(number))}, tmp_path / f"{number}.safetensors")
    mine = weights.register(tmp_path / "0.safetensors", About("0.safetensors"))
    assert weights.downloaded(name) is None
    old = weights.register(tmp_path / "1.safetensors", About("hub", (name,)))
    new = weights.register(tmp_path / "2.safetensors", About("hub", (name,)))
    text = json.loads((folder / old.hash / ABOUT).read_text())
    (folder / old.hash / ABOUT).write_text(json.dumps(text | {"created": 1.0}))
    assert weights.downloaded(name) == (folder / new.hash / FILE, new)
    same = weights.register(tmp_path / "0.safetensors", About("hub", (name,), licence="MIT"))
    assert (same.hash, same.names, same.licence) == (mine.hash, (name,), "MIT")


def test_a_file_whose_bytes_have_changed_is_not_taken(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    torch.save({"a": torch.full((2000,), 1.5)}, path)
    data = bytearray(path.read_bytes())
    at = data.index(torch.full((8,), 1.5).numpy().tobytes()) + 64
    data[at] ^= 1
    data[at + 9] ^= 1
    path.write_bytes(data)
    with pytest.raises(EncoderError) as caught:
        weights.register(path, About("mine.pth"))
    assert str(caught.value) == f"{path} is damaged: mine/data/0 in it is not what was written."
    assert not list(weights.all_known())
