"""What clip-retrieval's inference wrote: pictures of videos, pictures of none, and captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extractor.exchange.pictures import video_of
from extractor.texts import text_id
from tests.extractor.exchange.foreign import Importer, units, write_partition

IMAGES = units(7)
TEXTS = units(7, seed=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos' pictures, dealt out over two partitions as its sampler does; number 3 of b is missing."""
    folder = tmp_path / "encoded"
    paths = ["/in/a/0001.jpg", "/in/a/0002.jpg", "/in/a/0003.jpg"]
    paths += ["/in/b_frame10.png", "/in/b_frame2.png", "/in/b_frame4.png", "/in/b_frame1.png"]
    captions = ["cat", "cat", "cat", "dog 10", "dog 2", None, "cat"]
    for number in (0, 1):
        mine = slice(number, None, 2)
        metadata: dict[str, Sequence[Any]] = {
            "image_path": paths[mine],
            "caption": captions[mine],
            "width": [640] * len(paths[mine]),
            "exif.iso": [float("nan")] * len(paths[mine]),
        }
        write_partition(folder, str(number), IMAGES[mine], metadata, TEXTS[mine])
    return folder


def test_pictures_of_a_video_come_together_from_all_partitions_by_their_numbers(
    importer: Importer, folder: Path
) -> None:
    importer.run(folder, "--fps", "2")
    start, end, rows = importer.rows("in/a", "frame")
    assert (start, end) == ([0, 0.5, 1], [0.5, 1, 1.5])
    assert np.array_equal(rows, IMAGES[:3])
    start, end, rows = importer.rows("in/b_frame", "frame")
    assert (start, end) == ([0, 0.5, 1.5, 4.5], [0.5, 1.5, 4.5, 5])  # what failed to load moves nothing
    assert np.array_equal(rows, IMAGES[[6, 4, 5, 3]])
    assert importer.facts("in/b_frame")["approximate"] is True


def test_a_column_has_the_value_that_all_pictures_share_or_all_that_they_have(
    importer: Importer, folder: Path
) -> None:
    importer.run(folder, "--fps", "2")
    assert importer.columns()["in/a"] == {"caption": "cat", "width": 640}
    held = importer.columns()["in/b_frame"]
    assert sorted(held.pop("caption")) == ["cat", "dog 10", "dog 2"]
    assert held == {"width": 640}


def test_captions_with_vectors_become_library_texts_once_each(importer: Importer, folder: Path) -> None:
    importer.run(folder, "--fps", "2")
    found = {source for source in importer.sources().values() if source.startswith("t-")}
    assert found == {text_id(text) for text in ("cat", "dog 10", "dog 2")}
    assert np.array_equal(importer.rows(f"text_emb#{text_id('cat')}", "text")[2], TEXTS[:1])


def test_pictures_can_be_taken_each_as_one_of_its_own(importer: Importer, folder: Path) -> None:
    importer.run(folder, "--stills")
    assert importer.rows("in/b_frame10.png", "frame")[:2] == ([0], [0])
    assert importer.facts("in/b_frame10.png")["approximate"] is False
    assert importer.columns()["in/b_frame10.png"] == {"caption": "dog 10", "width": 640}


def test_a_folder_of_captions_alone_is_imported(importer: Importer, tmp_path: Path) -> None:
    folder = write_partition(tmp_path / "texts", "00", None, {"caption": ["a", "b"]}, units(2))
    assert "2 sources imported, 2 text rows" in importer.run(folder)


@pytest.mark.parametrize(
    ("path", "video", "number"),
    [
        ("films/a/0001.jpg", "films/a", 1),
        ("films/a/frame_0001.jpg", "films/a", 1),
        ("films/a/Images-17.png", "films/a", 17),
        ("films/a_0001.jpg", "films/a", 1),
        ("a.mp4_25.jpg", "a.mp4", 25),
        ("000010005", "", 10005),
    ],
)
def test_a_picture_names_its_video_and_its_number(path: str, video: str, number: int) -> None:
    assert video_of(path, Path("metadata_0.parquet")) == (video, number)


# --- what is refused ---------------------------------------------------------------------------------


def test_pictures_without_a_rate_are_refused(importer: Importer, folder: Path) -> None:
    assert "--fps says how many of them a second of video has, --stills" in importer.refuse(folder)


def test_pictures_without_a_number_are_refused(importer: Importer, tmp_path: Path) -> None:
    folder = write_partition(tmp_path / "in", "0", units(1), {"image_path": ["in/cat.jpg"]})
    assert "the image_path 'in/cat.jpg' without a number" in importer.refuse(folder, "--fps", "1")


def test_as_many_names_as_vectors_are_needed(importer: Importer, folder: Path) -> None:
    np.save(folder / "img_emb" / "img_emb_1.npy", units(4))
    found = importer.refuse(folder, "--fps", "1")
    assert "img_emb_1.npy has 4 rows and" in found and found.endswith("metadata_1.parquet 3.")


def test_every_array_needs_its_metadata(importer: Importer, folder: Path) -> None:
    (folder / "metadata" / "metadata_1.parquet").unlink()
    assert "img_emb_1.npy has no metadata/metadata_1.parquet" in importer.refuse(folder, "--fps", "1")


def test_metadata_must_be_parquet_and_whole(importer: Importer, folder: Path) -> None:
    path = folder / "metadata" / "metadata_1.parquet"
    path.write_bytes(path.read_bytes()[:-7])
    assert "metadata_1.parquet is no parquet file" in importer.refuse(folder, "--fps", "1")


@pytest.mark.parametrize("column", ["image_path", "caption"])
def test_metadata_must_have_the_columns_that_tell_the_rows(
    importer: Importer, tmp_path: Path, column: str
) -> None:
    held = {"image_path": ["a/1.jpg"], "caption": ["cat"]}
    del held[column]
    folder = write_partition(tmp_path / "in", "0", units(1), held, units(1))
    assert f"has no column '{column}'" in importer.refuse(folder, "--fps", "1")


def test_partitions_of_two_models_are_refused(importer: Importer, folder: Path) -> None:
    np.save(folder / "img_emb" / "img_emb_1.npy", units(3, dim=16))
    assert "holds vectors of 16 numbers, not of 12" in importer.refuse(folder, "--fps", "1")
