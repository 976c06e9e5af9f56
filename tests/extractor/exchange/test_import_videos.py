"""What clip-video-encode wrote, in files and in tars."""

from __future__ import annotations

import io
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from extractor.content import content_of
from tests.durable import every_step
from tests.extractor.exchange.foreign import Importer, Video, npy, units, write_files, write_shard, write_tar
from tests.extractor.shelf import Shelf, vectors

CATS = Video("0", units(20), "cats at play", {"videoLoc": "/old/disk/cats.mp4", "license": "CC0"})
ADDRESS = "https://me:secret@films.example/dogs.mp4?key=secret"
DOGS = Video("1", units(3, seed=1), None, {"videoLoc": ADDRESS, "info": {"from": [ADDRESS]}})
PLAIN = Video("2", units(5, seed=2))
VIDEOS = (CATS, DOGS, PLAIN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "embeddings", VIDEOS)


def test_pictures_get_the_times_of_the_stated_rate_and_say_that_they_are_approximate(
    importer: Importer, folder: Path
) -> None:
    said = importer.run(folder, "--fps", "2")
    assert said == "toy-rgb-imported: 3 sources imported, 28 frame rows, 4 clip rows.\n"
    start, end, rows = importer.rows("old/disk/cats.mp4", "frame")
    assert (start[:3], end[:3]) == ([0, 0.5, 1], [0.5, 1, 1.5])
    assert np.array_equal(rows, CATS.vectors)
    assert importer.facts("old/disk/cats.mp4")["approximate"] is True


def test_clips_are_the_runs_that_extract_would_make_and_unit_means(importer: Importer, folder: Path) -> None:
    importer.run(folder, "--fps", "2", "--clip-seconds", "4", "--stride-seconds", "3")
    start, end, rows = importer.rows("old/disk/cats.mp4", "clip")
    assert (start, end) == ([0, 3, 6], [4, 7, 10])
    mean = CATS.vectors[6:14].astype(np.float32).mean(axis=0)
    assert np.allclose(rows[1], mean / np.linalg.norm(mean), atol=1e-3)


def test_clips_can_be_left_out(importer: Importer, folder: Path) -> None:
    importer.run(folder, "--fps", "200", "--no-clips")
    assert {kind for _, kind in vectors(importer.store)} == {"frame"}


def test_captions_and_metadata_become_columns_and_no_secret_is_kept(importer: Importer, folder: Path) -> None:
    importer.run(folder, "--fps", "1")
    assert importer.columns() == {
        "old/disk/cats.mp4": {"caption": "cats at play", "license": "CC0"},
        "films.example/dogs.mp4": {"info": {"from": ["https://films.example/dogs.mp4"]}},
        "2": {},
    }
    held = b"".join(path.read_bytes() for path in importer.data.rglob("*") if path.is_file())
    assert b"secret" not in held


def test_tars_hold_the_same_as_files(importer: Importer, folder: Path, tmp_path: Path) -> None:
    importer.run(folder, "--fps", "1", "--root", "films")
    expected, columns = vectors(importer.store), importer.columns()
    shard = write_shard(tmp_path / "shards", VIDEOS[:2])
    write_shard(shard, VIDEOS[2:], number=1)
    other = Importer(tmp_path / "other", importer.capsys)
    other.run(shard, "--fps", "1", "--root", "films")
    assert vectors(other.store) == expected
    assert other.columns() == columns


def test_an_embedding_webdataset_holds_captions_as_cap(importer: Importer, tmp_path: Path) -> None:
    members = {"7.npy": npy(units(4)), "7.cap": b"a cat", "7.json": b'{"views": 3, "score": NaN}'}
    write_tar(tmp_path / "ds" / "ds_000000.tar.gz", members, "w:gz")
    importer.run(tmp_path / "ds", "--fps", "1", "--from", "clip-video-encode")
    assert importer.columns() == {"7": {"caption": "a cat", "views": 3}}


def test_an_npz_of_named_arrays_is_read(importer: Importer, tmp_path: Path) -> None:
    held = io.BytesIO()
    np.savez_compressed(held, clip_embeddings=units(4), optical_flow=np.zeros(9))
    write_tar(tmp_path / "shards" / "000000000_clip_embeddings.tar", {"a.b.npz": held.getvalue()})
    importer.run(tmp_path / "shards", "--fps", "1")
    assert np.array_equal(importer.rows("a.b", "frame")[2], units(4))


