"""`cinedex dedupe`: what it prints, and with what it exits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from core.collections import Library
from core.commands import main as cinedex
from core.writer import Writer
from extractor.media.write import Encoding, write_video
from extractor.world.grounds import Pixels
from index.told import clock
from tests.conftest import FPS, shapes, write_film
from tests.extractor.shelf import Shelf, age
from tests.index.filmed import Studio, id_of
from tests.index.worlds import make

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: a film, a copy, a clip of it, an intro in three others, a film of its own."""
    studio = Studio(tmp_path_factory.mktemp("shop") / "toy-rgb")
    film, intro = studio.film(90), studio.film(20)
    studio.put("film", film, width=640, height=360, codec="h264", size=2_000_000)
    studio.put("film-large", film, width=1920, height=1080, codec="hevc", size=9_000_000)
    other = studio.film(80)
    studio.put("other", other)
    studio.put("other-clip", other[300:600])
    for number in range(3):
        studio.put(f"part-{number}", np.concatenate([intro, studio.film(40)]))
    studio.built()
    Library(studio.root.parent).add_store("default", "toy-rgb")
    return studio.root.parent


def answer(shop: Path, capsys: Out, *flags: str) -> dict[str, Any]:
    assert cinedex(["dedupe", "--data", str(shop), "--json", *flags]) == 0
    held: dict[str, Any] = json.loads(capsys.readouterr().out)
    return held


