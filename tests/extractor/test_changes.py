"""Files that are moved, half copied, oddly named, or gone while somebody looks."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.checkpoint import write_checkpoint
from core.files import stamp_of
from core.types import Place
from extractor.ahead import _content as read_whole
from extractor.content import Content, content_of
from extractor.find import Listing, target_of
from extractor.media.reading import Decoder, Trouble
from extractor.remove import main as remove
from extractor.shortcut import ShortCut
from tests.extractor.shelf import LONG_AGO_NS, Shelf, age, outcome, vectors
from tests.extractor.subtitled import Track, write_subtitled
from tests.extractor.test_far import larger
from tests.extractor.test_find import listed, make

ODD = (
    b"with space .mp4",
    b'it\'s "quoted" `so` $HOME.mp4',
    b"two\nlines.mp4",
    "käse 🧀.mp4".encode(),
    b"caf\xe9.mp4",
    b"--videos.mp4",
    b"-r",
    b"a*b?[c].mp4",
    b"100%25,a=b;c:d\\e.mp4",
    b"s3:/x.mp4",
)


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "short.webm", "vfr.mkv", "cats/late.mp4", "cats/green.mp4"):
        shelf.put(videos / Path(name).name, name)
    assert outcome(shelf.extract()) == {"done": 5}
    return shelf


def alike_to(shelf: Shelf, path: Path) -> Mapping[str, Content]:
    """What a file of this one's stamp may hold."""
    return ShortCut(shelf.store, shelf.store.log.last).alike(stamp_of(os.stat(path)))


def test_a_file_that_moved_is_found_again_at_once_and_its_old_place_is_pruned(shelf: Shelf) -> None:
    before = vectors(shelf.store)
    (shelf.films / "dogs").mkdir()
    (shelf.films / "cats" / "late.mp4").rename(shelf.films / "dogs" / "late.mp4")
    report = shelf.extract("--prune")
    assert outcome(report) == {"already": 4, "copies": 1} and report["gone"] == 1
    assert "dogs/late.mp4" in shelf.paths() and "cats/late.mp4" not in shelf.paths()
    assert vectors(shelf.store) == before


def test_a_file_that_moved_to_another_root_is_not_embedded_again(shelf: Shelf) -> None:
    more = shelf.folder / "more"
    more.mkdir()
    (shelf.films / "red.mp4").rename(more / "red.mp4")
    assert outcome(shelf.extract(f"--videos={more}")) == {"copies": 1}
    assert shelf.extract("--prune")["gone"] == 1
    places = [p.shown for live in shelf.store.log.last().live() for p in live.places]
    assert "more/red.mp4" in places and "films/red.mp4" not in places


def say(path: Path, text: str = "hello") -> None:
    path.write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n")
    age(path)


