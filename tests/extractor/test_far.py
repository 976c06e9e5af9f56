"""Videos behind addresses: what is fetched, what is not, and what is never told."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

import fsspec
import pytest

from core.errors import UsageError
from core.types import Place
from extractor import spool
from extractor.cli import main
from extractor.remove import main as remove
from extractor.url import url_of
from extractor.work import Remote, Spool
from tests.extractor.far import Held, HttpServer, s3_server
from tests.extractor.shelf import Shelf, outcome
from tests.extractor.test_lists import held, put, put_rows


@pytest.fixture(scope="module")
def http_server() -> Iterator[HttpServer]:
    with HttpServer().running() as server:
        yield server


@pytest.fixture
def http(http_server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> HttpServer:
    """An empty one, and nobody waits before a second try."""
    monkeypatch.setattr(spool, "WAIT_S", 0.0)
    http_server.held.clear()
    http_server.asked.clear()
    return http_server


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def paths(shelf: Shelf) -> list[str]:
    """What an answer would show."""
    return sorted(place.shown for live in shelf.store.log.last().live() for place in live.places)


def kept(shelf: Shelf) -> dict[str, int]:
    """The spooled objects and their sizes; nothing half done lies beside them."""
    folder = shelf.folder / "data" / "spool"
    assert not list(folder.glob(".draft-*"))
    return {path.name: path.stat().st_size for path in folder.glob("*/*")}


def everything_written(shelf: Shelf) -> bytes:
    files = [path for path in shelf.folder.rglob("*") if path.is_file() and "spool" not in path.parts]
    return b"".join(path.read_bytes() + os.fsencode(path) for path in files)


def larger(video: Path) -> bytes:
    """The same video with four megabytes that mean nothing behind it: more than is read ahead of a cut."""
    return video.read_bytes() + (1 << 22).to_bytes(4, "big") + b"free" + bytes((1 << 22) - 8)


# --- HTTP -------------------------------------------------------------------------------------------


def test_an_object_is_fetched_once_and_known_by_its_etag(
    shelf: Shelf, http: HttpServer, videos: Path
) -> None:
    data = (videos / "red.mp4").read_bytes()
    http.held["a/red.mp4"] = Held(data)
    url = f"--videos={http.url('a/red.mp4')}"
    assert outcome(shelf.extract(url)) == {"done": 1}
    assert paths(shelf) == [f"{http.host}/a/red.mp4"]
    assert kept(shelf) == {"red.mp4": len(data)}
    assert len(http.gets()) == 1
    assert outcome(shelf.extract(url)) == {"already": 1}
    assert http.gets() == []
    http.held["a/red.mp4"] = Held(data, etag='"two"')  # another version, the same bytes
    assert outcome(shelf.extract(url)) == {"copies": 1}
    http.held["a/red.mp4"] = Held((videos / "blue.mp4").read_bytes(), etag='"three"')
    assert outcome(shelf.extract(url)) == {"done": 1}
    stamps = [word.stamp for word in shelf.store.log.last().words()]
    assert stamps == [f"{(videos / 'blue.mp4').stat().st_size}-three"]


def test_without_an_etag_the_time_of_its_last_change_tells(
    shelf: Shelf, http: HttpServer, videos: Path
) -> None:
    data, day = (videos / "short.webm").read_bytes(), "Mon, 01 Jan 2024 00:00:00 GMT"
    http.held["a.webm"] = Held(data, etag="", modified=day)
    url = f"--videos={http.url('a.webm')}"
    assert outcome(shelf.extract(url)) == {"done": 1}
    assert outcome(shelf.extract(url)) == {"already": 1}
    http.held["a.webm"] = Held(data, etag="", modified=day.replace("00 GMT", "01 GMT"))
    assert outcome(shelf.extract(url)) == {"copies": 1}


@pytest.mark.parametrize(
    ("status", "says"), [(404, "404 Not Found"), (403, "403 Forbidden"), (500, "500 Internal")]
)
def test_an_error_of_the_server_is_told_and_is_no_word(
    shelf: Shelf, http: HttpServer, videos: Path, status: int, says: str
) -> None:
    http.held["a.mp4"] = Held((videos / "red.mp4").read_bytes())
    http.held["b.mp4"] = Held(b"", status=status)
    path = put(shelf.folder / "l.txt", f"{http.url('a.mp4')}\n{http.url('b.mp4')}\n")
    report = shelf.extract(f"--videos={path}", code=3)
    assert outcome(report) == {"done": 1, "failed": 1}
    (failed,) = report["failed"]
    assert failed["path"] == f"{http.host}/b.mp4"
    assert failed["error"].startswith(f"it cannot be read: {http.host} answered {says}")
    assert shelf.store.log.last().place(Place(http.host, b"b.mp4")) is None
    http.held["b.mp4"] = Held((videos / "blue.mp4").read_bytes())
    assert outcome(shelf.extract(f"--videos={path}")) == {"already": 1, "done": 1}


def test_nobody_there_is_told(shelf: Shelf) -> None:
    report = shelf.extract("--videos=http://127.0.0.1:9/a.mp4", code=3)
    assert report["failed"][0]["path"] == "127.0.0.1:9/a.mp4"
    assert "Cannot connect" in report["failed"][0]["error"]


def test_a_broken_download_goes_on_where_it_broke_off(shelf: Shelf, http: HttpServer, videos: Path) -> None:
    data = larger(videos / "red.mp4")
    cut = len(data) // 3
    http.held["red.mp4"] = Held(data, cuts=[cut, cut])
    assert outcome(shelf.extract(f"--videos={http.url('red.mp4')}")) == {"done": 1}
    assert kept(shelf) == {"red.mp4": len(data)}
    first, *rest = http.gets()
    assert first == "" and rest and all(wanted.startswith("bytes=") for wanted in rest)
    assert "bytes=0-" not in "".join(rest)


def test_a_server_that_cannot_go_on_begins_again(shelf: Shelf, http: HttpServer, videos: Path) -> None:
    data = larger(videos / "red.mp4")
    http.held["red.mp4"] = Held(data, ranges=False, cuts=[len(data) // 3])
    assert outcome(shelf.extract(f"--videos={http.url('red.mp4')}")) == {"done": 1}
    assert kept(shelf) == {"red.mp4": len(data)}


def test_a_download_that_always_breaks_off_fails_without_a_word(
    shelf: Shelf, http: HttpServer, videos: Path
) -> None:
    data = (videos / "red.mp4").read_bytes()
    http.held["red.mp4"] = Held(data, ranges=False, cuts=[100] * 50)
    report = shelf.extract(f"--videos={http.url('red.mp4')}", code=3)
    assert report["failed"][0]["error"].startswith("it cannot be read: ")
    assert kept(shelf) == {}
    http.held["red.mp4"].cuts.clear()
    assert outcome(shelf.extract(f"--videos={http.url('red.mp4')}")) == {"done": 1}


def test_what_changes_while_it_is_fetched_gets_no_word(shelf: Shelf, http: HttpServer, videos: Path) -> None:
    found = Held((videos / "blue.mp4").read_bytes(), etag='"new"')
    for version in ('"three"', '"two"', '"one"'):  # as often as a run tries
        found = Held((videos / "red.mp4").read_bytes(), etag=version, then=found)
    http.held["a.mp4"] = found
    report = shelf.extract(f"--videos={http.url('a.mp4')}", code=3)
    assert report["failed"] == [{"path": f"{http.host}/a.mp4", "error": "it changed while it was read"}]
    assert kept(shelf) == {}
    assert outcome(shelf.extract(f"--videos={http.url('a.mp4')}")) == {"done": 1}


def test_no_secret_of_an_address_is_stored_or_shown(
    shelf: Shelf, http: HttpServer, videos: Path, broken: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    http.held["a.mp4"] = Held((videos / "red.mp4").read_bytes())
    http.held["text.mp4"] = Held((broken / "text.mp4").read_bytes())
    http.held["refused.mp4"] = Held(b"", status=403)
    rows = [
        {"url": http.url(f"{name}.mp4", "anna:passw0rd@", "?X-Amz-Signature=s1gned&b=c"), "year": 1999}
        for name in ("a", "text", "refused", "gone")
    ]
    path = put_rows(shelf.folder / "l.jsonl", *rows)
    report = json.dumps(shelf.extract(f"--videos={path}", "--log-format=json", code=3))
    assert held(shelf) == {"a.mp4": {"year": 1999}}
    path.unlink()
    args = shelf.flags(f"--videos={rows[3]['url']}", "--prune")
    assert main(args) == 2
    assert main([arg for arg in args if arg != "--prune"]) == 3
    said = everything_written(shelf) + "".join(capfd.readouterr()).encode() + report.encode()
    for secret in (b"anna", b"passw0rd", b"s1gned", b"Signature"):
        assert secret not in said
    assert f"--videos http://{http.host}/gone.mp4 is a URL.".encode() in said


def test_what_failed_behind_a_prefix_is_listed(
    shelf: Shelf, memory: fsspec.AbstractFileSystem, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a/bad.mp4", "b/bad.mp4"):
        memory.pipe(f"/{name}", (broken / "truncated.mp4").read_bytes())
    shelf.extract("--videos=memory://", code=3)
    capsys.readouterr()
    asked = ("--videos=memory://a", f"--data={shelf.folder / 'data'}")
    assert main(["--failed", "--json", *asked]) == 0
    assert [each["file"] for each in json.loads(capsys.readouterr().out)["failed"]] == ["a/bad.mp4"]


def test_http_lists_nothing(shelf: Shelf, http: HttpServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shelf.flags(f"--videos={http.url('films/')}")) == 2
    assert "over HTTP nothing is listed" in capsys.readouterr().err


# --- the spool --------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "github://a/b", "zip://x"])
def test_what_an_address_alone_cannot_name_is_refused(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert main(shelf.flags(f"--videos={url}")) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"extract: {url}") and " cannot be read: " in told


def test_the_spool_stays_within_its_bounds_and_what_was_used_last_stays(
    shelf: Shelf, http: HttpServer, videos: Path
) -> None:
    names = ("red.mp4", "green.mp4", "blue.mp4", "white.mp4")
    sizes = {name: (videos / name).stat().st_size for name in names}
    for name in names:
        http.held[name] = Held((videos / name).read_bytes())
    path = put(shelf.folder / "l.txt", "".join(f"{http.url(name)}\n" for name in names))
    most = sum(sizes.values()) - 1
    flags = (f"--videos={path}", f"--spool-gb={most / 1e9:.9f}", "--decoders=1")
    assert outcome(shelf.extract(*flags)) == {"done": 4}
    assert set(kept(shelf)) == {"green.mp4", "blue.mp4", "white.mp4"}
    http.gets()
    os.utime(next((shelf.folder / "data" / "spool").glob("*/green.mp4")))
    assert outcome(shelf.extract(*flags, "--again")) == {"done": 4}
    assert len(http.gets()) < 4
    assert sum(kept(shelf).values()) <= most


def test_what_is_larger_than_the_spool_fails_with_the_setting_to_change(
    shelf: Shelf, http: HttpServer, videos: Path
) -> None:
    http.held["red.mp4"] = Held((videos / "red.mp4").read_bytes())
    report = shelf.extract(f"--videos={http.url('red.mp4')}", "--spool-gb=0.000001", code=3)
    assert "bytes are more than --spool-gb lets be kept" in report["failed"][0]["error"]


def test_workers_share_a_spool_too_small_for_all_of_them(
    shelf: Shelf, http: HttpServer, videos: Path
) -> None:
    names = [f"{n}.mp4" for n in range(6)]
    for n, name in enumerate(names):
        http.held[name] = Held((videos / ("red.mp4", "green.mp4")[n % 2]).read_bytes(), etag=f'"{n}"')
    path = put(shelf.folder / "l.txt", "".join(f"{http.url(name)}\n" for name in names))
    most = max((videos / name).stat().st_size for name in ("red.mp4", "green.mp4"))
    flags = (f"--videos={path}", f"--spool-gb={(most + 1) / 1e9:.9f}", "--decoders=3", "--workers=2")
    found = outcome(shelf.extract(*flags))
    assert found["done"] + found["copies"] == 6  # two workers may do the same video, which counts once
    assert len(shelf.live()) == 2 and len(kept(shelf)) == 1


def test_what_a_killed_process_left_is_taken_for_nothing(
    shelf: Shelf, http: HttpServer, videos: Path
) -> None:
    """A draft is held by its process' lock; without one it makes way."""
    data = (videos / "red.mp4").read_bytes()
    http.held["red.mp4"] = Held(data)
    folder = shelf.folder / "data" / "spool"
    folder.mkdir(parents=True)
    put(folder / f".draft-{len(data)}-abc", data[:100])
    flags = (f"--videos={http.url('red.mp4')}", f"--spool-gb={(len(data) + 1) / 1e9:.9f}")
    assert outcome(shelf.extract(*flags)) == {"done": 1}
    assert kept(shelf) == {"red.mp4": len(data)}


