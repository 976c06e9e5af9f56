"""`extract` with subtitles: in the file, beside it, appearing, changing and going."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import av
import pyarrow.parquet as pq
import pytest
import torch

from core.store import Store
from core.types import Line
from extractor.cli import main
from index.build import build_snapshot
from index.check import damage
from index.snapshot import Snapshot
from tests.durable import every_step
from tests.extractor.shelf import LONG_AGO_NS, Shelf, age, as_nobody, outcome, vectors
from tests.extractor.subtitled import Track, write_subtitled

SRT = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"
SAID = [(0, 1000, "a red circle"), (2000, 3000, "something blue")]
LINES = (Line(0.0, 1.0, "a red circle", "eng"), Line(2.0, 3.0, "something blue", "eng"))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def open_shelf() -> Iterator[Shelf]:
    """In a folder that other users can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Shelf(Path(folder))


def put(shelf: Shelf, name: str, text: str, ns: int = LONG_AGO_NS) -> Path:
    path = shelf.films / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return age(path, ns)


def subtitled(shelf: Shelf, videos: Path, name: str = "film.mkv") -> Path:
    shelf.films.mkdir(exist_ok=True)
    return age(write_subtitled(shelf.films / name, videos / "red.mp4", [Track("subrip", SAID, "eng")]))


def told(store: Store) -> dict[str, list[str]]:
    """For each path the texts of the lines that are live."""
    known = store.log.last()
    found: dict[str, list[str]] = {}
    for live in known.live():
        texts: list[str] = []
        for winner in known.winners():
            if winner.source == live.id and live.has_layer(winner.layer):
                shard = store.shard(winner.shard)
                rows = [(row["id"], row["layer"]) for row in shard.sources.to_pylist()]
                texts += (line.text for line in shard.lines().of(rows.index((live.id, winner.layer))))
        found |= {os.fsdecode(place.path): sorted(texts) for place in live.places}
    return found


def spoil(video: Path) -> None:
    """Other bytes, of which names and stamps say nothing: whoever reads it now learns that it is no video."""
    size, ns = video.stat().st_size, video.stat().st_mtime_ns
    video.write_bytes(bytes(size))
    age(video, ns)


def test_a_video_brings_its_tracks_its_sidecars_and_its_thumbnails(shelf: Shelf, videos: Path) -> None:
    subtitled(shelf, videos)
    put(shelf, "film.de.srt", SRT.format("ein Kreis"))
    report = shelf.extract()
    assert (report["done"], report["lines"], report["sidecars"], report["rows"]["text"]) == (1, 3, 1, 0)
    known = shelf.store.log.last()
    (live,) = known.live()
    shard = shelf.store.shard(known.shard_of(live.id, "subtitles"))
    rows = [row["layer"] for row in shard.sources.to_pylist()]
    assert shard.lines().of(rows.index("subtitles")) == list(LINES)
    (place,) = live.places
    beside = shard.lines().of(rows.index(place.sidecars[0].layer))
    assert beside == [Line(1.0, 2.0, "ein Kreis", "de")]
    assert shard.thumbs(live.id).times == (0.0, 4.0, 8.0)
    assert outcome(shelf.extract()) == {"already": 1}


def test_no_thumbs_keeps_none(shelf: Shelf, videos: Path) -> None:
    shelf.put(videos / "red.mp4")
    shelf.extract("--no-thumbs")
    (name,) = shelf.store.log.last().shards()
    assert not (shelf.store.shard(name).path / "thumbs.bin").exists()


def test_workers_bring_the_same(tmp_path: Path, videos: Path) -> None:
    film = write_subtitled(tmp_path / "film.mkv", videos / "red.mp4", [Track("subrip", SAID, "eng")])
    found = []
    for workers in ("0", "1"):
        shelf = Shelf(tmp_path / workers)
        shelf.put(film)
        put(shelf, "film.srt", SRT.format("hello"))
        shelf.extract(f"--workers={workers}", "--embed-subtitles")
        (name,) = shelf.store.log.last().shards()
        shard = shelf.store.shard(name)
        thumbs = {source: shard.thumbs(source) for source in shelf.live()}
        found.append((told(shelf.store), thumbs, shard.vectors("text").tobytes()))
    assert found[0] == found[1] and any(thumbs.tiles for thumbs in found[0][1].values())


def test_a_sidecar_that_comes_changes_or_goes_is_read_without_the_video(shelf: Shelf, videos: Path) -> None:
    video = shelf.put(videos / "red.mp4")
    shelf.extract()
    spoil(video)
    steps: Sequence[tuple[str, str, list[str]]] = [
        ("red.srt", "first", ["first"]),
        ("red.en.vtt", "second", ["first", "second"]),
        ("red.srt", "third", ["second", "third"]),
        ("red.en.vtt", "", ["third"]),
        ("red.srt", "", []),
    ]
    for number, (name, text, expected) in enumerate(steps):
        if text:
            put(shelf, name, SRT.format(text), LONG_AGO_NS + number)
        else:
            (shelf.films / name).unlink()
        report = shelf.extract("--workers=1" if number == 0 else "--workers=0")
        assert outcome(report) == {"copies": 1}, name
        assert report["decoded"]["full"] == 0
        assert told(shelf.store) == {"red.mp4": expected}
        assert outcome(shelf.extract()) == {"already": 1}


