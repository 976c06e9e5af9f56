"""What a second run finds to do, after all that can happen to files between two runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from extractor import find
from extractor.cli import main
from extractor.content import Content
from extractor.content import content_of as content_of_file
from extractor.remove import main as remove
from tests.extractor.shelf import LONG_AGO_NS, Shelf, age, outcome, vectors


@pytest.fixture
def shelf(tmp_path: Path, videos: Path) -> Shelf:
    """Three videos, extracted."""
    shelf = Shelf(tmp_path)
    for name in ("red.mp4", "short.webm", "vfr.mkv"):
        shelf.put(videos / name)
    assert outcome(shelf.extract()) == {"done": 3}
    return shelf


def test_a_second_run_has_nothing_to_do(shelf: Shelf) -> None:
    number = shelf.store.log.last().number
    assert outcome(shelf.extract()) == {"already": 3}
    assert shelf.store.log.last().number == number


def test_a_second_run_loads_no_encoder_and_opens_no_media(shelf: Shelf) -> None:
    code = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
from extractor.cli import main
assert main({shelf.flags("--workers=1")!r}) == 0
loaded = [name for name in ("torch", "av", "extractor.pipeline", "multiprocessing.popen_spawn_posix")
          if name in sys.modules]
media = [path for path in opened if str(path).endswith((".mp4", ".webm", ".mkv"))]
assert not loaded and not media, (loaded, media)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert outcome(shelf.report()) == {"already": 3}


def test_a_renamed_file_is_one_more_place_and_not_embedded_again(shelf: Shelf) -> None:
    before = vectors(shelf.store)
    (shelf.films / "red.mp4").rename(shelf.films / "rot.mp4")
    report = shelf.extract()
    assert outcome(report) == {"already": 2, "copies": 1}
    assert report["rows"] == {"frame": 0, "clip": 0, "text": 0}
    assert vectors(shelf.store) == before
    assert shelf.paths() == ["red.mp4", "rot.mp4", "short.webm", "vfr.mkv"]


def test_a_touched_file_is_not_embedded_again(shelf: Shelf) -> None:
    age(shelf.films / "red.mp4", LONG_AGO_NS + 1)
    assert outcome(shelf.extract()) == {"already": 2, "copies": 1}
    assert outcome(shelf.extract()) == {"already": 3}
    assert shelf.paths() == ["red.mp4", "short.webm", "vfr.mkv"]


def test_a_changed_file_is_another_source(shelf: Shelf, videos: Path) -> None:
    before = shelf.live()
    shelf.put(videos / "blue.mp4", "red.mp4", LONG_AGO_NS + 1)
    assert outcome(shelf.extract()) == {"already": 2, "done": 1}
    after = shelf.live()
    assert len(after) == 3 and len(set(before) & set(after)) == 2


def test_copies_within_one_run_are_embedded_once(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ("a.mp4", "b.mp4", "sub/c.mp4", "z.mp4"):
        shelf.put(videos / "short.webm", name)
    report = shelf.extract("--decoders=3")
    assert outcome(report) == {"done": 1, "copies": 3}
    assert list(shelf.live().values()) == [["a.mp4", "b.mp4", "sub/c.mp4", "z.mp4"]]


def test_copies_of_what_cannot_be_decoded_fail_alike(tmp_path: Path, broken: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shelf.put(broken / "truncated.mp4", name)
    assert outcome(shelf.extract("--decoders=3", code=3)) == {"failed": 3}
    assert outcome(shelf.extract()) == {"failed_before": 3}


def test_a_failed_file_is_tried_again_when_asked_or_changed(shelf: Shelf, broken: Path, videos: Path) -> None:
    shelf.put(broken / "truncated.mp4")
    report = shelf.extract(code=3)
    assert [failed["path"] for failed in report["failed"]] == ["films/truncated.mp4"]
    assert outcome(shelf.extract()) == {"already": 3, "failed_before": 1}
    assert outcome(shelf.extract("--retry-failed", "--allow-failed")) == {"already": 3, "failed": 1}
    shelf.put(videos / "late.mp4", "truncated.mp4", LONG_AGO_NS + 1)
    assert outcome(shelf.extract()) == {"already": 3, "done": 1}


def test_again_embeds_again_and_counts_each_once(shelf: Shelf, videos: Path) -> None:
    shelf.put(videos / "red.mp4", "copy.mp4")
    shelf.extract()
    before, shards = vectors(shelf.store), shelf.store.log.last().shards()
    assert outcome(shelf.extract("--again")) == {"done": 3, "copies": 1}
    assert vectors(shelf.store) == before
    assert not shards & shelf.store.log.last().shards()


def test_what_was_removed_stays_removed_until_it_is_wanted_again(shelf: Shelf) -> None:
    data = f"--data={shelf.folder / 'data'}"
    assert remove(["films/red.mp4", data]) == 0
    assert outcome(shelf.extract()) == {"already": 2, "removed": 1}
    (shelf.films / "red.mp4").rename(shelf.films / "rot.mp4")
    assert outcome(shelf.extract()) == {"already": 2, "copies": 1}
    assert shelf.paths() == ["short.webm", "vfr.mkv"]
    assert outcome(shelf.extract("--again")) == {"done": 3}
    assert shelf.paths() == ["red.mp4", "rot.mp4", "short.webm", "vfr.mkv"]


def test_a_file_that_changes_while_it_is_read_gets_no_word(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shelf.put(videos / "late.mp4")
    changed: list[int] = []

    def has_stamp(file: bytes, stamp: str) -> bool:
        if file.endswith(b"late.mp4") and len(changed) < 3:
            changed.append(1)
            age(path, LONG_AGO_NS + len(changed))
        return find.has_stamp(file, stamp)

    monkeypatch.setattr("extractor.spool.has_stamp", has_stamp)
    report = shelf.extract(code=3)
    assert report["failed"] == [{"path": "films/late.mp4", "error": "it changed while it was read"}]
    assert "late.mp4" not in shelf.paths()
    assert outcome(shelf.extract()) == {"already": 3, "done": 1}


def test_a_file_that_vanishes_between_listing_and_reading_is_tried_in_the_next_run(
    shelf: Shelf, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shelf.put(videos / "late.mp4")

    def content_of(file: bytes, beat: Callable[[], None]) -> Content:
        path.unlink(missing_ok=True)
        return content_of_file(file, beat)

    monkeypatch.setattr("extractor.media.reading.content_of", content_of)
    report = shelf.extract(code=3)
    assert report["failed"] == [
        {"path": "films/late.mp4", "error": "it cannot be read: No such file or directory"}
    ]
    monkeypatch.undo()
    shelf.put(videos / "late.mp4")
    assert outcome(shelf.extract()) == {"already": 3, "done": 1}


def test_pruning_takes_out_what_is_gone_and_nothing_else(shelf: Shelf) -> None:
    (shelf.films / "red.mp4").unlink()
    assert shelf.extract()["gone"] == 0
    assert len(shelf.paths()) == 3
    assert shelf.extract("--prune")["gone"] == 1
    assert shelf.paths() == ["short.webm", "vfr.mkv"]
    assert shelf.extract("--prune")["gone"] == 0


def test_what_re_appears_after_pruning_is_there_again_without_embedding(shelf: Shelf, videos: Path) -> None:
    (shelf.films / "red.mp4").unlink()
    shelf.extract("--prune")
    shelf.put(videos / "red.mp4")
    assert outcome(shelf.extract()) == {"already": 2, "copies": 1}
    assert shelf.paths() == ["red.mp4", "short.webm", "vfr.mkv"]


def test_pruning_more_than_half_is_refused_unless_forced(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("red.mp4", "vfr.mkv"):
        (shelf.films / name).unlink()
    shelf.extract("--prune", code=2)
    assert "films would lose 2 of 3 places" in capsys.readouterr().err
    assert len(shelf.paths()) == 3
    assert shelf.extract("--prune=force")["gone"] == 2


def test_an_unmounted_folder_is_not_pruned(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    shelf.films.rename(shelf.folder / "elsewhere")
    shelf.films.mkdir()
    shelf.extract("--prune", code=2)
    assert "as if its disk were not there" in capsys.readouterr().err
    assert len(shelf.paths()) == 3
    assert shelf.extract("--prune=force")["gone"] == 3


def test_pruning_a_part_leaves_the_rest_of_the_root_alone(shelf: Shelf, videos: Path) -> None:
    for number in range(3):
        shelf.put(videos / "short.webm", f"cats/{number}.webm")
    shelf.extract()
    (shelf.films / "cats" / "0.webm").unlink()
    (shelf.films / "red.mp4").unlink()
    report = shelf.extract("--prune", f"--videos={shelf.films / 'cats'}")
    assert report["gone"] == 1
    assert "red.mp4" in shelf.paths() and "cats/0.webm" not in shelf.paths()


@pytest.mark.parametrize("name", ["red.mp4", "*.mp4"])
def test_pruning_needs_a_whole_folder(shelf: Shelf, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (shelf.folder / "report.json").unlink()
    assert main(shelf.flags("--prune", f"--videos={shelf.films / name}")) == 2
    assert "--prune needs a whole folder" in capsys.readouterr().err


def test_texts_are_embedded_pruned_and_updated_like_videos(shelf: Shelf) -> None:
    path = shelf.films / "captions.jsonl"
    lines = [{"text": f"a {colour} thing", "key": colour, "n": i} for i, colour in enumerate(("red", "blue"))]
    lines += [{"text": "a red thing", "key": "again"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    texts = f"--texts={path}"
    report = shelf.extract(texts)
    assert outcome(report) == {"done": 2, "copies": 1}
    assert report["rows"]["text"] == 2
    assert shelf.paths()[:3] == [f"captions.jsonl#{key}" for key in ("again", "blue", "red")]
    columns = [live.columns for live in shelf.store.log.last().live() if live.id.startswith("t-")]
    assert sorted(map(dict, columns), key=str) == [{"n": 0}, {"n": 1}]
    # Its folder is a known root, whose videos are not pruned because a text is gone, nor the other way round.
    path.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    assert shelf.extract(texts, "--prune")["gone"] == 1
    assert outcome(shelf.extract("--prune", f"--videos={shelf.films}")) == {"already": 3, "not_video": 1}
    assert shelf.paths() == ["captions.jsonl#blue", "captions.jsonl#red", "red.mp4", "short.webm", "vfr.mkv"]
    assert outcome(shelf.extract(texts)) == {"already": 2}


def test_a_folders_other_files_are_passed_over_and_named_ones_fail(shelf: Shelf, broken: Path) -> None:
    for name in ("text.mp4", "sound.m4a", "playlist.m3u8", "picture.png", "empty.mp4"):
        shelf.put(broken / name)
    shelf.put(broken / "sound.m4a", "sound.mp4")
    shelf.put(broken / "picture.png", "picture.webp")
    report = shelf.extract(code=3)
    assert outcome(report) == {"already": 3, "not_video": 5, "still": 1, "failed": 1}
    assert outcome(shelf.extract()) == {"already": 3, "not_video": 5, "still": 1, "failed_before": 1}
    for name, why in (
        ("text.mp4", "it is no video"),
        ("picture.webp", "it is a still picture"),
        ("empty.mp4", "empty.mp4 is empty (0 bytes)."),
    ):
        report = shelf.extract(f"--videos={shelf.films / name}", code=3)
        assert report["failed"] == [{"path": f"films/{name}", "error": why}]


def test_a_named_file_and_texts_are_each_counted(shelf: Shelf, broken: Path) -> None:
    path = shelf.films / "captions.txt"
    path.write_text("a red thing\na blue thing\n")
    song = shelf.put(broken / "sound.m4a", "sound.mp4")
    shelf.extract(f"--videos={shelf.films}", f"--texts={path}")
    report = shelf.extract(f"--videos={song}", f"--texts={path}", code=3)
    assert outcome(report) == {"already": 2, "failed": 1} and report["found"] == 3
    assert report["failed"] == [{"path": "films/sound.mp4", "error": "it is no video"}]
    (shelf.films / "sound.mp4").unlink()
    shelf.put(broken / "truncated.mp4", "sound.mp4", LONG_AGO_NS + 1)  # another file: not yet said to be none
    report = shelf.extract(f"--videos={song}", f"--texts={path}", code=3)
    assert (
        outcome(report) == {"already": 2, "failed": 1}
        and "sound.mp4 cannot be" in report["failed"][0]["error"]
    )


def test_a_texts_new_columns_are_taken_up_without_embedding(shelf: Shelf) -> None:
    path = shelf.films / "captions.jsonl"
    texts = f"--texts={path}"

    def put(**columns: object) -> None:
        path.write_text(json.dumps({"text": "a red thing", "key": "k", **columns}) + "\n")

    def held() -> list[dict[str, object]]:
        return [dict(live.columns) for live in shelf.store.log.last().live() if live.id.startswith("t-")]

    put(n=1)
    shelf.extract(texts)
    put(n=2, place="Rome")
    report = shelf.extract(texts)
    assert outcome(report) == {"copies": 1} and report["rows"]["text"] == 0
    assert held() == [{"n": 2, "place": "Rome"}]
    assert outcome(shelf.extract(texts)) == {"already": 1}
    put()  # says nothing about columns, which stay
    assert outcome(shelf.extract(texts)) == {"already": 1}
    assert held() == [{"n": 2, "place": "Rome"}]


def test_a_root_that_was_seen_elsewhere_is_found_again_under_its_name(shelf: Shelf) -> None:
    moved = shelf.folder / "moved"
    shelf.films.rename(moved)
    assert outcome(shelf.extract(f"--videos={moved}", "--root=films")) == {"already": 3}
    assert outcome(shelf.extract(f"--videos={moved}")) == {"already": 3}


def test_a_taken_root_name_is_refused(shelf: Shelf, videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Shelf(shelf.folder / "other")
    other.put(videos / "late.mp4")
    shelf.extract(f"--videos={other.films}", code=2)
    assert "The root films is" in capsys.readouterr().err
    assert outcome(shelf.extract(f"--videos={other.films}", "--root=more")) == {"done": 1}


def test_our_own_data_within_the_folder_is_not_listed(tmp_path: Path, videos: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(videos / "short.webm")
    data = f"--data={shelf.films / 'cinedex-data'}"
    assert outcome(shelf.extract(data)) == {"done": 1}
    assert outcome(shelf.extract(data)) == {"already": 1}
    assert os.listdir(shelf.films / "cinedex-data" / "toy-rgb" / "shards")


def test_a_film_that_is_cut_short_or_damaged_is_done_and_named(shelf: Shelf, videos: Path) -> None:
    whole = (videos / "with-sound.mkv").read_bytes()
    (shelf.films / "cut.mkv").write_bytes(whole[: len(whole) // 3])
    age(shelf.films / "cut.mkv")
    (damaged,) = shelf.extract()["damaged"]
    assert damaged["path"] == "films/cut.mkv"
    assert damaged["header_seconds"] == pytest.approx(4.0, abs=0.1) and damaged["seconds"] < 2.0
