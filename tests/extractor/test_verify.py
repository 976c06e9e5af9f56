"""`cinedex verify`: what is stored is what the files give, and what is not is found."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import npy
from core.store import Store
from extractor.remove import main as remove
from extractor.stored import draw_rows
from extractor.verify import main
from tests.extractor.shelf import Shelf, age


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Every kind of good video and three texts, extracted."""
    shelf = Shelf(tmp_path)
    for path in videos.iterdir():
        shelf.put(path)
    texts = shelf.folder / "texts.txt"
    texts.write_text("a red car\nthe blue sea\nsnow\n")
    shelf.extract(f"--videos={shelf.films}", f"--texts={texts}")
    return shelf


def verified(shelf: Shelf, capsys: pytest.CaptureFixture[str], *flags: str, code: int = 0) -> dict[str, Any]:
    """What `--json` shows, with what was said beside it."""
    assert main([f"--data={shelf.folder / 'data'}", "--json", "--quiet", *flags]) == code
    told = capsys.readouterr()
    held: dict[str, Any] = json.loads(told.out)
    return held | {"said": told.err.removeprefix("cinedex verify: ").strip()}


def test_every_row_of_every_kind_of_video_is_what_its_file_gives(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    held = verified(shelf, capsys, "--sample=1000")
    rows = shelf.report()["rows"]
    assert held["compared"] == rows and min(rows.values()) > 0
    assert held["cosine"]["worst"] > 0.999999 and held["cosine"]["mean"] > 0.999999
    assert held["time_error_s"]["worst"] == held["time_error_s"]["mean"] == 0
    assert held["unchecked"] == {} and held["unread"] == [] and held["said"] == ""


@pytest.mark.parametrize(
    "sampling",
    [
        ("--fps=7", "--clip-seconds=1", "--stride-seconds=0.4"),
        ("--fps=0.3", "--clip-seconds=40"),
        ("--fps=30", "--clip-seconds=8"),  # several windows a video
        ("--no-frames", "--clip-seconds=2"),
    ],
)
def test_whatever_the_points_are(
    tmp_path: Path, videos: Path, sampling: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    for name in ("red-then-blue.mp4", "vfr.mkv", "late.mp4"):
        shelf.put(videos / name)
    rows = shelf.extract(*sampling)["rows"]
    held = verified(shelf, capsys, "--sample=2000")
    assert held["compared"] == rows
    assert held["cosine"]["worst"] > 0.999999 and held["time_error_s"]["worst"] == 0


def test_for_people_it_says_which_row_is_the_worst_and_where(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--data={shelf.folder / 'data'}", "--sample=12"]) == 0
    first, cosine, error = capsys.readouterr().out.splitlines()
    assert first == f"{shelf.folder}/data/toy-rgb (toy:rgb): compared 5 frame, 4 clip, 3 text rows"
    assert cosine.startswith("worst cosine 1.0000000, mean 1.0000000: films/") and cosine[-1] == ")"
    assert error.startswith("worst time error 0.000000 s, mean 0.000000 s: films/") and " s (" in error


def edited(shelf: Shelf, kind: str, row: int, **columns: float) -> None:
    """One row of the only shard with other seconds, as a bug would have written it."""
    (shard,) = (shelf.store.root / "shards").iterdir()
    table = pq.read_table(shard / f"{kind}.parquet")
    for name, value in columns.items():
        held = table[name].to_numpy().copy()
        held[row] = value
        table = table.set_column(table.column_names.index(name), name, pa.array(held))
    pq.write_table(table, shard / f"{kind}.parquet")


@pytest.mark.parametrize("kind", ["frame", "clip", "text"])
def test_a_vector_of_another_picture_is_found_and_its_place_told(
    shelf: Shelf, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (shard,) = (shelf.store.root / "shards").iterdir()
    found = np.load(shard / f"{kind}.npy")
    where = 1
    found[where] = np.roll(found[where], 1)
    npy.write(shard / f"{kind}.npy", [found])
    held = verified(shelf, capsys, "--sample=1000", code=1)
    assert held["cosine"]["worst"] < 0.9 and held["cosine"]["kind"] == kind
    assert held["cosine"]["at"] == pq.read_table(shard / f"{kind}.parquet")["start"][where].as_py()
    total = sum(held["compared"].values())
    assert held["said"] == f"{shelf.store.root}: 1 of {total} rows are not what their files give."
    assert verified(shelf, capsys, "--sample=1000", "--least-cosine=-1")["said"] == ""


@pytest.mark.parametrize(
    ("kind", "column", "by"),
    [("frame", "start", 0.04), ("frame", "end", -0.25), ("clip", "end", 0.002), ("frame", "start", 1000.0)],
)
def test_a_time_that_is_wrong_is_found_by_how_much(
    shelf: Shelf, kind: str, column: str, by: float, capsys: pytest.CaptureFixture[str]
) -> None:
    (shard,) = (shelf.store.root / "shards").iterdir()
    row = 2 if kind == "frame" else 0
    edited(shelf, kind, row, **{column: pq.read_table(shard / f"{kind}.parquet")[column][row].as_py() + by})
    held = verified(shelf, capsys, "--sample=1000", code=1)
    error = held["time_error_s"]
    assert error["kind"] == kind
    assert error["worst"] == pytest.approx(abs(by)) or (by > 100 and 980 < error["worst"] < 1000)
    assert "1 of" in held["said"]


def test_what_cannot_be_compared_is_counted_with_its_reason(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = verified(shelf, capsys, "--sample=1000")["compared"]
    (shelf.films / "red.mp4").unlink()
    age(shelf.films / "blue.mp4", 1)
    held = verified(shelf, capsys, "--sample=1000")
    assert held["unchecked"] == {"their file is gone": 12, "their file has changed": 12}
    assert sum(held["compared"].values()) == sum(whole.values()) - 24
    os.rename(shelf.films, shelf.folder / "elsewhere")
    assert verified(shelf, capsys, "--sample=1000")["compared"] == {"frame": 0, "clip": 0, "text": 3}
    for path in (shelf.folder / "data" / "roots").iterdir():
        path.unlink()
    assert set(verified(shelf, capsys, "--sample=1000")["unchecked"]) == {"their root is not known"}


def test_a_copy_stands_in_for_a_file_that_is_gone(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    for name in ("a.mp4", "b.mp4"):
        shelf.put(videos / "late.mp4", name)
    shelf.extract()
    (shelf.films / "a.mp4").unlink()
    held = verified(shelf, capsys)
    assert held["unchecked"] == {} and held["cosine"]["path"] == "films/b.mp4"
    (shelf.films / "b.mp4").unlink()
    held = verified(shelf, capsys, code=1)
    assert held["said"] == f"{shelf.store.root} has no row that could be compared."
    assert held["cosine"] is None and held["time_error_s"] is None


def test_a_file_that_is_as_it_was_and_cannot_be_read_is_told(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.put(videos / "late.mp4")
    shelf.extract()
    path.write_bytes(bytes(path.stat().st_size))  # as a dying disk gives it
    age(path)
    held = verified(shelf, capsys, code=1)
    ((unread),) = held["unread"]
    assert unread["path"] == "films/late.mp4" and "cannot be opened" in unread["error"]
    assert held["said"].endswith("1 files cannot be read any more.")


def drawn(store: Store, count: int, seed: int = 0) -> list[tuple[str, str, float]]:
    return [(each.source, row.kind, row.start) for each in draw_rows(store, count, seed) for row in each.rows]


def test_rows_are_drawn_once_each_evenly_over_kinds_and_again_by_the_same_seed(shelf: Shelf) -> None:
    found = drawn(shelf.store, 9)
    assert len(set(found)) == len(found) == 9
    assert {kind: sum(each[1] == kind for each in found) for kind in ("frame", "clip", "text")} == {
        "frame": 3,
        "clip": 3,
        "text": 3,
    }
    assert drawn(shelf.store, 9) == found != drawn(shelf.store, 9, seed=1)
    assert len({source for seed in range(8) for source, _, _ in drawn(shelf.store, 9, seed)}) > 8


def test_only_live_rows_that_count_are_drawn_from_however_many_shards(shelf: Shelf, videos: Path) -> None:
    shelf.put(videos / "red.mp4")
    shelf.extract("--again")  # a second shard, which wins what it holds
    shelf.put(videos / "green.mp4", "grass.mp4")
    with (shelf.films / "more.mp4").open("wb") as file:
        file.write((videos / "white.mp4").read_bytes() + b"!")
    age(shelf.films / "more.mp4")
    shelf.extract()
    assert remove([f"--data={shelf.folder / 'data'}", "films/red.mp4"]) == 0
    found = drawn(shelf.store, 1000)
    assert len(set(found)) == len(found)
    assert {source for source, _, _ in found} == set(shelf.live())


def test_what_lies_behind_a_url_is_not_compared_and_told(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far, memory = Shelf(tmp_path / "far"), fsspec.filesystem("memory")
    far.folder.mkdir()
    memory.pipe("/films/red.mp4", (videos / "red.mp4").read_bytes())
    try:
        far.extract("--videos=memory://films")
    finally:
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]
    held = verified(far, capsys, "--sample=1000", code=1)
    assert held["unchecked"] == {"they lie behind a URL": 12}


def test_rows_of_lines_that_no_place_names_any_more_are_not_drawn(shelf: Shelf) -> None:
    before, srt = drawn(shelf.store, 1000), shelf.films / "red.srt"
    srt.write_text("1\n00:00:01,000 --> 00:00:02,000\nhello\n")
    age(srt)
    shelf.extract("--embed-subtitles")
    assert len(drawn(shelf.store, 1000)) == len(before) + 1
    srt.unlink()
    shelf.extract()
    assert drawn(shelf.store, 1000) == before


@pytest.mark.parametrize(
    ("flags", "says", "code"),
    [
        (["--collection=none"], "data has no collection 'none'; it has default.", 2),
        (["--encoder=open_clip"], "Collection 'default' has no store of open_clip; it has toy:rgb.", 2),
        (
            ["--device=nonsense"],
            "device 'nonsense' is unknown; 'auto', 'cpu', 'cuda', 'cuda:1' and 'cuda:0,1' are known.",
            2,
        ),
        (["--store=nowhere"], "nowhere is not a store: it has no store.json.", 1),
        (["--store=data/toy-rgb", "--encoder=open_clip"], "holds vectors of toy:rgb, not of open_clip.", 1),
    ],
)
def test_a_store_that_is_not_there_is_told(
    shelf: Shelf,
    flags: list[str],
    says: str,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(shelf.folder)
    assert main(["--data=data", *flags]) == code
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and says in told.err and told.out == ""
    assert main(["--store=data/toy-rgb"]) == main(["--data=data", "--encoder=toy"]) == 0