def test_a_download_that_is_killed_half_way_is_made_again(
    shelf: Shelf, http: HttpServer, videos: Path
) -> None:
    data, half = larger(videos / "red.mp4"), threading.Event()
    http.held["red.mp4"] = Held(data, half=half)
    flags = shelf.flags(f"--videos={http.url('red.mp4')}")
    code = f"from extractor.cli import main; main({flags!r})"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        assert half.wait(60)
        process.kill()
    assert [path.name[:7] for path in (shelf.folder / "data" / "spool").glob(".*")] == [".draft-"]
    http.held["red.mp4"] = Held(data)
    assert outcome(shelf.extract(*flags[-1:], f"--videos={http.url('red.mp4')}")) == {"done": 1}
    assert kept(shelf) == {"red.mp4": len(data)}


@pytest.mark.parametrize("status", [408, 425, 429])
def test_a_server_that_has_no_time_just_now_is_asked_again(
    shelf: Shelf, http: HttpServer, videos: Path, status: int
) -> None:
    http.held["red.mp4"] = Held((videos / "red.mp4").read_bytes(), busy=[status, status])
    assert outcome(shelf.extract(f"--videos={http.url('red.mp4')}")) == {"done": 1}


def asked_for(shelf: Shelf, http: HttpServer, videos: Path) -> spool._Spool:
    """One process' look at one object."""
    data = (videos / "red.mp4").read_bytes()
    http.held["red.mp4"] = Held(data)
    remote = Remote(url_of(http.url("red.mp4")), Spool(shelf.folder / "spool", 1 << 30))
    return spool._Spool(remote, Place("far", b"red.mp4", f"{len(data)}-one"), lambda: None)


