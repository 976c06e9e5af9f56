"""Pictures within moments: the best second, and short events that a clip's mean loses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.store import Store
from core.types import Float32Array, IntArray
from index import part
from index.build import build_snapshot
from index.moments import Moment
from index.snapshot import Snapshot
from server.pictures import weighed
from server.schemas.search import SearchAnswer, SearchAsked
from server.searcher import Searcher
from server.shown import query_of, shown
from tests.index import worlds
from tests.server.worlds import TOY, Scenes, Shelf, id_of, vector


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A red event of two seconds, and a video that is a little red throughout; more of other colours."""
    made = Shelf.make(tmp_path_factory.mktemp("pictures"))
    other: dict[str, Scenes] = {f"{n}": [("white", 10), ("grey", 10)] for n in range(6)}
    event: Scenes = [("white", 17), ("red", 2), ("white", 13)]
    made.add({**other, "event": event, "reddish": [("red grey grey", 24)]})
    made.build()
    return made


def ask(shelf: Shelf, **fields: object) -> SearchAnswer:
    asked = SearchAsked.model_validate({"query": "red", **fields})
    return shown(Searcher("default", TOY, Snapshot.open(shelf.store)).answer(query_of(asked)))


def test_a_short_event_comes_first_where_pictures_are_weighed(shelf: Shelf) -> None:
    plain, heavy = ask(shelf), ask(shelf, weigh_frames=True)
    assert [answer.results[0].video_id for answer in (plain, heavy)] == [id_of("reddish"), id_of("event")]
    best = heavy.results[0].best  # type: ignore[union-attr]
    assert best is not None and best.t == 17.0


def test_only_the_order_changes_where_pictures_are_weighed(shelf: Shelf) -> None:
    plain, heavy = ask(shelf, limit=100), ask(shelf, limit=100, weigh_frames=True)
    by_id = {result.id: result for result in plain.results}  # type: ignore[union-attr]
    assert {result.id: result for result in heavy.results} == by_id  # type: ignore[union-attr]
    assert heavy.total == plain.total


def test_a_video_comes_by_its_best_moment_where_pictures_are_weighed(shelf: Shelf) -> None:
    found = ask(shelf, weigh_frames=True, level="video").results
    assert found[0].video_id == id_of("event")
    assert found[0].score == found[0].moments[0].score  # type: ignore[union-attr]


def test_frames_are_in_their_order_already(shelf: Shelf) -> None:
    assert ask(shelf, level="frame", weigh_frames=True).results == ask(shelf, level="frame").results


def test_without_pictures_the_order_stays(tmp_path: Path) -> None:
    made = Shelf.make(tmp_path)
    made.add({"a": [("red", 8)], "b": [("red blue", 8)]}, kinds=("clip",))
    made.build()
    assert ask(made, weigh_frames=True).results == ask(made).results


def test_rows_within_a_range_are_those_that_begin_in_it(tmp_path: Path) -> None:
    world = worlds.lived_in(tmp_path, 3, steps=12)
    view = Snapshot.open(world.store, build_snapshot(world.store, publish=False).number)
    ranges = [
        (source, start, end) for source in world.held for start, end in ((1.0, 3.0), (0.0, 0.0), (2.0, 9.0))
    ]
    ranges.append(("v-unknown", 0.0, 9.0))
    for (source, start, end), (begins, vectors) in zip(ranges, view.within("frame", ranges), strict=True):
        segments, stored = view.vectors(source, "frame")
        inside = [i for i, segment in enumerate(segments) if start <= segment.start < end]
        assert begins.tolist() == [segments[i].start for i in inside]
        assert np.array_equal(vectors, stored[inside])


def test_what_is_not_weighed_comes_behind(shelf: Shelf) -> None:
    view = Snapshot.open(shelf.store)
    event = Moment(id_of("event"), "clip", 16.0, 24.0, 0.3, 16.0, 24.0)
    many = [Moment(id_of("reddish"), "clip", 0.0, 8.0, 0.4, 0.0, 8.0)] * 256
    assert weighed(view, vector("red"), [*many, event])[-1] is event
    assert weighed(view, vector("red"), [*many[:255], event])[0] == event


def test_of_a_long_video_only_the_pictures_of_the_moments_shown_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Shelf.make(tmp_path)
    made.add({"long": [("white", 400), ("red", 8), ("white", 400)], "other": [("blue", 40)]})
    made.build()
    read: list[int] = []

    def exact(store: Store, of: part.Part, positions: IntArray) -> Float32Array:
        read.append(len(positions))
        return stored(store, of, positions)

    stored = part.exact
    monkeypatch.setattr(part, "exact", exact)
    (result,) = ask(made, limit=1).results
    assert result.best is not None and 400 <= result.best.t < 408  # type: ignore[union-attr]
    assert sum(read) == round(result.end - result.start) < 20  # type: ignore[union-attr]
