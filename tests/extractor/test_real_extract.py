"""The whole command over every real file: each ends with a word, and its rows say when what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import av
import pytest

from tests.extractor.shelf import Shelf, outcome, vectors
from tests.extractor.test_real_media import ANIMATION, LONG, RECOVERED, expected_status, truth


@pytest.fixture(scope="module")
def shelf(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Every real file but the longest, extracted as a user would, by decoders in processes of their own."""
    shelf = Shelf(tmp_path_factory.mktemp("real"))
    for path in sorted((media / "videos").iterdir()):
        if LONG not in path.name:
            shelf.put(path)
    shelf.extract("--workers=1", "--decoders=2", "--allow-failed")
    return shelf


def rows_of(shelf: Shelf) -> Iterator[tuple[str, list[float], list[float]]]:
    """Each file with the beginnings and ends of its frame rows; copies share theirs."""
    found = vectors(shelf.store)
    for source, paths in shelf.live().items():
        starts, ends, _ = found[source, "frame"]
        for path in paths:
            yield path, starts, ends


def test_every_file_ends_as_done_failed_or_skipped(shelf: Shelf, media: Path) -> None:
    report = shelf.report()
    rows = [row for name, row in truth(media).items() if LONG not in name]
    expected = [expected_status(row) for row in rows]
    assert report["found"] == len(rows)
    assert report["done"] + report["copies"] == expected.count("ok")
    # A song with a cover is a still, if it is opened; by its suffix it is no video and is not.
    passed_over = report["skipped"]["not_video"] + report["skipped"]["still"]
    assert passed_over == expected.count("not_video") + expected.count("still")
    failed = {entry["path"].removeprefix("films/"): entry["error"] for entry in report["failed"]}
    assert set(failed) == {
        row["file"] for row, status in zip(rows, expected, strict=True) if status == "failed"
    }
    for name, error in failed.items():
        assert re.fullmatch(rf"{re.escape(name)} (is|has|cannot) [^\n]+\.", error), error
    # Damage is counted where it is met: nothing that is wanted needs the other file's one bad packet.
    assert report["lost_packets"] == RECOVERED["mp4parse__no_timescale.mp4"]


def test_a_second_run_has_nothing_to_do(shelf: Shelf) -> None:
    before = shelf.report()
    again = outcome(shelf.extract())
    assert again.get("already") == before["done"] + before["copies"]
    assert again.get("failed_before") == len(before["failed"])


def test_rows_begin_when_a_plain_decoding_of_the_file_shows_a_picture(shelf: Shelf, media: Path) -> None:
    known, compared = truth(media), 0
    for path, starts, ends in sorted(rows_of(shelf)):
        row = known[path]
        if row["pts_nonmonotonic"] or row["none_pts"] or path in RECOVERED or path == ANIMATION:
            continue  # what such files show when is asked of a player, in test_real_media
        assert_shown_on_grid(*plain_times(media / "videos" / path, row), starts, path)
        assert all(start < end for start, end in zip(starts, ends, strict=True))
        compared += 1
    assert compared >= 140


def plain_times(path: Path, row: dict[str, Any]) -> tuple[list[Fraction], Fraction]:
    """The time of every picture on our time line and the end of the last, by the simplest loop there is."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base, zero = stream.time_base or Fraction(0), Fraction(row["zero_s"]).limit_denominator(10**6)
        frames = container.decode(stream)
        shown = [((frame.pts or 0) * base - zero, (frame.duration or 0) * base) for frame in frames]
    times = sorted(time for time, _ in shown)
    return times, max(time + length for time, length in shown)


def assert_shown_on_grid(times: list[Fraction], end: Fraction, starts: list[float], path: str) -> None:
    """Once a second the picture shown last, before the first one the first; each once."""
    seconds = range(max(1, ceil(end)))
    shown = {max((time for time in times if time <= second), default=times[0]) for second in seconds}
    assert starts == [pytest.approx(float(time), abs=2e-6) for time in sorted(shown)], path


@pytest.mark.slow
def test_the_longest_files_are_done_too(media: Path, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    long = {path.name for path in (media / "videos").iterdir() if LONG in path.name}
    for name in long:
        shelf.put(media / "videos" / name)
    shelf.extract("--workers=1", "--decoders=2", "--fps=0.1")
    assert set(shelf.paths()) == long
    for path, starts, _ in rows_of(shelf):
        assert len(starts) >= truth(media)[path]["duration"] // 10