def test_who_fetches_what_another_has_fetched_meanwhile_takes_the_others(
    shelf: Shelf, http: HttpServer, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = asked_for(shelf, http, videos), asked_for(shelf, http, videos)
    with ExitStack() as stack:
        fetch = mine._fetch

        def outrun(file: BinaryIO) -> None:
            fetch(file)
            first = stack.enter_context(other.held())
            inodes.append(first.stat().st_ino)

        inodes: list[int] = []
        monkeypatch.setattr(mine, "_fetch", outrun)
        with mine.held() as path:
            assert [path.stat().st_ino] == inodes
    assert not list((shelf.folder / "spool").glob(".draft-*"))


def test_what_was_fetched_is_never_without_a_lock(
    shelf: Shelf, http: HttpServer, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, lock, alone = fcntl.flock, shelf.folder / "spool" / "lock", list[bool]()

    def seen(file: BinaryIO, how: int) -> None:
        if how == fcntl.LOCK_SH:
            with lock.open("rb") as held, suppress(BlockingIOError):
                flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                alone.append(True)
                flock(file, how)
                return
            alone.append(False)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", seen)
    with asked_for(shelf, http, videos).held():
        assert alone == [False]


# --- memory and S3 ----------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_a_prefix_is_listed_with_all_below_it(
    shelf: Shelf, memory: fsspec.AbstractFileSystem, videos: Path
) -> None:
    for name in (
        "films/red.mp4",
        "films/käse 🧀/a b.webm",
        "films/.hidden.mp4",
        "films/notes.txt",
        "other/x.mp4",
    ):
        memory.pipe(f"/{name}", (videos / ("red.mp4" if "red" in name else "short.webm")).read_bytes())
    report = shelf.extract("--videos=memory://films")
    assert outcome(report) == {"done": 2, "not_video": 1}
    assert paths(shelf) == ["memory/films/käse 🧀/a b.webm", "memory/films/red.mp4"]
    assert outcome(shelf.extract("--videos=memory://films/")) == {"already": 2, "not_video": 1}
    assert outcome(shelf.extract("--videos=memory://films/red.mp4")) == {"already": 1}


def test_an_address_or_a_prefix_can_be_removed_and_restored(
    shelf: Shelf, memory: fsspec.AbstractFileSystem, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("red.mp4", "blue.mp4"):
        memory.pipe(f"/films/{name}", (videos / name).read_bytes())
    shelf.extract("--videos=memory://films")
    data = f"--data={shelf.folder / 'data'}"
    for what, left in (("memory://films/red.mp4", 1), ("memory://films/", 0), ("memory://", 0)):
        assert remove([what, data]) == 0
        assert len(shelf.live()) == left
        assert remove([what, data, "--undo"]) == 0
        assert len(shelf.live()) == 2
    capsys.readouterr()
    for what in ("https://anna:SECRET@h/a?sig=SECRET", "https:/anna:SECRET@h/a"):
        assert remove([what, data]) == 2
    told = capsys.readouterr().err
    assert "'https://h/a' is nothing that can be found" in told and "SECRET" not in told


def test_what_is_not_there_is_refused_by_name(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shelf.flags("--videos=memory://nowhere")) == 2
    assert "--videos memory:///nowhere does not exist." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (
            "s3://bucket/a.mp4",
            "s3://bucket/a.mp4 needs a package that is not installed: pip install 'cinedex[s3]'.",
        ),
        ("gs://bucket/a.mp4", "pip install 'cinedex[gcs]'"),
        ("https://example.org/a.mp4", "pip install 'cinedex[http]'"),
    ],
)
def test_a_missing_package_is_named(url: str, says: str, tmp_path: Path) -> None:
    """As where only the base is installed."""
    code = f"""
import sys
sys.modules |= dict.fromkeys(("s3fs", "gcsfs", "aiohttp"))
from extractor.cli import main
sys.exit(main(["--videos={url}", "--encoder=toy:rgb", "--data={tmp_path}"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def s3(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """A bucket `films` on a real S3 server."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_address,
        "AWS_ACCESS_KEY_ID": "AKIAKEY",
        "AWS_SECRET_ACCESS_KEY": "s3cr3tkey",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(spool, "WAIT_S", 0.0)
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    type(files).clear_instance_cache()
    files.mkdir("films")
    yield files
    files.rm("films", recursive=True)
    type(files).clear_instance_cache()


