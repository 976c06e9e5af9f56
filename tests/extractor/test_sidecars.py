from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from core.types import Line, Place, Sidecar
from extractor.find import Listing, target_of
from extractor.sidecars import MOST_BYTES, language_of, read
from tests.extractor.shelf import LONG_AGO_NS, age, as_nobody

SRT = "1\n00:00:01,000 --> 00:00:02,000\nhello\n"


def put(folder: Path, *names: str, text: str = SRT) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        age(path)


def beside(folder: Path, asked: str = "") -> dict[str, list[str]]:
    """For each place the names of what lies beside it."""
    listing = Listing(target_of(asked or str(folder), "r"))
    return {place.path.decode(): [s.path.decode() for s in place.sidecars] for place in listing}


def listed(folder: Path) -> Place:
    (place,) = Listing(target_of(str(folder), "r"))
    return place


def told(folder: Path, place: Place) -> list[tuple[Line, ...]]:
    found = [read(os.path.join(os.fsencode(folder), place.path), sidecar) for sidecar in place.sidecars]
    return [each.lines if each else () for each in found]


def test_sidecars_lie_beside_the_video_of_their_name(tmp_path: Path) -> None:
    mine = ("film.srt", "film.vtt", "film.json", "film.en.srt", "film.pt-BR.forced.SRT", "film.sdh.srt")
    others = (
        "film.info.json",
        "film2.srt",
        "fil.srt",
        "film.txt",
        "film.english.srt",
        ".film.srt",
        "x/film.srt",
    )
    put(tmp_path, "film.mp4", "film 2.mkv", "film 2.eng.vtt", *mine, *others)
    assert beside(tmp_path) == {
        "film.mp4": sorted(mine, key=str.encode),
        "film 2.mkv": ["film 2.eng.vtt"],
    }


def test_a_folder_of_that_name_is_no_sidecar(tmp_path: Path) -> None:
    put(tmp_path, "film.mp4", "film.srt/inner.mp4")
    assert beside(tmp_path) == {"film.mp4": [], "film.srt/inner.mp4": []}


def test_two_videos_of_one_name_share_their_sidecars(tmp_path: Path) -> None:
    put(tmp_path, "film.mp4", "film.mkv", "film.srt", "sub/film.mp4", "sub/film.de.srt")
    assert beside(tmp_path) == {
        "film.mkv": ["film.srt"],
        "film.mp4": ["film.srt"],
        "sub/film.mp4": ["sub/film.de.srt"],
    }


def test_a_file_or_a_glob_finds_what_lies_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "a/film.mp4", "a/film.en.srt", "b/film.mp4", "b/other.srt", "b/other.mp4")
    assert beside(tmp_path, str(tmp_path / "a/film.mp4")) == {"film.mp4": ["film.en.srt"]}
    assert beside(tmp_path, str(tmp_path / "*/*.mp4")) == {
        "a/film.mp4": ["a/film.en.srt"],
        "b/film.mp4": [],
        "b/other.mp4": ["b/other.srt"],
    }


def test_what_lies_beside_a_video_is_no_file_that_was_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "film.mp4", "film.srt", "loose.srt", "notes.txt")
    listing = Listing(target_of(str(tmp_path), "r"))
    assert len(list(listing)) == 1
    assert listing.not_video == 2


def test_a_folder_without_sidecars_is_listed_without_another_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.mp4", "b.mp4", "loose.srt")
    looked: list[str] = []
    real = Listing._stat

    def counted(listing: Listing, entry: os.DirEntry[bytes], prefix: bytes) -> os.stat_result | None:
        looked.append(os.fsdecode(entry.name))
        return real(listing, entry, prefix)

    monkeypatch.setattr(Listing, "_stat", counted)
    assert len(list(Listing(target_of(str(tmp_path), "r")))) == 2
    assert looked == ["a.mp4", "b.mp4"]


def test_names_in_any_bytes_have_sidecars(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/-caf\xe9 \n'"
    for suffix in (b".mp4", b".en.srt"):
        Path(os.fsdecode(odd + suffix)).write_text(SRT)
        age(Path(os.fsdecode(odd + suffix)))
    place = listed(tmp_path)
    assert place.sidecars == (Sidecar(b"-caf\xe9 \n'.en.srt", f"{len(SRT)}-{LONG_AGO_NS}"),)
    assert told(tmp_path, place) == [(Line(1.0, 2.0, "hello", "en"),)]


@pytest.mark.parametrize(
    ("sidecar", "video", "language"),
    [
        (b"film.srt", b"film.mp4", ""),
        (b"film.en.srt", b"film.mp4", "en"),
        (b"film.pt-BR.sdh.forced.vtt", b"film.mp4", "pt-BR"),
        (b"film.sdh.vtt", b"film.mp4", ""),
        (b"film.en.srt", b"film.en.mp4", ""),
        (b"film.en.de.srt", b"film.en.mp4", "de"),
    ],
)
def test_a_name_says_the_language(sidecar: bytes, video: bytes, language: str) -> None:
    assert language_of(sidecar, video) == language


def test_the_hash_is_that_of_the_content_and_of_how_it_is_read(tmp_path: Path) -> None:
    put(tmp_path, "film.mp4", "film.srt", "film.en.srt", "film.vtt", "copy.mp4", "copy.srt")
    found = {}
    for place in Listing(target_of(str(tmp_path), "r")):
        for sidecar in place.sidecars:
            each = read(os.path.join(os.fsencode(tmp_path), place.path), sidecar)
            assert each is not None
            found[sidecar.path] = each.sidecar.hash
    assert found[b"film.srt"] == found[b"copy.srt"]
    assert len(set(found.values())) == 3 and all(len(value) == 32 for value in found.values())


def test_what_changed_since_it_was_listed_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "film.mp4", "film.srt")
    place = listed(tmp_path)
    age(tmp_path / "film.srt", LONG_AGO_NS + 1)
    assert read(os.fsencode(tmp_path / "film.mp4"), place.sidecars[0]) is None
    (tmp_path / "film.srt").unlink()
    assert read(os.fsencode(tmp_path / "film.mp4"), place.sidecars[0]) is None
    os.mkfifo(tmp_path / "film.srt")  # which nobody waits for
    assert read(os.fsencode(tmp_path / "film.mp4"), place.sidecars[0]) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3


def test_what_may_not_be_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "film.mp4", "film.srt")
    tmp_path.chmod(0o755)
    place = listed(tmp_path)
    (tmp_path / "film.srt").chmod(0)
    with as_nobody():
        found = read(os.fsencode(tmp_path / "film.mp4"), place.sidecars[0])
    assert found is None and "cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("text", "is_told"), [("Prose,\nand no times.\n", True), ("", False), ("WEBVTT\n", False)]
)
def test_one_without_a_line_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, is_told: bool
) -> None:
    put(tmp_path, "film.mp4")
    (tmp_path / "film.vtt").write_text(text)
    age(tmp_path / "film.vtt")
    found = read(os.fsencode(tmp_path / "film.mp4"), listed(tmp_path).sidecars[0])
    assert found is not None and found.lines == ()
    assert ("a sidecar has no lines" in caplog.text) is is_told


def test_a_huge_file_is_no_subtitles(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "film.mp4")
    with (tmp_path / "film.srt").open("wb") as file:
        file.truncate(MOST_BYTES * 4)
    age(tmp_path / "film.srt")
    found = read(os.fsencode(tmp_path / "film.mp4"), listed(tmp_path).sidecars[0])
    assert found is not None and found.lines == () and found.sidecar.hash
    assert "too long" in caplog.text
