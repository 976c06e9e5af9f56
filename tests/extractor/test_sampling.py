"""What `extract` does with points, clips, shots, presets and pictures that stand still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.store import Store
from core.types import Kind, Look, Sampling
from core.writer import compact
from extractor.cli import main
from extractor.media.reader import Reader
from extractor.media.write import Encoding, write_video
from extractor.still import difference
from extractor.world.plain_films import PLAIN_COLOURS
from tests.conftest import FPS
from tests.extractor.shelf import Shelf, outcome, vectors


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    held = Shelf(tmp_path)
    held.put(videos / "red-then-blue.mp4")
    return held


def spans(shelf: Shelf, kind: Kind) -> list[tuple[float, float]]:
    (source,) = shelf.live()
    starts, ends, _ = vectors(shelf.store)[source, kind]
    return list(zip(starts, ends, strict=True))


def facts(store: Store) -> dict[str, Any]:
    (row,) = store.shard(*store.log.last().shards()).sources.to_pylist()
    held: dict[str, Any] = row
    return held


def test_uniform_points_make_rows_and_clips(shelf: Shelf) -> None:
    report = shelf.extract("--points=uniform", "--count=16", "--clip-seconds=4", "--stride-seconds=2")
    assert report["rows"] == {"frame": 16, "clip": 3, "text": 0}
    frames = spans(shelf, "frame")
    assert frames[0] == (0.2, 0.7) and frames[-1] == (7.7, 8.0)
    assert spans(shelf, "clip")[0] == (0.2, 4.2)
    assert shelf.store.sampling == Sampling(points="uniform", count=16, clip_seconds=4.0, stride_seconds=2.0)
    assert outcome(shelf.extract()) == {"already": 1}  # the store's own


def test_keyframes_and_whole_make_one_clip(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red.mp4")
    assert shelf.extract("--points=keyframes", "--whole")["rows"] == {"frame": 5, "clip": 1, "text": 0}
    assert spans(shelf, "frame") == [(float(t), float(t + 2)) for t in range(0, 10, 2)]
    assert spans(shelf, "clip") == [(0.0, 10.0)]


def test_with_points_shots_a_clip_is_a_shot_and_its_vector_is_of_it_alone(shelf: Shelf) -> None:
    report = shelf.extract("--points=shots", "--workers=1")
    assert report["rows"] == {"frame": 8, "clip": 2, "text": 0}
    assert spans(shelf, "clip") == [(0.0, 4.0), (4.0, 8.0)]
    (source,) = shelf.live()
    clips = np.frombuffer(vectors(shelf.store)[source, "clip"][2], np.float16).reshape(2, -1)
    red, blue = 0, 5
    assert clips[0, red] > 0 == clips[0, blue] and clips[1, blue] > 0 == clips[1, red]
    assert facts(shelf.store)["shots"] == [0.0, 4.0]


@pytest.mark.parametrize("workers", [0, 1])
def test_shots_are_recorded_where_asked_for_and_else_there_is_no_column(
    shelf: Shelf, videos: Path, workers: int
) -> None:
    shelf.extract("--shots", f"--workers={workers}")
    assert facts(shelf.store)["shots"] == [0.0, 4.0]
    assert shelf.store.sampling == Sampling()
    shelf.put(videos / "red.mp4")
    shelf.extract()
    store = shelf.store
    known = store.log.last()
    tables = [store.shard(name).sources for name in known.shards()]
    assert sorted("shots" in table.column_names for table in tables) == [False, True]
    compact(store, list(known.shards()))
    (merged,) = (store.shard(name).sources for name in store.log.last().shards())
    assert str(merged.schema.field("shots").type) == "list<element: double>"
    shots = merged["shots"].to_pylist()
    assert len(shots) == 2 and None in shots and [0.0, 4.0] in shots


def film_that_stands_still(path: Path) -> None:
    """Red for 3 s, then blue for 5 s, then red again for 2 s, with a little noise."""
    random = np.random.default_rng(1)
    colours = ["red"] * 30 + ["blue"] * 50 + ["red"] * 20
    pictures = (
        np.clip(np.array(PLAIN_COLOURS[c]) + random.normal(0, 1, (90, 160, 3)), 0, 255).astype(np.uint8)
        for c in colours
    )
    write_video(path, pictures, Encoding(fps=FPS, gop=20, bframes=2))


def test_pictures_that_stand_still_are_left_out_and_the_saving_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = tmp_path / "made.mp4"
    film_that_stands_still(made)
    shelf = Shelf(tmp_path / "shelf")
    shelf.put(made)
    flags = [flag for flag in shelf.flags("--skip-still=0.02") if flag != "--quiet"]
    with caplog.at_level("INFO"):
        assert main(flags) == 0
    report = shelf.report()
    assert report["rows"]["frame"] == 3 and report["still_points"] == 7
    assert "7 still pictures left out" in caplog.text
    assert spans(shelf, "frame") == [(0.0, 3.0), (3.0, 8.0), (8.0, 10.0)]
    assert spans(shelf, "clip") == [(0.0, 8.0), (3.0, 10.0)]
    assert facts(shelf.store)["still_points"] == 7


def test_what_differs_as_much_as_said_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "made.mp4"
    film_that_stands_still(path)
    with Reader(path) as reader:
        every = list(reader.pictures(Sampling(), Look(size=32)))
        for least in (0.0001, 0.002, 0.02, 0.9):
            kept = list(reader.pictures(Sampling(skip_still=least), Look(size=32)))
            expected = [every[0]]
            for picture in every[1:]:
                if difference(expected[-1].pixels, picture.pixels) >= least:
                    expected.append(picture)
            assert [p.t for p in kept] == [p.t for p in expected]
            assert reader.facts.still_points == len(every) - len(kept)
            assert kept[-1].end == every[-1].end


def test_a_preset_is_the_stores_sampling(shelf: Shelf) -> None:
    report = shelf.extract("--preset=clip2video-msvd", "--no-frames")
    assert report["rows"] == {"frame": 0, "clip": 1, "text": 0}
    assert shelf.store.sampling == Sampling(preset="clip2video-msvd", keep_frames=False)


WRONG = {
    "--points=uniform": "points 'uniform' need count, as in --points uniform --count 12.",
    "--count=8": "count 8 goes with points 'uniform', not with 'fps'.",
    "--points=uniform --count=300 --whole": "count 300 is more than the 256 that a whole clip holds.",
    "--points=uniform --count=8 --fps=2": "fps 2.0 means nothing with points 'uniform'; leave it out.",
    "--points=keyframes --fps=2": "fps 2.0 means nothing with points 'keyframes'; leave it out.",
    "--points=shots --clip-seconds=4": (
        "With points 'shots' each shot is a clip; leave clip-seconds and stride-seconds out."
    ),
    "--whole --stride-seconds=4": "--whole makes one clip of each video; leave --stride-seconds out.",
    "--preset=clip2video-msvd --fps=2 --whole": (
        "preset 'clip2video-msvd' is a choice of points and clips itself; leave out fps, whole."
    ),
    "--preset=clip2video": "preset 'clip2video' is not known; clip2video-msrvtt and clip2video-msvd are.",
}


@pytest.mark.parametrize("flags", WRONG)
def test_what_does_not_go_together_is_refused_in_one_sentence(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], flags: str
) -> None:
    assert main(shelf.flags(*flags.split())) == 2
    assert capsys.readouterr().err == f"extract: {WRONG[flags]}\n"
    assert not (shelf.folder / "data").exists()


@pytest.mark.parametrize(
    "flag", ["--points=all", "--count=0", "--skip-still=1", "--skip-still=-0.1", "--points=shots --fps=0"]
)
def test_a_value_that_cannot_be_is_refused_in_one_sentence(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    assert main(shelf.flags(*flag.split())) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (shelf.folder / "data").exists()


def test_other_points_than_the_stores_are_refused_by_name(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.extract("--points=uniform", "--count=8")
    assert main(shelf.flags("--points=keyframes")) == 1
    told = capsys.readouterr().err
    assert told.endswith("was sampled with points uniform, not keyframes; count 8, not 0.\n")
