"""POST /locate: where in a video texts are."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.query import Filter
from core.types import Float32Array, Float64Array
from index.calibration import Judge, Scale
from index.snapshot import Snapshot
from index.timeline import Timeline
from server import locating
from server.labels import Labelling, Vocabulary, label_cache
from server.locating import Range, bars, located, ranges_of
from server.searcher import Searcher
from server.stored import Named
from tests.server.conftest import Running
from tests.server.worlds import TOY, Scenes, Shelf, id_of

VIDEO = id_of("red-then-blue")


def ask(server: Running, *texts: str, **fields: Any) -> dict[str, Any]:
    answer = server.http.post("/locate", json={"video_id": VIDEO, "texts": texts, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rows(starts: Float64Array, ends: Float64Array) -> Any:
    return SimpleNamespace(start=starts, end=ends)


def seconds(scores: Float32Array) -> Any:
    return rows(np.arange(len(scores), dtype=float), np.arange(1.0, len(scores) + 1))


def scene(length: int, *events: tuple[int, int, float], noise: float = 0.015, seed: int = 0) -> Float32Array:
    """Scores of pictures a second apart as CLIP gives them: 0.18 and some noise, more where the event is."""
    found = np.random.default_rng(seed).normal(0.18, noise, length)
    for start, end, above in events:
        found[start:end] += above
    return found.astype(np.float32)


def times(found: list[Range]) -> list[tuple[float, float]]:
    return sorted((each.start, each.end) for each in found)


def test_each_second_has_a_score_and_each_text_its_range(sample_server: Running) -> None:
    found = ask(sample_server, "red", "blue")
    assert found["times"] == [float(second) for second in range(24)]
    assert found["scores"] == [[1] * 12 + [0] * 12, [0] * 12 + [1] * 12]
    assert [[(each["start"], each["end"], each["score"]) for each in mine] for mine in found["ranges"]] == [
        [(0, 12, 1)],
        [(12, 24, 1)],
    ]
    assert (found["level"], found["encoder"], found["snapshot"]) == ("frame", "toy:rgb", 1)


def test_only_some_seconds_can_be_asked(sample_server: Running) -> None:
    found = ask(sample_server, "blue", start=10, end=14)
    assert found["times"] == [10, 11, 12, 13]
    assert found["ranges"][0][0]["start"] == 12 and found["ranges"][0][0]["end"] == 14


@pytest.mark.parametrize("length", [120, 36_000])
@pytest.mark.parametrize("share", [(5, 15), (20, 100)], ids=["short", "most"])
def test_an_event_is_found_to_a_second_or_two_in_noise(length: int, share: tuple[int, int]) -> None:
    start, end = share
    found = ranges_of(seconds(scores := scene(length, (start, end, 0.12))), scores)
    assert abs(found[0].start - start) <= 2 and abs(found[0].end - end) <= 2
    assert len(found) == 1


def test_events_that_recur_are_ranges_of_their_own_and_the_best_comes_first() -> None:
    scores = scene(600, (50, 60, 0.10), (90, 110, 0.14), (400, 401, 0.12))
    found = ranges_of(seconds(scores), scores)
    assert len(found) == 3
    assert found[0].start == pytest.approx(90, abs=2) and found[0].score == pytest.approx(scores.max())
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert all(before[1] <= after[0] for before, after in pairwise(times(found)))


def test_a_dip_of_a_second_does_not_cut_an_event_and_seconds_of_nothing_do() -> None:
    scores = np.full(60, 0.2, np.float32)
    scores[10:30] = 0.3
    scores[20] = 0.24  # below half of the way, above a quarter
    assert times(ranges_of(seconds(scores), scores)) == [(10, 30)]
    scores[20] = 0.2
    assert times(ranges_of(seconds(scores), scores)) == [(10, 20), (21, 30)]


def test_where_all_seconds_are_alike_the_whole_video_is_the_range() -> None:
    scores = np.full(60, 0.25, np.float32)
    scores[::7] += 1e-5
    assert times(ranges_of(seconds(scores), scores)) == [(0, 60)]


def test_rows_that_do_not_touch_are_ranges_of_their_own() -> None:
    scores = np.array([1, 1, 0, 1, 1], np.float32)
    apart = rows(np.array([0.0, 1, 2, 10, 30]), np.array([1.0, 2, 3, 11, 31]))
    assert times(ranges_of(apart, scores)) == [(0, 2), (10, 11), (30, 31)]


def test_ranges_of_clips_that_overlap_do_not() -> None:
    scores = np.array([1, 1, 0, 1], np.float32)
    clips = rows(np.array([0.0, 2, 4, 6]), np.array([8.0, 10, 12, 14]))
    assert times(ranges_of(clips, scores)) == [(0, 6), (6, 14)]


def test_what_is_as_likely_as_not_is_always_in_a_range() -> None:
    """A film that is red throughout: without a judge the noise would cut it."""
    scores = scene(100, (0, 100, 0.12), noise=0.01)
    judge = Judge(Scale(), half=0.25, width=0.01)
    found = ranges_of(seconds(scores), scores, judge)
    assert times(found) == [(0, 100)]
    assert found[0].level == "high" and found[0].confidence == judge.confidence(float(scores.max()))
    assert len(ranges_of(seconds(scores), scores)) > 1


def test_the_bars_lie_between_the_background_and_the_best() -> None:
    scores = np.array([0.2] * 90 + [0.3] * 10)
    assert bars(scores, None) == pytest.approx((0.225, 0.25))
    assert bars(scores, 0.21) == pytest.approx((0.205, 0.21))
    assert bars(scores, 0.1) == pytest.approx((0.1, 0.1))


def test_at_most_so_many_ranges_are_told() -> None:
    scores = np.tile(np.array([0, 1], np.float32), 500)
    assert len(ranges_of(seconds(scores), scores)) == locating.MOST_RANGES


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    made = Shelf.make(tmp_path_factory.mktemp("located") / "data")
    scenes: Scenes = [("red", 12), ("blue", 12)]
    made.add({"clips": scenes}, kinds=["clip"])
    made.add({"both": scenes}, ["a red thing"])
    made.build()
    return made


def locate(shelf: Shelf, named: Named, *texts: str) -> locating.Located:
    searcher = Searcher("default", TOY, Snapshot.open(shelf.store))
    found = located(searcher, named, Labelling(Vocabulary(texts), label_cache()), 60)
    assert found is not None
    return found


def test_a_video_without_pictures_is_looked_through_by_its_clips(shelf: Shelf) -> None:
    found = locate(shelf, Named(id_of("clips")), "red")
    assert found.kind == "clip"
    assert found.times.tolist() == [0, 4, 8, 12, 16]
    assert times(found.ranges[0]) == [(0, 16)]


def test_a_long_video_is_told_by_fewer_times(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locating, "MOST_SHOWN", 16)
    found = locate(shelf, Named(id_of("both")), "red", "blue")
    assert found.times.tolist() == [0, 3, 6, 9, 12, 15, 18, 21]
    assert found.scores.tolist() == [[1] * 4 + [0] * 4, [0] * 4 + [1] * 4]
    assert [times(mine) for mine in found.ranges] == [[(0, 12)], [(12, 24)]]


@pytest.mark.parametrize("limit", ["MOST_ROWS", "MOST_SCORES"])
def test_too_many_rows_are_refused(shelf: Shelf, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locating, limit, 20)
    says = "video_id: the video has 24 rows there, of which 1 texts are compared with 20 at most"
    with pytest.raises(Exception, match=says):
        locate(shelf, Named(id_of("both")), "red")
    assert len(locate(shelf, Named(id_of("both"), 0, 20), "red").times) == 20


def test_a_library_text_is_nowhere(shelf: Shelf) -> None:
    with pytest.raises(Exception, match="has no frame or clip rows") as caught:
        locate(shelf, Named(id_of("a red thing", "t")), "red")
    assert getattr(caught.value, "http_status", 0) == 409


def test_scores_are_those_of_a_search(shelf: Shelf) -> None:
    view = Snapshot.open(shelf.store)
    whole = Timeline.of(view, id_of("both"), "frame")
    query = TOY.texts(["reddish blue"]).numpy()
    only = Filter(sources=frozenset({id_of("both")}))
    hits = view.search("frame", query, 24, filter=only, exact=True)[0]
    by_start = {row.start: score for row, score in zip(hits.segments, hits.scores.tolist(), strict=True)}
    assert by_start == pytest.approx(
        dict(zip(whole.start.tolist(), whole.scores(query)[0].tolist(), strict=True))
    )


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"texts": []}, 400, "texts"),
        ({"texts": ["a"] * 65}, 400, "texts"),
        ({"texts": ["a", ""]}, 400, "texts[1]"),
        ({"video_id": "v-none"}, 404, "video_id"),
        ({"video_id": "../../etc/passwd"}, 404, "video_id"),
        ({"start": 99}, 400, "start"),
        ({"limit": 3}, 400, "limit"),
    ],
    ids=["no text", "many texts", "empty text", "no video", "a path", "no seconds", "no field"],
)
def test_what_is_wrong_is_said(
    sample_server: Running, fields: dict[str, Any], status: int, field: str
) -> None:
    answer = sample_server.http.post("/locate", json={"video_id": VIDEO, "texts": ["red"], **fields})
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)