def test_people_see_groups_with_the_best_copy_first_then_what_recurs_then_pairs(
    shop: Path, capsys: Out
) -> None:
    assert cinedex(["dedupe", "--data", str(shop)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2 copies; the first is the best one to keep",
        "  films/film-large.mp4  (1920x1080 hevc, 01:30.0, 9.0 MB)",
        "  films/film.mp4  (640x360 h264, 01:30.0, 2.0 MB)",
        "",
        "the same 20 s in 3 videos",
        *(f"  00:00.0 – 00:20.0  films/part-{number}.mp4" for number in range(3)),
        "",
        "excerpt: films/other.mp4 and films/other-clip.mp4 share 38% and 100% of theirs",
        "  00:30.0 – 01:00.0  is  00:00.0 – 00:30.0  (0.997)",
    ]


def test_machines_get_all_pairs_with_times_offsets_and_how_alike_they_are(shop: Path, capsys: Out) -> None:
    held = answer(shop, capsys)
    assert (held["kind"], held["snapshot"], held["encoder"]) == ("frame", 1, "toy:rgb")
    assert 0.5 < held["least_similarity"] < 1
    ((group,), (intro,)) = held["groups"], held["recurring"]
    assert group["keep"] == id_of("film-large") == group["videos"][0]["video_id"]
    assert [each["path"] for each in intro["ranges"]] == [f"films/part-{number}.mp4" for number in range(3)]
    assert [pair["sort"] for pair in held["pairs"]] == ["copy", "excerpt", "range", "range", "range"]
    excerpt = held["pairs"][1]
    assert (excerpt["first"]["path"], excerpt["first"]["share"]) == ("films/other.mp4", 0.375)
    (range_,) = excerpt["ranges"]
    assert range_["start"] == pytest.approx(30, abs=0.1) and range_["offset"] == pytest.approx(-30, abs=0.1)
    assert range_["speed"] == 1 and range_["similarity"] > 0.99


def test_a_table_for_other_programs_has_a_line_a_range(shop: Path, capsys: Out) -> None:
    assert cinedex(["dedupe", "--data", str(shop), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["sort"] for row in rows] == ["copy", "excerpt", "range", "range", "range"]
    assert (rows[1]["first"], rows[1]["second"]) == ("films/other.mp4", "films/other-clip.mp4")
    assert float(rows[1]["other_end"]) == pytest.approx(30, abs=0.1)


def test_files_with_the_same_bytes_are_copies_without_a_look_at_their_rows(
    tmp_path: Path, videos: Path, capsys: Out
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red.mp4", "a.mp4")
    shelf.put(videos / "red.mp4", "b.mp4")
    shelf.extract()
    assert cinedex(["index", "build", "--data", str(tmp_path / "data")]) == 0
    capsys.readouterr()
    assert cinedex(["dedupe", "--data", str(tmp_path / "data")]) == 0
    first, one, other = capsys.readouterr().out.splitlines()
    assert first.startswith("2 copies")
    assert one.startswith("  films/a.mp4  (160x90 h264, 00:10.0, ")
    assert other == "  films/b.mp4  (the same bytes)"
    assert cinedex(["dedupe", "--data", str(tmp_path / "data"), "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["sort"], row["first"], row["second"]) == ("file", "films/a.mp4", "films/b.mp4")


def test_what_was_removed_since_the_build_is_not_listed(tmp_path: Path, capsys: Out) -> None:
    studio = Studio(tmp_path / "store")
    film, other = studio.film(60), studio.film(60)
    for name in ("film", "film-again", "film-third"):
        studio.put(name, film)
    studio.put("other", other)
    studio.put("other-again", other)
    store = studio.built().store
    asked = ["dedupe", "--store", str(store.root), "--json"]
    writer = Writer(store)
    for name in ("film", "other-again"):
        writer.removed(id_of(name), store.log.last().number)
    writer.commit()
    assert cinedex(asked) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert [each["video_id"] for each in group["videos"]] == [id_of("film-again"), id_of("film-third")]


def test_where_nothing_is_found_it_says_so_and_what_was_too_short(
    shop: Path, capsys: Out, caplog: pytest.LogCaptureFixture
) -> None:
    assert cinedex(["dedupe", "--data", str(shop), "--min-seconds", "85"]) == 0
    assert "5 videos are shorter than 85 s" in caplog.text
    capsys.readouterr()
    assert cinedex(["dedupe", "--data", str(shop), "--min-seconds", "200"]) == 0
    assert capsys.readouterr().out == "Nothing is found.\n"


def test_a_store_without_rows_of_pictures_is_compared_by_its_clips_and_it_says_so(
    tmp_path: Path, capsys: Out
) -> None:
    studio = Studio(tmp_path / "store", kind="clip")
    film = studio.film(90)
    studio.put("film", film)
    studio.put("again", film)
    studio.put("other", studio.film(90))
    studio.built()
    assert cinedex(["dedupe", "--store", str(tmp_path / "store")]) == 0
    told = capsys.readouterr()
    assert "2 copies" in told.out
    assert "has no rows of pictures, so clips are compared" in told.err


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--json", "--csv"], 2, "--json and --csv exclude each other"),
        (["--store", "STORE", "--collection", "default"], 2, "--store and --collection exclude each other"),
        (["--collection", "none"], 2, "has no collection 'none'; it has default."),
        (["--collection", ""], 2, "has no collection ''; it has default."),
        (["--encoder", "clip"], 2, "There is no store of 'clip'; there are toy:rgb."),
        (["--data", "nowhere"], 2, "nowhere holds no store"),
        (["--store", "EMPTY"], 1, "has no published snapshot; `cinedex index build` makes one."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    shop: Path, tmp_path: Path, capsys: Out, flags: list[str], code: int, says: str
) -> None:
    make(tmp_path / "empty")
    places = {"STORE": str(shop / "toy-rgb"), "EMPTY": str(tmp_path / "empty")}
    line = [places.get(flag, flag) for flag in flags]
    assert cinedex(["dedupe", *([] if "--data" in flags else ["--data", str(shop)]), *line]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1 and says in told.err


def test_times_of_an_hour_and_more_name_the_hour() -> None:
    assert [clock(0), clock(59.96), clock(3599.94), clock(3723.4)] == [
        *("00:00.0", "01:00.0", "59:59.9", "1:02:03.4")
    ]


# --- real files --------------------------------------------------------------------------------------


def pictures(
    path: Path, width: int, every: int = 1, span: tuple[float, float] = (0, 1e9)
) -> Iterator[Pixels]:
    """Every so manyth picture in these seconds of a file, in another size."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        height = round(width * stream.height / stream.width / 2) * 2
        shown = (frame for frame in container.decode(stream) if span[0] <= (frame.time or 0) < span[1])
        for number, frame in enumerate(shown):
            if number % every == 0:
                yield frame.reformat(width, height, "rgb24", threads=1).to_ndarray().astype(np.uint8)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Three films, and of two of them a file by another codec, in another size and rate, whole or cut."""
    shelf = Shelf(tmp_path_factory.mktemp("coded"))
    shelf.films.mkdir()
    colours = (
        "red blue green yellow purple orange",
        "cyan red yellow green purple blue",
        "orange cyan blue red",
    )
    films = [shelf.films / f"film-{number}.mp4" for number in range(len(colours))]
    for path, named in zip(films, colours, strict=True):
        write_film(path, shapes(*named.split(), seconds=3.0))
    small = Encoding("hevc", fps=FPS / 2, crf=34)
    write_video(shelf.films / "small.mkv", pictures(films[0], 80, every=2), small)
    cut = Encoding("vp8", fps=FPS, crf=40)
    write_video(shelf.films / "cut.webm", pictures(films[1], 240, span=(3.4, 16.4)), cut)
    for path in shelf.films.iterdir():
        age(path)
    return shelf


def test_re_encoded_files_are_found_by_colours_alone(coded: Shelf, capsys: Out) -> None:
    coded.extract("--fps", "4", "--no-thumbs")
    assert cinedex(["index", "build", "--data", str(coded.folder / "data")]) == 0
    capsys.readouterr()
    held = answer(coded.folder / "data", capsys, "--min-seconds", "5")
    found = {(pair["first"]["path"], pair["second"]["path"]): pair for pair in held["pairs"]}
    named = {frozenset(Path(path).stem for path in pair): found[pair] for pair in found}
    assert set(named) == {frozenset(("film-0", "small")), frozenset(("film-1", "cut"))}
    assert named[frozenset(("film-0", "small"))]["sort"] == "copy"
    cut = named[frozenset(("film-1", "cut"))]
    assert cut["sort"] == "excerpt"
    side = 1 if cut["first"]["path"].endswith("film-1.mp4") else -1
    assert side * cut["ranges"][0]["offset"] == pytest.approx(-3.4, abs=0.26)


def test_real_videos_are_told_from_each_other_and_from_their_copies(
    tmp_path: Path, media: Path, capsys: Out
) -> None:
    """By colours, a picture a second; of the pig there are two files anyway."""
    shelf = Shelf(tmp_path)
    names = ["nasa_13013.mp4", "testvideo.mp4", "bikes.mp4", "fades.mp4", "chaplin.mp4", "car-detection.mp4"]
    for path in sorted((media / "videos").iterdir()):
        if path.name.endswith((*names, "pig.mp4", "pig.webm", "bottle-detection.mp4")):
            shelf.put(path, path.name.partition("__")[2])
    small, cut = shelf.films / "small.mkv", shelf.films / "cut.webm"
    small_pictures = pictures(shelf.films / "nasa_13013.mp4", 240)
    write_video(small, small_pictures, Encoding("h264", fps=Fraction(25), crf=36))
    cut_pictures = pictures(shelf.films / "testvideo.mp4", 320, span=(6.4, 20.4))
    write_video(cut, cut_pictures, Encoding("vp9", fps=Fraction(30_000, 1001), crf=40))
    age(small), age(cut)
    shelf.extract("--no-thumbs")
    assert cinedex(["index", "build", "--data", str(tmp_path / "data")]) == 0
    capsys.readouterr()
    held = answer(tmp_path / "data", capsys, "--min-seconds", "5")
    found = {
        (pair["sort"], *sorted(Path(pair[side]["path"]).name for side in ("first", "second")))
        for pair in held["pairs"]
    }
    assert found == {
        ("copy", "nasa_13013.mp4", "small.mkv"),
        ("copy", "pig.mp4", "pig.webm"),
        ("excerpt", "cut.webm", "testvideo.mp4"),
    }