def test_lines_that_were_told_behind_the_rows_hide_no_samples(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ("a", "b"):
        shelf.put(videos / "red.mp4", f"{name}.mp4")
        say(shelf.films / f"{name}.srt", name)
    assert outcome(shelf.extract()) == {"done": 1, "copies": 1}
    (alike,) = (
        ShortCut(shelf.store, shelf.store.log.last).alike(stamp_of(os.stat(shelf.films / "a.mp4"))).values()
    )
    assert alike == content_of(os.fsencode(videos / "red.mp4"))


@pytest.mark.parametrize("has_checkpoint", [False, True])
@pytest.mark.parametrize("has_lines", [False, True])
def test_a_moved_archive_is_not_read_again_where_stamp_and_samples_tell(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, has_lines: bool, has_checkpoint: bool
) -> None:
    shelf = Shelf(tmp_path)
    for number, name in enumerate(("red.mp4", "green.mp4", "late.mp4")):
        shelf.put(videos / name, ns=LONG_AGO_NS + number)
    if has_lines:
        tracks = [Track("mov_text", [(0, 1000, "one")])]
        age(write_subtitled(shelf.films / "red.mp4", videos / "red.mp4", tracks))
        for name in ("red.srt", "late.srt"):
            say(shelf.films / name)
    assert outcome(shelf.extract()) == {"done": 3}
    if has_checkpoint:
        write_checkpoint(shelf.store.log.folder, shelf.store.log.last())
    shelf.put(videos / "white.mp4", "new.mp4", LONG_AGO_NS + 2)
    shelf.films.rename(shelf.folder / "moved")
    read: list[bytes] = []

    def content(file: bytes, decoder: Decoder) -> Content | Trouble:
        read.append(os.path.basename(file))
        return read_whole(file, decoder)

    monkeypatch.setattr("extractor.ahead._content", content)
    report = shelf.extract(f"--videos={shelf.folder / 'moved'}")
    assert outcome(report) == {"done": 1, "copies": 3}
    assert read == [b"new.mp4"]


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_where_stamp_and_samples_are_those_of_two_contents_the_file_is_read(
    tmp_path: Path, videos: Path, has_checkpoint: bool
) -> None:
    shelf = Shelf(tmp_path)
    data = bytearray(larger(videos / "red.mp4"))
    for name in ("a.mp4", "b.mp4"):
        data[-100_000] ^= 1  # between two samples
        (tmp_path / name).write_bytes(data)
        shelf.put(tmp_path / name)
        if name == "a.mp4":
            assert outcome(shelf.extract()) == {"done": 1}
            (alike,) = (
                ShortCut(shelf.store, shelf.store.log.last)
                .alike(stamp_of(os.stat(tmp_path / "films" / name)))
                .values()
            )
            assert alike == content_of(os.fsencode(tmp_path / name))
            shelf.put(tmp_path / "a.mp4", "again.mp4")
            assert outcome(shelf.extract()) == {"already": 1, "copies": 1}
    # A stamp that another had: as a file that is given an old time on purpose.
    age(shelf.films / "b.mp4", LONG_AGO_NS + 1)
    assert outcome(shelf.extract()) == {"already": 2, "done": 1}
    age(shelf.films / "b.mp4")
    assert outcome(shelf.extract("--again")) == {"done": 2, "copies": 1}
    if has_checkpoint:
        write_checkpoint(shelf.store.log.folder, shelf.store.log.last())
    assert alike_to(shelf, shelf.films / "b.mp4") == {}
    shelf.put(tmp_path / "b.mp4", "c.mp4")
    assert outcome(shelf.extract()) == {"already": 3, "copies": 1}
    assert sorted(map(len, shelf.live().values())) == [2, 2]


def test_a_half_copied_file_fails_and_is_done_once_it_is_whole(shelf: Shelf, videos: Path) -> None:
    data = (videos / "white.mp4").read_bytes()
    path = shelf.films / "white.mp4"
    path.write_bytes(data[: len(data) // 2])
    age(path)
    assert outcome(shelf.extract(code=3)) == {"already": 5, "failed": 1}
    path.write_bytes(data)
    age(path)
    assert outcome(shelf.extract()) == {"already": 5, "done": 1}


def test_names_of_every_kind_are_embedded_known_again_and_removed(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ODD:
        shelf.put(videos / "short.webm", os.fsdecode(name))
    assert outcome(shelf.extract("--decoders=2")) == {"done": 1, "copies": len(ODD) - 1}
    assert {os.fsencode(path) for path in shelf.paths()} == set(ODD)
    assert outcome(shelf.extract()) == {"already": len(ODD)}
    for name in ODD:
        for asked in (os.fsdecode(name), f"./{os.fsdecode(name)}"):
            flag = f"--videos={shelf.films / asked}"
            assert outcome(shelf.extract(flag)) == {"already": 1}
    data = f"--data={shelf.folder / 'data'}"
    assert remove([f"films/{os.fsdecode(ODD[2])}", data]) == 0
    assert shelf.paths() == []


def test_a_folder_may_change_while_it_is_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.mp4", "gone/c.mp4", "stays/d.mp4", "stays/e.mp4")
    listing = Listing(target_of(str(tmp_path)))
    places = iter(listing)
    assert next(places).path == b"a.mp4"
    (tmp_path / "gone" / "c.mp4").unlink()
    (tmp_path / "gone").rmdir()
    (tmp_path / "stays" / "e.mp4").rename(tmp_path / "stays" / "f.mp4")
    assert [place.path for place in places] == [b"b.mp4", b"stays/d.mp4", b"stays/f.mp4"]
    assert listing.errors == {b"gone": "cannot be listed: No such file or directory"}
    assert listing.whole(b"b.mp4") and not listing.whole(b"gone/c.mp4")
    assert listed(Listing(target_of(str(tmp_path)))) == [b"a.mp4", b"b.mp4", b"stays/d.mp4", b"stays/f.mp4"]


class Failing:
    """A folder of a disk that goes away after its first name."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *args: object) -> None:
        self._found.close()

    def __iter__(self) -> Iterator[os.DirEntry[bytes]]:
        yield next(self._found)
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("where", ["films", "cats"])
def test_a_listing_that_fails_half_way_prunes_nothing(
    shelf: Shelf, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("red.mp4", "cats/late.mp4"):
        (shelf.films / name).unlink()
    scandir = os.scandir

    def failing(path: bytes) -> Any:
        return (
            Failing(scandir(path)) if os.path.basename(path.rstrip(b"/")) == where.encode() else scandir(path)
        )

    with monkeypatch.context() as patch:
        patch.setattr("extractor.find.os.scandir", failing)
        report = shelf.extract("--prune=force", code=3)
    assert report["gone"] == 0 and len(shelf.paths()) == 5
    (failed,) = report["failed"]
    assert failed["error"] == "cannot be listed: Input/output error"
    assert shelf.extract("--prune")["gone"] == 2


def test_a_place_that_holds_something_else_now_gives_up_what_it_held(shelf: Shelf, videos: Path) -> None:
    old = shelf.store.log.last().place(Place("films", b"red.mp4"))
    shelf.put(videos / "white.mp4", "red.mp4", LONG_AGO_NS + 1)
    assert outcome(shelf.extract()) == {"already": 4, "done": 1}
    assert old and old.source not in shelf.live()
