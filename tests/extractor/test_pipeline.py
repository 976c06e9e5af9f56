"""Rows: which there are, and that nothing but their own video makes them."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import StoreError, VideoError
from core.log import Task
from core.store import Store
from core.types import Sampling
from core.writer import Writer
from extractor.encoders import load
from extractor.find import Listing, target_of
from extractor.media.reader import Reader
from extractor.media.reading import Beat
from extractor.media.write import Encoding, write_video
from extractor.pipeline import extract, work
from extractor.work import Committed, Encoded, Job, Loaded, Report, Work
from tests.extractor.shelf import Shelf, age, outcome, vectors

RED, BLUE = 0, 5


def works(folder: Path) -> list[Work]:
    target = target_of(str(folder))
    return [Work(Task(place, 0), file=target.file(place)) for place in Listing(target)]


def run(job: Job, feed: list[Work]) -> list[Report | Committed]:
    return [e for e in work(job, "cpu", iter(feed), threading.Event()) if isinstance(e, Report | Committed)]


def test_rows_are_the_grids_points_and_the_clips_over_them(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red.mp4")
    assert shelf.extract()["rows"] == {"frame": 10, "clip": 2, "text": 0}
    rows = vectors(shelf.store)
    (source,) = shelf.live()
    assert rows[source, "frame"][0] == [float(t) for t in range(10)]
    assert rows[source, "frame"][1] == [float(t + 1) for t in range(10)]
    assert rows[source, "clip"][:2] == ([0.0, 2.0], [8.0, 10.0])
    found = np.frombuffer(rows[source, "clip"][2], np.float16).reshape(2, -1)
    assert (found.argmax(axis=1) == RED).all()


def test_no_frames_leaves_only_clips(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "red-then-blue.mp4")
    report = shelf.extract("--no-frames", "--fps=2", "--clip-seconds=4", "--stride-seconds=4")
    assert report["rows"] == {"frame": 0, "clip": 2, "text": 0}
    (rows,) = vectors(shelf.store).values()
    found = np.frombuffer(rows[2], np.float16).reshape(2, -1)
    first, second = (row[[RED, BLUE]] for row in found)
    assert first[0] > first[1] and second[0] < second[1]


def test_facts_lie_beside_the_rows(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.put(videos / "rotated.mp4")
    shelf.extract()
    (row,) = shelf.store.shard(*shelf.store.log.last().shards()).sources.to_pylist()
    held = {name: row[name] for name in ("size", "width", "height", "codec", "seconds", "rotation")}
    assert held["size"] == path.stat().st_size and held["codec"] == "h264"
    assert held["seconds"] == pytest.approx(4.0) and held["rotation"] % 360 in (90, 270)
    assert len(row["samples"]) == 32


@pytest.mark.parametrize("flags", [("--batch=5",), ("--batch=64",), ("--batch=3", "--decoders=4")])
def test_vectors_do_not_depend_on_batches_or_decoders(
    tmp_path: Path, videos: Path, flags: tuple[str, ...]
) -> None:
    one, other = Shelf(tmp_path / "one"), Shelf(tmp_path / "other")
    for video in videos.iterdir():
        one.put(video)
        other.put(video)
    assert one.extract("--batch=1", "--decoders=1")["rows"] == other.extract(*flags)["rows"]
    assert vectors(one.store) == vectors(other.store)


def test_a_video_of_many_windows_has_each_row_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.films.mkdir()
    path = shelf.films / "long.mp4"
    pictures: Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = (
        np.full((16, 16, 3), n % 256, np.uint8) for n in range(900)
    )
    write_video(path, pictures, Encoding(fps=Fraction(1), gop=300))
    age(path)
    assert shelf.extract()["rows"] == {"frame": 900, "clip": 224, "text": 0}


def test_a_commit_follows_at_the_end_or_when_careful_after_each(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "green.mp4", "blue.mp4"):
        shelf.put(videos / name)
    job = Job(tmp_path / "store", "toy:rgb", batch=4)
    events = run(job, works(shelf.films))
    assert [type(event) for event in events] == [Report] * 3 + [Committed]
    events = run(Job(tmp_path / "careful", "toy:rgb", careful=True), works(shelf.films))
    assert [type(event) for event in events] == [Report, Committed] * 3


def test_a_commit_follows_whenever_one_is_due(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "green.mp4", "blue.mp4"):
        shelf.put(videos / name)
    monkeypatch.setattr("extractor.pipeline.BEAT_S", 0.0)
    encoder = load("toy:rgb")
    writer = Writer(Store.create(tmp_path / "store", encoder.spec, Sampling()), max_rows=15)
    job = Job(writer.store.root, "toy:rgb", batch=1)
    events = list(extract(job, iter(works(shelf.films)), encoder, writer, threading.Event()))
    found = [type(event) for event in events if not isinstance(event, Encoded)]
    assert found == [Report, Report, Committed, Report, Committed]
    assert sum(event.pictures for event in events if isinstance(event, Encoded)) == 30


def test_a_stop_finishes_the_batch_in_hand_and_commits(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    for number in range(20):
        shelf.put(videos / "short.webm", f"{number:02}.webm")
        with (shelf.films / f"{number:02}.webm").open("ab") as file:
            file.write(bytes(number))  # a content of its own
        age(shelf.films / f"{number:02}.webm")
    stop = threading.Event()
    job = Job(tmp_path / "store", "toy:rgb", batch=2)
    events = []
    for event in work(job, "cpu", iter(works(shelf.films)), stop):
        if not isinstance(event, Loaded | Encoded):
            stop.set()
            events.append(event)
    assert isinstance(events[-1], Committed) and events[-1].entry
    live = list(Store.open(job.store).log.last().live())
    assert 0 < len(live) == len(events) - 1 < 20


def test_a_stop_while_the_encoder_loads_leaves_no_store_behind(tmp_path: Path, videos: Path) -> None:
    shelf, stop = Shelf(tmp_path), threading.Event()
    shelf.put(videos / "red.mp4")
    stop.set()
    job = Job(tmp_path / "store", "toy:rgb")
    assert list(work(job, "cpu", iter(works(shelf.films)), stop)) == []
    assert not job.store.exists()


def test_a_bug_that_one_video_shows_is_told_and_ends_nothing(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "short.webm"):
        shelf.put(videos / name)

    def opened(path: Path, *, shots: bool, thumbs: bool, beat: Beat, decoder: str) -> Reader:
        if path.name == "red.mp4":
            raise ZeroDivisionError("by hand")
        return Reader(path, beat=beat, thumbs=thumbs)

    monkeypatch.setattr("extractor.media.reading.Reader", opened)
    report = shelf.extract(code=3)
    assert outcome(report) == {"done": 1, "failed": 1}
    assert report["failed"][0]["error"] == "reading it met a bug: ZeroDivisionError: by hand"
    monkeypatch.undo()
    assert outcome(shelf.extract()) == {"already": 1, "done": 1}


@pytest.mark.parametrize(
    ("cause", "is_final"),
    [
        (OSError(errno.EMFILE, "Too many open files"), False),
        (OSError(errno.ESTALE, "Stale file handle"), False),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (MemoryError("Cannot allocate memory"), False),
        (OSError(errno.EIO, "Input/output error"), True),  # FFmpeg's word for a file that is cut short
        (ValueError("Invalid data"), True),
    ],
)
def test_the_machines_trouble_is_no_last_word_about_a_file(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception, is_final: bool
) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "short.webm")

    def opened(path: Path, *, shots: bool, thumbs: bool, beat: Beat, decoder: str) -> Reader:
        raise VideoError(f"{path.name} cannot be opened: {cause}.") from cause

    monkeypatch.setattr("extractor.media.reading.Reader", opened)
    assert outcome(shelf.extract(code=3)) == {"failed": 1}
    monkeypatch.undo()
    assert outcome(shelf.extract()) == ({"failed_before": 1} if is_final else {"done": 1})


def test_a_mistake_of_the_feed_ends_the_run(tmp_path: Path) -> None:
    def feed() -> Iterator[Work]:
        raise StoreError("the log is damaged.")
        yield

    with pytest.raises(StoreError, match="the log is damaged"):
        list(work(Job(tmp_path / "store", "toy:rgb"), "cpu", feed(), threading.Event()))


def test_a_new_store_holds_the_probes_and_the_encoders_sampling(tmp_path: Path) -> None:
    (event,) = run(Job(tmp_path / "store", "toy:rgb", {"fps": 2.0}), [])
    assert isinstance(event, Committed) and event.entry is None
    store = Store.open(tmp_path / "store")
    probes = store.probes()
    assert probes is not None and probes.shape == (256, store.spec.dim)
    assert store.sampling.fps == 2.0
    assert store.spec.fingerprint == load("toy:rgb").spec.fingerprint
    assert not list(store.log.last().words())
