"""What parts, words and trainings say of themselves, as an enemy writes it: sealed, by a name that fits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from core import files
from core.errors import SnapshotError
from core.store import Store
from core.types import canonical
from index import faissfile, named, part
from index.build import build_snapshot
from index.check import damage
from index.snapshot import Snapshot, read_manifest
from index.train import FOLDER, Training
from tests.index import mutations
from tests.index.test_snapshot import assert_answers
from tests.index.worlds import World, lived_in, world

Held = dict[str, Any]


@pytest.fixture
def lived(tmp_path: Path) -> World:
    """A store of which snapshot 1 is published, and a video that came since."""
    found = lived_in(tmp_path / "store")
    build_snapshot(found.store, factories={"frame": "IVF2,SQfp16"})
    found.add(1)
    return found


def manifest(root: Path) -> Held:
    return read_manifest(root / "snapshots/000001")


def frames(root: Path) -> Held:
    found: Held = next(each for each in manifest(root)["parts"] if each["kind"] == "frame")
    return found


def description(root: Path, sort: str) -> Path:
    """Of the part of frames, of a file of words, or of the training of frames."""
    if sort == "trained":
        return root / FOLDER / f"{frames(root)['trained']}.json"
    name = frames(root)["name"] if sort == "part" else manifest(root)["words"][0]["name"]
    return root / "parts" / f"{name}.json"


def forge(root: Path, path: Path, change: Callable[[Held], object]) -> Path:
    """Another description, all files of its name and the published snapshot called as it would have it."""
    held = files.read_sealed(path)
    change(held)
    before, folder = path.stem, root / "snapshots/000001"
    prefix = before.rpartition("-")[0]
    after = (f"{prefix}-" if prefix else "") + files.hash_bytes(canonical(held).encode())
    for each in [*path.parent.iterdir(), *folder.iterdir()]:
        each.rename(each.with_name(each.name.replace(before, after)))
    found = path.with_name(f"{after}.json")
    mutations.replace(found, files.sealed(held).encode())
    said = json.loads(canonical(files.read_sealed(folder / "snapshot.json")).replace(before, after))
    mutations.replace(folder / "snapshot.json", files.sealed(said).encode())
    (root / "CURRENT").write_text(f"000001 {files.hash_file(folder / 'snapshot.json')}\n")
    return found


STAMPS: list[Callable[[Held], object]] = [
    lambda held: held.pop("files"),
    lambda held: held.update(files=3),
    lambda held: held.update(files={".faiss": 3}),
    lambda held: held.update(files={".faiss": {}}),
    lambda held: held.update(files={"/../../x": {"bytes": 1, "blake2b": "", "ends": ""}}),
    lambda held: held.update(files={".x": {"bytes": 1, "blake2b": "", "ends": "", "head": -1}}),
]


@pytest.mark.parametrize("sort", ["part", "words", "trained"])
@pytest.mark.parametrize("change", STAMPS)
def test_a_description_of_no_files_is_told_by_a_check(
    lived: World, sort: str, change: Callable[[Held], object]
) -> None:
    root = lived.store.root
    path = forge(root, description(root, sort), change)
    with pytest.raises(SnapshotError, match=r"json is damaged: what it says of files cannot be\.$"):
        named.read(path.parent, path.stem)
    assert f"{path} is damaged: what it says of files cannot be." in list(damage(root))


def each_run(name: str, value: object) -> Callable[[Held], object]:
    return lambda held: held["runs"].update({name: [value] * len(held["runs"][name])})


RUNS: list[Callable[[Held], object]] = [
    lambda held: held.pop("runs"),
    lambda held: held.update(runs=3),
    lambda held: held["runs"].pop("line"),
    lambda held: held.update(shards=3),
    lambda held: held.update(shards=[3] * len(held["shards"])),
    lambda held: held.update(rows=held["rows"] + 1),
    lambda held: held["runs"]["count"].append(0),
    *(each_run(name, value) for name, value in (("source", []), ("layer", 3), ("shard", 99), ("shard", -1))),
    *(each_run(name, value) for name, value in (("first", "x"), ("first", -1), ("count", -1))),
]


@pytest.mark.parametrize("sort", ["part", "words"])
@pytest.mark.parametrize("change", RUNS)
def test_what_has_runs_that_cannot_be_is_made_anew(
    lived: World, sort: str, change: Callable[[Held], object], caplog: pytest.LogCaptureFixture
) -> None:
    root = lived.store.root
    path = forge(root, description(root, sort), change)
    with pytest.raises(SnapshotError, match=r"json is damaged: its runs cannot be\.$"):
        part.read(path.parent, path.stem)
    assert build_snapshot(Store.open(root)).published
    assert f"{sort}={path.stem} is made anew: {path} is damaged: its runs cannot be." in caplog.text
    assert_answers(lived, Snapshot.open(lived.store))


TRAININGS: list[Callable[[Held], object]] = [
    lambda held: held.pop("factory"),
    lambda held: held.update(factory=3),
    lambda held: held.update(lossy="no"),
    lambda held: held.update(rows="x"),
    lambda held: held.update(rows=0),
    lambda held: held.update(lists=-1),
    lambda held: held.update(row_bytes=0),
]


@pytest.mark.parametrize("change", TRAININGS)
def test_what_tells_of_no_training_is_made_anew(
    lived: World, change: Callable[[Held], object], caplog: pytest.LogCaptureFixture
) -> None:
    root = lived.store.root
    path = forge(root, description(root, "trained"), change)
    with pytest.raises(SnapshotError, match=r"json is damaged: it tells of no training\.$"):
        Training.read(lived.store, path.stem)
    assert build_snapshot(Store.open(root)).published
    assert f"trained={path.stem} is made anew: {path} is damaged: it tells of no training." in caplog.text
    assert_answers(lived, Snapshot.open(lived.store))


@pytest.mark.parametrize("dim", [8, 9])
def test_another_index_than_a_training_is_refused(lived: World, dim: int) -> None:
    """One with rows, and one for other vectors."""
    root = lived.store.root
    path = description(root, "trained").with_suffix(".faiss")
    index = faiss.IndexFlatIP(dim)
    if dim == 8:
        index.add(np.zeros((3, dim), np.float32))
    mutations.replace(path, b"")
    faissfile.write(index, path)
    name = frames(root)["trained"]
    training = Training.of(name, named.read(root / FOLDER, name))
    with pytest.raises(
        SnapshotError, match=r"is damaged: it is no trained index for vectors of 8 numbers\.$"
    ):
        training.empty(lived.store)


def test_passages_of_a_run_that_is_not_there_are_indexed_anew(
    lived: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = lived.store.root
    monkeypatch.setattr("index.mapped.require", mutations.trusting)
    path = description(root, "words").with_suffix(".lines.npy")
    rows = np.load(path)
    rows["source"][0] = 1 << 20
    mutations.replace(path, b"")
    np.save(path, rows)
    assert build_snapshot(Store.open(root)).published
    assert f"is made anew: {path.name} is damaged: a passage is of no run." in caplog.text


@pytest.mark.parametrize("shard", [-1, 99])
def test_a_part_with_rows_of_a_shard_that_is_not_there_is_not_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, shard: int
) -> None:
    lived = world(tmp_path / "store")
    for _ in range(2):
        lived.add(3)
        build_snapshot(lived.store)
    part_of_frames = next(each for each in Snapshot.open(lived.store).parts if each.about.kind == "frame")
    path = lived.store.root / "parts" / f"{part_of_frames.about.name}.rows.npy"
    rows = np.load(path)
    rows["shard"] = shard
    mutations.replace(path, b"")
    np.save(path, rows)
    monkeypatch.setattr("index.mapped.require", mutations.trusting)
    monkeypatch.setattr("index.mapped.damage", lambda path, held: [] if path.exists() else ["It is missing."])
    lived.add(20)
    caplog.set_level("INFO")
    build_snapshot(lived.store, publish=False)
    assert "frame parts are made anew: " in caplog.text
    assert "cannot be merged: a row lies in a shard that it does not name." in caplog.text


def test_a_manifest_that_is_nested_without_end_is_one_sentence(lived: World) -> None:
    path = lived.store.root / "snapshots/000001/snapshot.json"
    mutations.replace(path, b"[" * 200_000)
    says = rf"^{re.escape(str(path))} is damaged: it is nested too deeply\.$"
    with pytest.raises(SnapshotError, match=says):
        Snapshot.open(lived.store, 1)
