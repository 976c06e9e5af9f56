"""An export read back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import thumbs
from core.commands import main
from core.store import Store
from tests.durable import every_step
from tests.extractor.exchange.foreign import Importer, Video, units, write_files
from tests.extractor.shelf import Shelf, outcome, vectors


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Two videos, one of them twice and one with a name that is no text, and two texts."""
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red.mp4")
    shelf.put(videos / "red.mp4", "cats/red again.mp4")
    shelf.put(videos / "short.webm", "caf\udce9.webm")
    (tmp_path / "texts.jsonl").write_text('{"text": "a red thing", "lang": "en"}\n{"text": "blau"}\n')
    shelf.extract(f"--texts={tmp_path / 'texts.jsonl'}", f"--videos={shelf.films}")
    return shelf


@pytest.fixture
def exported(shelf: Shelf) -> Path:
    assert main(["export", str(shelf.folder / "out"), f"--data={shelf.folder / 'data'}"]) == 0
    return shelf.folder / "out"


@pytest.fixture
def other(shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importer:
    """Another library."""
    return Importer(tmp_path / "other", capsys)


def bring(other: Importer, folder: Path, *flags: str, code: int = 0) -> None:
    assert main(["import", str(folder), f"--data={other.data}", *flags]) == code


def same(one: Store, another: Store) -> None:
    """Rows, places, columns, facts and texts are equal, to the bit."""
    assert vectors(one) == vectors(another)
    mine, theirs = one.log.last(), another.log.last()
    assert list(mine.live()) == list(theirs.live())
    assert facts(one) == facts(another)
    assert one.spec == another.spec and one.sampling == another.sampling
    assert np.array_equal(one.probes(), another.probes())  # type: ignore[arg-type]


def facts(store: Store) -> dict[str, dict[str, object]]:
    shards = [store.shard(name) for name in store.log.last().shards()]
    lines = (line for shard in shards for line in shard.sources.to_pylist())
    # Thumbnails stay where they are.
    return {line["id"]: {k: v for k, v in line.items() if k not in thumbs.COLUMNS} for line in lines}


def test_an_export_read_back_is_the_same_store(shelf: Shelf, exported: Path, other: Importer) -> None:
    bring(other, exported)
    same(shelf.store, Store.open(other.data / "toy-rgb"))


def test_extract_goes_on_where_the_export_was(shelf: Shelf, exported: Path, other: Importer) -> None:
    bring(other, exported)
    shutil.rmtree(shelf.folder / "data")
    other.data.rename(shelf.folder / "data")
    assert outcome(shelf.extract()) == {"already": 3}


def test_a_second_time_adds_nothing(exported: Path, other: Importer) -> None:
    bring(other, exported)
    store = Store.open(other.data / "toy-rgb")
    entry, shards = store.log.last().number, sorted((store.root / "shards").iterdir())
    bring(other, exported)
    assert store.log.last().number == entry
    assert sorted((store.root / "shards").iterdir()) == shards


def test_only_what_a_store_lacks_is_added(shelf: Shelf, exported: Path, other: Importer) -> None:
    films = Shelf(other.data.parent / "elsewhere")
    films.put(shelf.films / "red.mp4")
    films.extract(f"--data={other.data}")
    bring(other, exported)
    store = Store.open(other.data / "toy-rgb")
    assert vectors(store) == vectors(shelf.store)
    known = store.log.last()
    assert sum(len(live.places) for live in known.live()) == 5


def test_an_export_of_what_was_imported_stays_of_unknown_weights(importer: Importer, tmp_path: Path) -> None:
    importer.run(write_files(tmp_path / "theirs", [Video("0", units(3))]), "--fps", "1")
    assert main(["export", str(tmp_path / "out"), f"--data={importer.data}"]) == 0
    other = Importer(tmp_path / "other", importer.capsys)
    bring(other, tmp_path / "out")
    assert other.store.spec == importer.store.spec and other.store.spec.weights == "unknown"
    assert other.facts("0")["approximate"] is True
    assert vectors(other.store) == vectors(importer.store)


# --- what is refused ---------------------------------------------------------------------------------


def test_vectors_that_were_changed_are_no_longer_of_that_encoder(exported: Path, other: Importer) -> None:
    np.save(exported / "clip.npy", units(len(np.load(exported / "clip.npy"))))
    assert "clip.npy is not what was exported" in other.refuse(exported)
    (exported / "about.json").unlink()
    (exported / "text.npy").unlink()
    other.run(exported)
    assert other.store.spec.weights == "unknown"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "frame.npy").unlink(), "frame.npy is not what was exported"),
        (lambda folder: (folder / "clip.parquet").write_bytes(b""), "clip.parquet is not what was exported"),
        (
            lambda folder: (folder / "about.json").write_text(
                (folder / "about.json").read_text().replace("toy:rgb", "toy:bgr")
            ),
            "about.json is damaged",
        ),
    ],
)
def test_an_export_that_is_not_whole_is_refused(
    exported: Path, other: Importer, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(exported)
    assert says in other.refuse(exported, code=1 if "damaged" in says else 2)


@pytest.mark.parametrize(
    "flags", [["--fps", "1"], ["--normalise"], ["--media", "."], ["--root", "a"], ["--encoder", "toy:bgr"]]
)
def test_an_export_is_not_told_what_it_knows(exported: Path, other: Importer, flags: list[str]) -> None:
    assert str(exported) in other.refuse(exported, *flags)


def test_tables_with_vectors_in_them_are_not_read_back(shelf: Shelf, other: Importer) -> None:
    folder = shelf.folder / "tables"
    assert main(["export", str(folder), "--to=parquet", f"--data={shelf.folder / 'data'}"]) == 0
    assert "is an export to parquet; import reads exports to npy." in other.refuse(folder)


def test_an_import_killed_at_any_step_is_finished_by_the_next(
    shelf: Shelf, exported: Path, other: Importer
) -> None:
    def check(step: int) -> None:
        bring(other, exported)
        same(shelf.store, Store.open(other.data / "toy-rgb"))

    run, clear = lambda: bring(other, exported), lambda: shutil.rmtree(other.data, ignore_errors=True)
    assert every_step(run, check, clear) > 20