def test_a_sidecar_without_sense_is_named_and_not_read_again(shelf: Shelf, videos: Path) -> None:
    shelf.put(videos / "red.mp4")
    put(shelf, "red.json", "{not json")
    put(shelf, "red.srt", "nothing at all")
    assert shelf.extract()["sidecars"] == 2
    assert told(shelf.store) == {"red.mp4": []}
    assert outcome(shelf.extract()) == {"already": 1}


def test_a_sidecar_that_cannot_be_read_is_tried_in_the_next_run(
    shelf: Shelf, open_shelf: Shelf, videos: Path
) -> None:
    for each in (shelf, open_shelf):
        each.put(videos / "red.mp4")
        srt = put(each, "red.srt", SRT.format("hello"))
    shelf.extract()  # loads what nobody may not be allowed to, where Python lies
    open_shelf.films.chmod(0o777)
    srt.chmod(0)
    with as_nobody():
        assert outcome(open_shelf.extract()) == {"done": 1}
        assert outcome(open_shelf.extract()) == {"copies": 1}
    assert told(open_shelf.store) == {"red.mp4": []}
    srt.chmod(0o644)
    with as_nobody():
        assert outcome(open_shelf.extract()) == {"copies": 1}
    assert told(open_shelf.store) == {"red.mp4": ["hello"]}


def test_a_list_sees_what_lies_beside_and_new_columns_leave_it(shelf: Shelf, videos: Path) -> None:
    shelf.put(videos / "red.mp4")
    put(shelf, "red.srt", SRT.format("hello"))
    listed = shelf.folder / "list.csv"
    listed.write_text(f"path,tag\n{shelf.films / 'red.mp4'},one\n")
    assert outcome(shelf.extract(f"--videos={listed}", "--root=r")) == {"done": 1}
    assert told(shelf.store) == {"red.mp4": ["hello"]}
    listed.write_text(f"path,tag\n{shelf.films / 'red.mp4'},two\n")
    assert outcome(shelf.extract(f"--videos={listed}", "--root=r")) == {"copies": 1}
    assert outcome(shelf.extract(f"--videos={listed}", "--root=r")) == {"already": 1}
    (live,) = shelf.store.log.last().live()
    assert (dict(live.columns), told(shelf.store)) == ({"tag": "two"}, {"red.mp4": ["hello"]})


def test_copies_have_sidecars_of_their_own(shelf: Shelf, videos: Path) -> None:
    shelf.put(videos / "red.mp4", "a.mp4")
    shelf.put(videos / "red.mp4", "b.mp4")
    put(shelf, "a.srt", SRT.format("of a"))
    put(shelf, "b.srt", SRT.format("of b"))
    assert outcome(shelf.extract()) == {"done": 1, "copies": 1}
    assert told(shelf.store) == {"a.mp4": ["of a", "of b"], "b.mp4": ["of a", "of b"]}
    (shelf.films / "a.mp4").unlink()
    shelf.extract("--prune=force")
    assert told(shelf.store) == {"b.mp4": ["of b"]}


@pytest.mark.parametrize("workers", ["0", "1"])
def test_lines_are_counted_as_often_as_they_are_stored(shelf: Shelf, videos: Path, workers: str) -> None:
    for name in ("a", "b"):
        shelf.put(videos / "red.mp4", f"{name}.mp4")
        put(shelf, f"{name}.srt", SRT.format("one") + "\n" + SRT.format("two"))
    flags = ("--embed-subtitles", f"--workers={workers}")
    for again in ((), ("--again",)):
        report = shelf.extract(*flags, *again)
        assert (report["done"], report["copies"], report["sidecars"]) == (1, 1, 2)
        stored = sum(
            len(starts) for (_, kind), (starts, _, _) in vectors(shelf.store).items() if kind == "text"
        )
        assert report["rows"]["text"] == report["lines"] == stored == 2
    shelf.put(videos / "red.mp4", "c.mp4")
    put(shelf, "c.srt", SRT.format("one") + "\n" + SRT.format("two"))
    report = shelf.extract(*flags)
    assert (outcome(report), report["lines"], report["rows"]["text"]) == ({"already": 2, "copies": 1}, 0, 0)


def test_a_failed_video_is_not_tried_again_for_a_new_sidecar(shelf: Shelf, broken: Path) -> None:
    shelf.put(broken / "truncated.mp4")
    shelf.extract(code=3)
    put(shelf, "truncated.srt", SRT.format("hello"))
    assert outcome(shelf.extract()) == {"failed_before": 1}