def test_videos_that_are_there_are_known_by_their_content(
    importer: Importer, folder: Path, tmp_path: Path, videos: Path
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red.mp4", "a/cats.mp4")
    shelf.put(videos / "blue.mp4", "2.mp4")
    importer.run(folder, "--fps", "1", "--media", str(shelf.films))
    found = importer.sources()
    assert found["a/cats.mp4"] == content_of(os.fsencode(shelf.films / "a" / "cats.mp4")).id
    assert found["2.mp4"].startswith("v-") and found["films.example/dogs.mp4"].startswith("x-")
    assert importer.facts("2.mp4")["size"] == (shelf.films / "2.mp4").stat().st_size
    places = {place for live in importer.store.log.last().live() for place in live.places}
    assert {place.root for place in places} == {"films"}
    entry = importer.store.log.last().number
    assert "3 were there already" in importer.run(folder, "--fps", "1", "--media", str(shelf.films))
    assert importer.store.log.last().number == entry


def test_a_name_that_two_files_have_is_no_file(
    importer: Importer, folder: Path, tmp_path: Path, videos: Path
) -> None:
    shelf = Shelf(tmp_path)
    for name in ("a/cats.mp4", "b/cats.mp4"):
        shelf.put(videos / "red.mp4", name)
    importer.run(folder, "--fps", "1", "--media", str(shelf.films))
    assert importer.sources()["old/disk/cats.mp4"].startswith("x-")


def test_ids_of_what_is_not_there_are_of_root_and_path_alone(
    importer: Importer, folder: Path, tmp_path: Path
) -> None:
    importer.run(folder, "--fps", "1", "--root", "films")
    found, entry = importer.sources(), importer.store.log.last().number
    folder.rename(tmp_path / "moved")
    said = importer.run(tmp_path / "moved", "--fps", "1", "--root", "films")
    assert said == "toy-rgb-imported: 0 sources imported, no rows; 3 were there already.\n"
    assert importer.sources() == found
    assert importer.store.log.last().number == entry


def test_other_vectors_of_a_known_name_take_the_place_of_the_old(importer: Importer, folder: Path) -> None:
    importer.run(folder, "--fps", "1")
    found = importer.sources()
    np.save(folder / "2.npy", units(6, seed=9))
    said = importer.run(folder, "--fps", "1")
    assert said == "toy-rgb-imported: 1 source imported, 6 frame rows, 1 clip rows; 2 were there already.\n"
    assert importer.sources() == found
    assert np.array_equal(importer.rows("2", "frame")[2], units(6, seed=9))


def test_vectors_of_other_lengths_are_told_and_made_unit_only_when_asked(
    importer: Importer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    longer = units(4).astype(np.float32) * 3
    folder = write_files(tmp_path / "embeddings", [Video("0", longer)])
    with caplog.at_level(logging.WARNING):
        importer.run(folder, "--fps", "1")
    assert "not of length 1" in caplog.text
    assert np.array_equal(importer.rows("0", "frame")[2], longer.astype(np.float16))
    assert np.allclose(importer.rows("0", "clip")[2][0], longer.mean(axis=0), atol=1e-2)
    importer.run(folder, "--fps", "1", "--normalise", "--again")
    assert np.allclose(importer.rows("0", "frame")[2], units(4), atol=1e-3)


def test_what_was_removed_stays_so_until_it_is_imported_again(importer: Importer, folder: Path) -> None:
    from extractor.remove import main

    importer.run(folder, "--fps", "1")
    source = importer.sources()["2"]
    assert main([source, f"--data={importer.data}"]) == 0
    importer.run(folder, "--fps", "1")
    assert "2" not in importer.sources()
    importer.run(folder, "--fps", "1", "--again")
    assert importer.sources()["2"] == source


def test_nothing_can_be_extracted_into_an_imported_store(
    importer: Importer, folder: Path, tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from extractor.cli import main

    importer.run(folder, "--fps", "1")
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red.mp4")
    assert main(shelf.flags("--quiet")) == 1
    assert "holds imported vectors of toy:rgb, whose weights are unknown" in capsys.readouterr().err
    shelf.extract("--collection=own")
    assert shelf.paths() == ["red.mp4"]


def test_no_second_import_of_an_encoder_joins_a_collection_that_has_it(
    importer: Importer, folder: Path, tmp_path: Path, videos: Path
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red.mp4")
    shelf.extract()
    said = importer.run(folder, "--fps", "1", code=1)
    assert "The collection default has vectors of toy:rgb" in said
    importer.run(folder, "--fps", "1", "--collection", "theirs")
    assert importer.store.spec.weights == "unknown"


def test_an_import_killed_at_any_step_leaves_nothing_half_and_is_finished_by_the_next(
    importer: Importer, folder: Path
) -> None:
    whole = Importer(importer.data.parent / "whole", importer.capsys)
    whole.run(folder, "--fps", "1")
    expected, paths = vectors(whole.store), sorted(whole.sources())

    def check(step: int) -> None:
        if (importer.data / "toy-rgb-imported" / "store.json").exists():
            assert vectors(importer.store) in ({}, expected), f"half an import after step {step}"
        importer.run(folder, "--fps", "1")
        assert (vectors(importer.store), sorted(importer.sources())) == (expected, paths)

    def clear() -> None:
        shutil.rmtree(importer.data, ignore_errors=True)

    assert every_step(lambda: importer.run(folder, "--fps", "1"), check, clear) > 20


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.full((3, 12), np.nan, np.float32), "row 0 is no vector: it holds nan"),
        (np.full((3, 12), np.inf, np.float16), "row 0 is no vector: it holds inf"),
        (np.full((3, 12), 1e6, np.float32), "finite numbers up to 65504"),
        (units(3, dim=16), "holds vectors of 16 numbers, not of 12"),
        (np.zeros((3, 12), np.int64), "holds int64 [3, 12]"),
        (np.zeros(12, np.float32), "holds float32 [12]"),
    ],
)
def test_an_array_that_is_no_vectors_is_refused_and_nothing_written(
    importer: Importer, folder: Path, array: np.ndarray, says: str
) -> None:
    np.save(folder / "3.npy", array)
    found = importer.refuse(folder, "--fps", "1")
    assert says in found and "3.npy" in found


class Bomb:
    """What happens when it is unpickled can be seen."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_an_array_of_objects_is_never_unpickled(importer: Importer, folder: Path, tmp_path: Path) -> None:
    bomb = np.array([Bomb(tmp_path / "went off")], dtype=object)
    (folder / "3.npy").write_bytes(npy(bomb, pickled=True))
    assert "Python objects, which are never unpickled" in importer.refuse(folder, "--fps", "1")
    with (folder / "3.npz").open("wb") as file:
        np.savez(file, bomb)
    (folder / "3.npy").unlink()
    assert "what is pickled in it is never read" in importer.refuse(folder, "--fps", "1")
    assert not (tmp_path / "went off").exists()


@pytest.mark.parametrize("kept", [0, 5, 60, 200])
def test_an_array_that_is_cut_off_is_refused(importer: Importer, folder: Path, kept: int) -> None:
    whole = (folder / "0.npy").read_bytes()
    (folder / "0.npy").write_bytes(whole[:kept])
    assert str(folder / "0.npy") in importer.refuse(folder, "--fps", "1")


@pytest.mark.parametrize("kept", [700, 512 + 1024, 4096, -1024])
def test_a_tar_that_is_cut_off_is_refused(importer: Importer, tmp_path: Path, kept: int) -> None:
    folder = write_shard(tmp_path / "shards", VIDEOS)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 10240 * 10240][:kept].rstrip(b"\0"))
    assert str(path) in importer.refuse(folder, "--fps", "1")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("0.json", b"{", "is not JSON"),
        ("0.json", b"[" * 100_000, "is not JSON"),
        ("0.json", b"[1]", "must hold one JSON object"),
        ("0.txt", b"\xff", "is not UTF-8"),
        ("0.npz", b"no zip", "is no .npz file"),
    ],
)
def test_what_lies_beside_an_array_must_be_whole(
    importer: Importer, folder: Path, name: str, data: bytes, says: str
) -> None:
    (folder / name).write_bytes(data)
    assert says in importer.refuse(folder, "--fps", "1")


def test_two_videos_of_one_name_are_refused(importer: Importer, tmp_path: Path) -> None:
    folder = write_shard(tmp_path / "shards", [PLAIN])
    write_shard(folder, [PLAIN], number=1)
    assert "both hold what would be shards/2" in importer.refuse(folder, "--fps", "1")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "holds no times; --fps says how many"),
        (["--fps", "1", "--dim", "13"], "holds vectors of 12 numbers, not of 13"),
        (["--fps", "1", "--encoder", "toy"], "must be family:variant"),
        (["--fps", "1", "--stills"], "--stills is for pictures of clip-retrieval"),
        (["--fps", "100"], "make clips of 800 pictures"),
        (["--fps", "1", "--media", "/nowhere"], "--media /nowhere is no folder"),
        (["--fps", "1", "--root", "a/b"], "must be one word of a path"),
    ],
)
def test_flags_that_cannot_be_are_refused(
    importer: Importer, folder: Path, flags: list[str], says: str
) -> None:
    assert says in importer.refuse(folder, *flags)


def test_an_encoder_must_be_stated(importer: Importer, folder: Path) -> None:
    from extractor.exchange.incoming import main

    assert main([str(folder), "--fps=1", f"--data={importer.data}"]) == 2
    assert "does not say what made its vectors" in importer.capsys.readouterr().err


@pytest.mark.parametrize("what", ["empty", "file", "nothing"])
def test_a_folder_of_nobody_is_refused(importer: Importer, tmp_path: Path, what: str) -> None:
    path = tmp_path / "there"
    if what == "empty":
        path.mkdir()
    elif what == "file":
        path.touch()
    says = {"empty": "has neither .npy files nor tars", "file": "is no folder", "nothing": "does not exist"}
    assert says[what] in importer.refuse(path, "--fps", "1")
