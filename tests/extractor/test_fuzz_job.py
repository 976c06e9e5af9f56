"""A job over damaged files: each ends with a word, none ends the job, and nothing is left behind."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from core.files import stamp_of
from core.log import Task
from core.store import Store
from core.types import Place, Sampling
from core.writer import Writer
from extractor.encoders import load
from extractor.media import fork
from extractor.pipeline import extract
from extractor.work import Job, Report, Work
from tests.extractor import fuzz
from tests.extractor.shelf import Shelf, age, outcome
from tests.extractor.test_fuzz import made, small

__all__ = ["made"]  # a fixture
LIMIT = ("made no progress", "took far more CPU time")
WARM, EVERY = 400, 100
MOST_LEAK_MIB = 48


def fill(folder: Path, files: Sequence[Path], seeds: range) -> list[Path]:
    """A damaged file for each seed, which its name tells."""
    sys.stdout.write(f"seeds {seeds[0]} to {seeds[-1]}\n")
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in seeds:
        name, data = fuzz.damaged(list(files), seed)
        path = folder / f"{seed}-{name}"
        path.write_bytes(data)
        found.append(age(path))
    return found


def assert_each_ends_with_a_word(shelf: Shelf, files: Sequence[Path], seeds: range) -> None:
    fill(shelf.films, files, seeds)
    report = shelf.extract("--workers=1", "--decoders=2", "--stall-seconds=60", "--allow-failed")
    found = outcome(report)
    assert report["found"] == len(seeds) and found["done"]
    for failed in report["failed"]:
        told = failed["error"]
        assert told and "\n" not in told and "met a bug" not in told, failed
        assert not told.startswith(LIMIT) and not any(limit in told for limit in LIMIT), failed
    again = outcome(shelf.extract())
    assert again.get("already", 0) == found["done"] + found.get("copies", 0)
    assert again.get("failed_before", 0) == len(report["failed"])


def test_each_of_some_damaged_files_ends_with_a_word(tmp_path: Path, made: list[Path]) -> None:
    assert_each_ends_with_a_word(Shelf(tmp_path), made, range(1, 41))


@pytest.mark.slow
def test_each_of_many_damaged_files_ends_with_a_word(tmp_path: Path, made: list[Path], media: Path) -> None:
    assert_each_ends_with_a_word(Shelf(tmp_path), [*made, *small(media)], range(20_000, 20_500))


@pytest.mark.slow
def test_a_worker_grows_by_nothing_over_two_thousand_files(tmp_path: Path, made: list[Path]) -> None:
    files = fill(tmp_path / "films", made, range(30_000, 32_000))
    encoder = load("toy:rgb")
    job = Job(tmp_path / "store", "toy:rgb", decoders=2)
    store = Store.create(job.store, encoder.spec, Sampling())
    fork.prepare()
    used = []
    events = extract(job, works(files), encoder, Writer(store, max_rows=200), threading.Event())
    for number, _ in enumerate(event for event in events if isinstance(event, Report)):
        if number >= WARM and number % EVERY == 0:
            used.append((fuzz.resident_mib(os.getpid()), fuzz.open_files()))
    mib, open_files = zip(*used, strict=True)
    assert max(open_files) <= open_files[0] + 2, used  # of a child that is taking another's place
    assert max(mib) - mib[0] < MOST_LEAK_MIB, used


def works(files: Sequence[Path]) -> Iterator[Work]:
    for path in files:
        place = Place("films", os.fsencode(path.name), stamp_of(path.stat()))
        yield Work(Task(place, 0), os.fsencode(path))
