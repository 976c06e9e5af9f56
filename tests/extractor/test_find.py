"""What is listed, what it is called, and what is left alone."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path

import pytest

from core.errors import UsageError
from core.types import Place
from extractor.content import SAMPLE_BYTES, content_of, samples_of
from extractor.find import Listing, has_stamp, is_gone, target_of
from tests.extractor.shelf import LONG_AGO_NS, age, as_nobody


def make(folder: Path, *names: str | bytes) -> None:
    for name in names:
        path = Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 5)
        age(path)


def listed(listing: Listing) -> list[bytes]:
    return [place.path for place in listing]


def test_a_folder_is_listed_with_all_below_it_in_order(tmp_path: Path) -> None:
    make(tmp_path, "films/b.mp4", "films/cats/2.mkv", "films/cats/1.mp4", "films/a.mp4", "films/z/y/x.webm")
    places = list(Listing(target_of(str(tmp_path / "films"))))
    assert [p.path for p in places] == [b"a.mp4", b"b.mp4", b"cats/1.mp4", b"cats/2.mkv", b"z/y/x.webm"]
    assert places[0] == Place("films", b"a.mp4", f"5-{LONG_AGO_NS}")


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    names = [b"-r.mp4", b"caf\xe9.mp4", b"new\nline.mp4", "käse.mp4".encode(), b"no suffix", b" .mp4"]
    make(tmp_path / "films", *names)
    listing = Listing(target_of(str(tmp_path / "films")))
    places = list(listing)
    assert {place.path for place in places} == set(names)
    assert all(has_stamp(listing.target.file(place), place.stamp) for place in places)


def test_hidden_files_and_our_own_data_are_left_alone(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", ".hidden.mp4", ".thumbs/b.mp4", "cinedex-data/toy-rgb/log/x", "._a.mp4")
    listing = Listing(target_of(str(tmp_path), without=[tmp_path / "cinedex-data"]))
    assert listed(listing) == [b"a.mp4"]
    assert listing.not_video == 0


def test_suffixes_of_other_things_are_counted_and_not_opened(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "b.JPG", "c.srt", "d.pdf", "e.mp3", "f.gif", "g.webp", "mp3", "h.mp4.part")
    listing = Listing(target_of(str(tmp_path)))
    assert listed(listing) == [b"a.mp4", b"f.gif", b"g.webp", b"mp3"]
    assert listing.not_video == 5


def test_links_are_followed_to_files_within_the_root_only(tmp_path: Path) -> None:
    make(tmp_path, "films/a.mp4", "outside/b.mp4")
    films = tmp_path / "films"
    (films / "again.mp4").symlink_to(films / "a.mp4")
    (films / "out.mp4").symlink_to(tmp_path / "outside" / "b.mp4")
    (films / "folder").symlink_to(tmp_path / "outside")
    (films / "loop").symlink_to(films)
    (films / "broken.mp4").symlink_to(films / "nothing")
    listing = Listing(target_of(str(films)))
    assert listed(listing) == [b"a.mp4", b"again.mp4"]
    assert listing.links_out == 3


def test_pipes_and_their_like_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    assert listed(Listing(target_of(str(tmp_path)))) == []
    with pytest.raises(UsageError, match=r"pipe\.mp4 is neither a folder nor a file\."):
        target_of(str(tmp_path / "pipe.mp4"))


class Waiting(threading.Event):
    """A stop that is never set, and what happens while it is waited for."""

    def __init__(self, meanwhile: Callable[[float | None], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def wait(self, timeout: float | None = None) -> bool:
        self._meanwhile(timeout)
        return False


def test_a_fresh_file_is_taken_once_it_has_settled(tmp_path: Path) -> None:
    make(tmp_path, "old.mp4", "new.mp4")
    os.utime(tmp_path / "new.mp4")
    waits: list[float | None] = []
    assert listed(Listing(target_of(str(tmp_path)), Waiting(waits.append))) == [b"old.mp4", b"new.mp4"]
    assert waits == [2.0]


def test_a_file_that_is_still_being_written_waits_for_the_next_run(tmp_path: Path) -> None:
    make(tmp_path, "old.mp4", "new.mp4", "gone.mp4")
    for name in ("new.mp4", "gone.mp4"):
        os.utime(tmp_path / name)

    def written_meanwhile(seconds: float | None) -> None:
        (tmp_path / "new.mp4").write_bytes(b"more of it")
        (tmp_path / "gone.mp4").unlink()

    listing = Listing(target_of(str(tmp_path)), Waiting(written_meanwhile))
    assert listed(listing) == [b"old.mp4"]
    assert listing.unstable == 2


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_a_folder_that_cannot_be_listed_is_told_and_not_whole(open_folder: Path) -> None:
    make(open_folder, "films/a.mp4", "films/secret/b.mp4", "films/secrets.mp4")
    (open_folder / "films" / "secret").chmod(0)
    listing = Listing(target_of(str(open_folder / "films")))
    with as_nobody():
        assert listed(listing) == [b"a.mp4", b"secrets.mp4"]
    assert listing.errors == {b"secret": "cannot be listed: Permission denied"}
    assert listing.whole(b"a.mp4") and listing.whole(b"secrets.mp4") and not listing.whole(b"secret/b.mp4")


def test_a_root_is_called_as_asked_or_as_known_or_as_its_folder(tmp_path: Path) -> None:
    make(tmp_path, "archive/films/cats/1.mp4")
    cats = tmp_path / "archive" / "films" / "cats"
    known = {"all": tmp_path / "archive", "my films": tmp_path / "archive" / "films", "other": tmp_path / "o"}
    found = {
        "asked": target_of(str(cats), "mine", known),
        "known": target_of(str(cats), "", known),
        "own": target_of(str(cats)),
        "file": target_of(str(cats / "1.mp4")),
        "glob": target_of(str(tmp_path / "archive" / "*" / "*" / "*.mp4")),
    }
    names = {how: (t.root, listed(Listing(t))) for how, t in found.items()}
    assert names == {
        "asked": ("mine", [b"1.mp4"]),
        "known": ("my films", [b"cats/1.mp4"]),
        "own": ("cats", [b"1.mp4"]),
        "file": ("cats", [b"1.mp4"]),
        "glob": ("archive", [b"films/cats/1.mp4"]),
    }


def test_a_known_root_of_a_like_name_is_not_taken_for_it(tmp_path: Path) -> None:
    make(tmp_path, "films2/1.mp4")
    assert target_of(str(tmp_path / "films2"), "", {"films": tmp_path / "films"}).root == "films2"


def test_a_glob_passes_over_broken_links_and_pipes(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    (tmp_path / "broken.mp4").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    listing = Listing(target_of(f"{tmp_path}/*.mp4"))
    assert listed(listing) == [b"a.mp4"]
    assert listing.errors == {b"loop.mp4": "cannot be read: Too many levels of symbolic links"}


@pytest.mark.parametrize("what", ["", "/**"])
def test_a_stop_is_heard_while_folders_are_listed(tmp_path: Path, what: str) -> None:
    make(tmp_path, "a/1.mp4", "b/2.mp4", "c/3.mp4")
    stop = threading.Event()
    listing = Listing(target_of(f"{tmp_path}{what}"), stop)
    found = []
    for place in listing:
        found.append(place.path)
        stop.set()
    assert len(found) == (3 if what else 1)  # a glob has looked at all names before it gives the first one
    assert listed(Listing(target_of(f"{tmp_path}{what}"), stop)) == []


def test_a_glob_names_files_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, "a/1.mp4", "a/2.mkv", "b/3.mp4", "b/4.txt", "b/deep/5.mp4", "[odd]/6.mp4")
    assert listed(Listing(target_of(f"{tmp_path}/*/*.mp4"))) == [b"[odd]/6.mp4", b"a/1.mp4", b"b/3.mp4"]
    assert listed(Listing(target_of(f"{tmp_path}/b/**"))) == [b"3.mp4", b"deep/5.mp4"]
    assert target_of(f"{tmp_path}/[odd]").kind == "folder"
    assert not Listing(target_of(f"{tmp_path}/*/*.mp4")).whole(b"a/1.mp4")


def test_a_glob_follows_no_link_to_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "g/a.mp4", "g/sub/b.mp4", "outside/x.mp4")
    (tmp_path / "g" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "g" / "sub" / "round").symlink_to(tmp_path / "g")
    (tmp_path / "way").symlink_to(tmp_path / "g")
    for folder in ("g", "way"):
        listing = Listing(target_of(f"{tmp_path}/{folder}/*/*.mp4"))
        assert listed(listing) == [b"sub/b.mp4"]
        assert listing.links_out == 1
    listing = Listing(target_of(f"{tmp_path}/g/**/*.mp4"))
    assert listed(listing) == [b"a.mp4", b"sub/b.mp4"]
    assert listing.links_out == 2


def test_a_glob_names_what_a_shell_would(tmp_path: Path) -> None:
    make(tmp_path, "a/1.mp4", "a/.hidden/2.mp4", "a/.3.mp4", "a/b/c/4.mp4", "A/5.MP4", "a/b/[6].mp4")
    for pattern in (
        "*/*.mp4",
        "**/*.mp4",
        "a/**/c/*",
        "?/*",
        "a/.*",
        "a/b/[[]6].mp4",
        "[aA]/**/[0-9].*",
        "**",
    ):
        files = {path for path in glob(f"{tmp_path}/{pattern}", recursive=True) if os.path.isfile(path)}
        target = target_of(f"{tmp_path}/{pattern}")
        assert {os.fsdecode(target.file(place)) for place in Listing(target)} == files, pattern


def test_what_cannot_be_listed_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"nowhere does not exist\."):
        target_of("nowhere")


@pytest.mark.parametrize("root", ["a/b", "new\nline"])
def test_a_roots_name_is_one_word_of_a_path(tmp_path: Path, root: str) -> None:
    with pytest.raises(UsageError, match="must be one word of a path"):
        target_of(str(tmp_path), root)


def test_content_is_named_by_all_bytes_and_sampled_by_some(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(bytes(range(256)) * 8192)
    (tmp_path / "c").write_bytes(bytes(range(256)) * 8191 + bytes(256))
    a, b, c = (content_of(os.fsencode(tmp_path / name)) for name in "abc")
    assert a == b and a.size == c.size == 1 << 21
    assert a.id != c.id and a.samples != c.samples
    assert a.id.startswith("v-") and len(a.id) == 34


@pytest.mark.parametrize("size", [0, 1, SAMPLE_BYTES, SAMPLE_BYTES + 1])
def test_a_short_file_is_sampled_as_a_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(bytes(size))
    file = os.fsencode(tmp_path / "a")
    content = content_of(file)
    assert samples_of(file) == content.samples
    assert (content.id == f"v-{content.samples}") == (size <= SAMPLE_BYTES)


def test_only_a_stat_that_finds_nothing_says_gone(open_folder: Path) -> None:
    make(open_folder, "a/b.mp4")
    inside = os.fsencode(open_folder / "a" / "b.mp4")
    (open_folder / "a").chmod(0)
    with as_nobody():
        assert not is_gone(inside)
    assert not is_gone(inside)
    assert is_gone(inside + b"2") and is_gone(inside + b"/below a file")
