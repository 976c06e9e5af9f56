"""Lines of videos with vectors, as answers show them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.log import Task
from core.query import Part, Query
from core.types import Line, Place, Sidecar
from core.writer import Writer
from index.snapshot import Snapshot
from server.schemas.search import Result
from server.searcher import Searcher
from server.shown import shown
from tests.server.worlds import TOY, Shelf, id_of, samples, vector

LINES = (Line(1.0, 3.0, "purple haze"), Line(9.0, 11.0, "an orange one"))
SIDECAR = Sidecar(b"green.srt", "1-1", "ab" * 16)


def told(data: Path, *lines: Line) -> Shelf:
    """The samples, one with lines beside it that have vectors."""
    shelf = samples(data)
    writer = Writer(shelf.store)
    lines = lines or LINES
    writer.tell(id_of("green"), SIDECAR.layer, lines, np.stack([vector(line.text) for line in lines]))
    task = Task(Place("films", b"green.mp4", "1", sidecars=(SIDECAR,)), shelf.store.log.last().number)
    writer.seen(task, id_of("green"))
    writer.commit()
    shelf.build()
    return shelf


def test_a_line_is_found_with_its_seconds_its_video_and_its_words(tmp_path: Path) -> None:
    searcher = Searcher("default", TOY, Snapshot.open(told(tmp_path).store))
    query = Query((Part(text="orange"),), target="texts", limit=1)
    (best,) = shown(searcher.answer(query)).results
    assert isinstance(best, Result)
    assert (best.video_id, best.path) == (id_of("green"), "films/green.mp4")
    assert (best.start, best.end, best.text) == (9.0, 11.0, "an orange one")
    assert best.matched_on == ["subtitles"] and best.best is not None and 9 <= best.best.t < 11
    (library,) = shown(searcher.answer(replace(query, parts=(Part(text="the blue sea"),)))).results
    assert isinstance(library, Result)
    assert library.matched_on == ["text"] and library.text == "the blue sea" and library.best is None


def test_lines_that_begin_together_or_overlap_are_results_each_with_an_id_of_its_own(tmp_path: Path) -> None:
    overlapping = (*LINES, Line(1.0, 3.0, "an orange haze"), Line(2.0, 10.0, "a green one"))
    shelf = told(tmp_path, *overlapping)
    query = Query((Part(text="orange"),), target="texts", limit=10, merge_gap_s=100.0)
    views = []
    for number in range(2):
        searcher = Searcher("default", TOY, Snapshot.open(shelf.store))
        found = [r for r in shown(searcher.answer(query)).results if isinstance(r, Result)]
        lines = {r.id: (r.start, r.end, r.text) for r in found if r.matched_on == ["subtitles"]}
        assert sorted(lines.values()) == sorted((line.start, line.end, line.text) for line in overlapping)
        views.append(lines)
        shelf.add(texts=[f"another text {number}"])
        shelf.build()
    assert views[0] == views[1]
    assert {id.rpartition("-")[0] for id in lines} == {
        f"{id_of('green')}/text/{n}" for n in (1000, 2000, 9000)
    }


def test_videos_are_found_by_their_pictures_as_ever(tmp_path: Path) -> None:
    with_lines = Searcher("default", TOY, Snapshot.open(told(tmp_path / "a").store))
    without = Searcher("default", TOY, Snapshot.open(samples(tmp_path / "b").store))
    for text in ("orange", "green", "purple"):
        query = Query((Part(text=text),), mode="visual")
        found = [s.answer(query).results for s in (with_lines, without)]
        assert [[f.moment for f in group] for group in found[0]] == [[f.moment for f in g] for g in found[1]]


def test_lines_that_nothing_names_are_not_found(tmp_path: Path) -> None:
    shelf = told(tmp_path)
    assert Snapshot.open(shelf.store).rows["text"] == 5
    writer = Writer(shelf.store)
    writer.seen(Task(Place("films", b"green.mp4", "1"), shelf.store.log.last().number), id_of("green"))
    writer.commit()
    shelf.build()
    assert Snapshot.open(shelf.store).rows["text"] == 3