def test_a_bucket_is_embedded_like_a_folder(
    shelf: Shelf, s3: fsspec.AbstractFileSystem, videos: Path
) -> None:
    names = ("a/red.mp4", "a/b c/it's?#1.mp4", "late.mp4", "a/notes.txt")
    for name, video in zip(names, ("red.mp4", "short.webm", "late.mp4", "red.mp4"), strict=True):
        s3.pipe(f"films/{name}", (videos / video).read_bytes())
    assert outcome(shelf.extract("--videos=s3://films/a/")) == {"done": 2, "not_video": 1}
    assert paths(shelf) == ["films/a/b c/it's?#1.mp4", "films/a/red.mp4"]
    assert outcome(shelf.extract("--videos=s3://films")) == {"already": 2, "done": 1, "not_video": 1}
    s3.copy("films/a/red.mp4", "films/rot.mp4")
    s3.pipe("films/late.mp4", (videos / "blue.mp4").read_bytes())
    report = shelf.extract("--videos=s3://films/")
    assert outcome(report) == {"already": 2, "copies": 1, "done": 1, "not_video": 1}
    rows: list[dict[str, object]] = [{"path": "s3://films/rot.mp4", "n": 1}, {"path": "s3://films/gone.mp4"}]
    report = shelf.extract(f"--videos={put_rows(shelf.folder / 'l.jsonl', *rows)}", code=3)
    assert outcome(report) == {"copies": 1, "failed": 1}
    assert report["failed"] == [
        {"path": "films/gone.mp4", "error": "it cannot be read: there is no such object"}
    ]
    assert b"s3cr3tkey" not in everything_written(shelf)