def test_a_moved_video_takes_its_sidecar_along(shelf: Shelf, videos: Path) -> None:
    video, srt = shelf.put(videos / "red.mp4"), put(shelf, "red.srt", SRT.format("hello"))
    shelf.extract()
    (shelf.films / "new").mkdir()
    video.rename(shelf.films / "new" / "name.mp4")
    srt.rename(shelf.films / "new" / "name.srt")
    before = shelf.store.log.last().shards()
    assert outcome(shelf.extract("--prune=force")) == {"copies": 1}
    assert told(shelf.store) == {"new/name.mp4": ["hello"]}
    assert shelf.store.log.last().shards() == before  # its lines were there already


def test_a_removed_video_comes_back_with_its_lines(shelf: Shelf, videos: Path) -> None:
    from extractor.remove import main as remove
    from index.cli import main as index

    subtitled(shelf, videos)
    put(shelf, "film.srt", SRT.format("hello"))
    shelf.extract()
    data = ["--data", str(shelf.folder / "data")]
    assert remove(["films/film.mkv", *data]) == 0
    put(shelf, "film.srt", SRT.format("changed"), LONG_AGO_NS + 1)
    shelf.extract()
    assert index(["compact", *data]) == 0
    assert told(shelf.store) == {}
    assert remove(["films/film.mkv", "--undo", *data]) == 0
    shelf.extract()
    assert told(shelf.store) == {"film.mkv": ["a red circle", "changed", "something blue"]}


def test_lines_get_vectors_if_asked_for_and_are_found(shelf: Shelf, videos: Path) -> None:
    subtitled(shelf, videos)
    put(shelf, "film.srt", SRT.format("green"))
    report = shelf.extract("--embed-subtitles")
    assert (report["rows"]["text"], report["lines"]) == (3, 3)
    build_snapshot(shelf.store)
    assert list(damage(shelf.store.root)) == []
    assert best_text(shelf.store, "something blue") == (2.0, 3.0, "something blue")
    assert best_text(shelf.store, "green") == (1.0, 2.0, "green")
    (shelf.films / "film.srt").unlink()
    shelf.extract()
    build_snapshot(shelf.store)
    assert best_text(shelf.store, "green")[2] != "green"  # what nothing names is not found
    assert Snapshot.open(shelf.store).rows["text"] == 2
    assert outcome(shelf.extract("--again")) == {"done": 1}
    build_snapshot(shelf.store)
    assert "text" not in Snapshot.open(shelf.store).rows  # done again, and not asked for


def best_text(store: Store, query: str) -> tuple[float, float, str]:
    from extractor.encoders import load

    encoder = load("toy:rgb")
    hits = Snapshot.open(store).search("text", encoder.texts([query]).numpy(), 1)[0]
    return hits.segments[0].start, hits.segments[0].end, hits.segments[0].text


def test_nothing_of_a_containers_other_tags_reaches_the_store(shelf: Shelf, videos: Path) -> None:
    secrets = {
        "location": "+48.8577+002.2950/",
        "location-eng": "+48.8577+002.2950/",
        "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035.0/",
        "com.apple.quicktime.make": "SECRET maker",
        "artist": "SECRET artist",
        "comment": "SECRET comment",
        "title": "SECRET title",
        "creation_time": "2020-05-06T07:08:09.000000Z",
        "timecode": "SECRET place",
    }
    shelf.films.mkdir()
    for name in ("a.mp4", "b.mov", "c.mkv"):
        track = Track("subrip" if name == "c.mkv" else "mov_text", SAID)
        path = write_subtitled(
            shelf.films / name, videos / f"{'red' if name < 'b' else 'blue'}.mp4", [track], secrets
        )
        with av.open(str(path)) as container:
            assert "48.85" in str(container.metadata)  # it is in the file
        age(path)
    shelf.extract()
    build_snapshot(shelf.store)
    held = "".join(map(_text_of, sorted(p for p in (shelf.folder / "data").rglob("*") if p.is_file())))
    assert "2020-05-06T07:08:09" in held and "something blue" in held
    for word in ("48.85", "002.29", "SECRET"):
        assert word not in held


def _text_of(path: Path) -> str:
    tables: list[Any] = [pq.read_table(path).to_pylist()] if path.suffix == ".parquet" else []
    return f"{tables}{path.read_bytes().decode('latin-1')}"


def test_extract_killed_at_any_step_loses_and_doubles_no_line(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    films = shelf.films
    films.mkdir()
    age(write_subtitled(films / "a.mkv", videos / "short.webm", [Track("webvtt", [(0, 400, "own")])]))
    put(shelf, "a.srt", SRT.format("beside"))
    shelf.extract()
    spoil(films / "a.mkv")

    stamps = count(LONG_AGO_NS + 1)

    def prepare() -> None:
        ns = next(stamps)
        put(shelf, "a.srt", SRT.format(f"new {ns}"), ns)

    def extract() -> None:
        torch.set_num_threads(1)  # a fork has none of its parent's threads
        assert main(shelf.flags()) == 0

    def check(step: int) -> None:
        shelf.extract()
        expected = (films / "a.srt").read_text().splitlines()[2]
        assert told(shelf.store) == {"a.mkv": [expected, "own"]}, f"after step {step}"
        for name in shelf.store.log.last().shards():
            assert shelf.store.shard(name).damage() == []

    assert every_step(extract, check, prepare) > 8