def test_an_object_that_is_larger_than_a_block_comes_whole(
    shelf: Shelf, s3: fsspec.AbstractFileSystem, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extractor.remote.BLOCK_BYTES", 5_000)
    data = (videos / "red-then-blue.mp4").read_bytes()
    s3.pipe("films/a.mp4", data)
    assert outcome(shelf.extract("--videos=s3://films/a.mp4")) == {"done": 1}
    assert kept(shelf) == {"a.mp4": len(data)} and len(data) > 5_000


def test_a_bucket_that_is_not_there_is_refused(
    shelf: Shelf, s3: fsspec.AbstractFileSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shelf.flags("--videos=s3://nosuchbucket/films")) == 2
    assert "--videos s3://nosuchbucket/films does not exist." in capsys.readouterr().err


def test_a_roots_name_is_a_folders_or_an_addresss_but_not_both(
    shelf: Shelf, memory: fsspec.AbstractFileSystem, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.put(videos / "red.mp4", "../memory/red.mp4")
    shelf.extract(f"--videos={shelf.folder / 'memory'}")
    memory.pipe("/red.mp4", (videos / "red.mp4").read_bytes())
    shelf.extract("--videos=memory://red.mp4", code=2)
    assert "The root memory is" in capsys.readouterr().err
    assert outcome(shelf.extract("--videos=memory://red.mp4", "--root=far")) == {"copies": 1}
    assert outcome(shelf.extract("--videos=memory://red.mp4")) == {"already": 1}  # known by that name now
    with pytest.raises(UsageError, match="The root far is memory://; name /x otherwise with --root"):
        from core.collections import Library

        Library(shelf.folder / "data").claim_root("far", Path("/x"))
