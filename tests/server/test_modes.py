"""Searching by vectors, by words and by both: what answers hold then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import UsageError
from core.log import Task
from core.query import Condition, Part, Query, Where
from core.types import Line, Place, canonical
from core.writer import Writer
from index.snapshot import Snapshot
from index.view import view_of
from server.errors import ApiError
from server.schemas.search import Result, SearchAnswer, VideoResult
from server.searcher import Searcher
from server.shown import as_sent, shown
from tests.server.conftest import Running
from tests.server.test_lines import SIDECAR, told
from tests.server.worlds import TOY, Shelf, id_of, samples


def answered(shelf: Shelf, text: str, view: Snapshot | None = None, **how: Any) -> SearchAnswer:
    searcher = Searcher("default", TOY, view or Snapshot.open(shelf.store))
    answer = searcher.answer(Query((Part(text=text),), **how))
    assert SearchAnswer.model_validate_json(as_sent(answer)) == shown(answer)
    return shown(answer)


def results(answer: SearchAnswer) -> list[Result]:
    return [result for result in answer.results if isinstance(result, Result)]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The samples, one with lines beside it: 1 to 3 s "purple haze", 9 to 11 s "an orange one"."""
    return told(tmp_path_factory.mktemp("told") / "data")


def test_words_alone_find_lines_with_their_seconds_and_no_score(shelf: Shelf) -> None:
    answer = answered(shelf, "ORANGE", mode="text")
    (found,) = results(answer)
    assert (found.path, found.start, found.end, found.text) == ("films/green.mp4", 9.0, 11.0, "an orange one")
    assert (found.score, found.matched_on, answer.total.value, answer.total.relation) == (
        None,
        ["subtitles"],
        1,
        "eq",
    )
    assert found.best is not None and found.best.t == 10.0
    assert found.id.startswith(f"{id_of('green')}/text/9000-")


def test_by_words_what_has_all_of_them_comes_before_what_has_some(shelf: Shelf) -> None:
    found = results(answered(shelf, "one orange haze", mode="text"))
    assert [each.text for each in found] == ["an orange one", "purple haze"]
    assert results(answered(shelf, '"orange haze"', mode="text")) == []
    assert [each.text for each in results(answered(shelf, "pur*", mode="text"))] == ["purple haze"]
    assert results(answered(shelf, "🎉", mode="text")) == []


def test_a_name_finds_the_whole_video(shelf: Shelf) -> None:
    (found,) = results(answered(shelf, "white", mode="text"))
    assert (found.video_id, found.start, found.end) == (id_of("blue-then-white"), 0.0, 16.0)
    assert (found.matched_on, found.text, found.score) == (["path"], None, None)
    assert found.best is not None and found.best.t == 8.0


def test_both_give_one_moment_with_what_was_seen_and_what_was_said(shelf: Shelf) -> None:
    seen = results(answered(shelf, "haze", mode="visual"))
    (best, *others) = results(answered(shelf, "haze", mode="hybrid"))
    assert (best.video_id, best.matched_on, best.text) == (
        id_of("green"),
        ["visual", "subtitles"],
        "purple haze",
    )
    (same,) = [each for each in seen if each.video_id == best.video_id]
    assert (best.id, best.score, best.start, best.end) == (same.id, same.score, same.start, same.end)
    assert best.best is not None and 1.0 <= best.best.t < 3.0
    assert [(each.id, each.score) for each in others] == [(e.id, e.score) for e in seen if e.id != best.id]


def test_where_there_are_lines_both_is_the_default_and_elsewhere_vectors(
    shelf: Shelf, tmp_path: Path
) -> None:
    for text in ("haze", "green", "films"):
        assert answered(shelf, text).results == answered(shelf, text, mode="hybrid").results
    without = samples(tmp_path / "data")
    assert answered(without, "green").results == answered(without, "green", mode="visual").results
    (best, *_) = results(answered(without, "green", mode="hybrid"))
    assert best.matched_on == ["visual", "path"]


def test_one_word_of_many_does_not_make_a_moment_of_a_line(shelf: Shelf) -> None:
    question = "an orange car in the street"
    assert answered(shelf, question).results == answered(shelf, question, mode="visual").results
    assert [each.text for each in results(answered(shelf, question, mode="text"))] == ["an orange one"]


def test_videos_go_through_vectors_only(shelf: Shelf) -> None:
    searcher = Searcher("default", TOY, Snapshot.open(shelf.store))
    parts = (Part(source=id_of("red-then-blue")),)
    by_default, seen = (shown(searcher.answer(Query(parts, mode=mode))).results for mode in (None, "visual"))
    assert by_default == seen
    both = shown(searcher.answer(Query((*parts, Part(text="white")), mode="hybrid")))
    (best, *_) = results(both)
    assert best.matched_on == ["visual", "path"] and best.video_id == id_of("blue-then-white")


def test_a_video_that_is_asked_with_is_not_found_by_its_words(shelf: Shelf) -> None:
    searcher = Searcher("default", TOY, Snapshot.open(shelf.store))
    whole = Query((Part(text="orange"), Part(source=id_of("green"))), mode="hybrid")
    assert id_of("green") not in {each.video_id for each in results(shown(searcher.answer(whole)))}
    for start, end, is_told in ((8.0, 10.0, False), (0.0, 4.0, True)):
        ranged = Query(
            (Part(text="orange"), Part(source=id_of("green"), start=start, end=end)), mode="hybrid"
        )
        lines = [each.text for each in results(shown(searcher.answer(ranged))) if each.text]
        assert lines == (["an orange one"] if is_told else [])


def test_grouped_by_video_words_and_vectors_are_together(shelf: Shelf) -> None:
    answer = answered(shelf, "haze", by_video=True, group_size=9, limit=2)
    (first, second) = (each for each in answer.results if isinstance(each, VideoResult))
    assert first.video_id == id_of("green") and first.moments[0].text == "purple haze"
    assert first.score == first.moments[0].score and second.moments[0].matched_on == ["visual"]
    (only,) = answered(shelf, "haze", by_video=True, mode="text").results
    assert isinstance(only, VideoResult) and only.score is None


def test_texts_are_found_by_words_and_by_both(shelf: Shelf) -> None:
    by_words = results(answered(shelf, "sea", mode="text", target="texts"))
    assert [(each.text, each.matched_on, each.score, each.best) for each in by_words] == [
        ("the blue sea", ["text"], None, None)
    ]
    (line,) = results(answered(shelf, "haze", mode="text", target="texts"))
    seen = results(answered(shelf, "haze", mode="visual", target="texts"))
    both = results(answered(shelf, "haze", mode="hybrid", target="texts"))
    assert line.id == both[0].id and both[0].text == "purple haze" and both[0].score is not None
    assert sorted(each.id for each in both) == sorted(each.id for each in seen)


def test_what_is_removed_says_nothing_any_more(tmp_path: Path) -> None:
    shelf = told(tmp_path / "data")
    shelf.remove("green")
    for mode in ("text", "hybrid"):
        assert "green" not in str(
            answered(shelf, "orange haze green", view_of(shelf.store), mode=mode).results
        )
    shelf.build()
    assert Snapshot.open(shelf.store).passages("lines") == 0
    shelf.remove("green", undo=True)
    shelf.build()
    assert len(results(answered(shelf, "orange", mode="text"))) == 1


def test_more_lines_than_are_shown_are_counted(tmp_path: Path) -> None:
    shelf = told(tmp_path / "data", *(Line(float(n), n + 0.5, f"purple {n}") for n in range(600)))
    for limit, value, relation in ((1, 256, "gte"), (100, 600, "eq")):
        answer = answered(shelf, "purple", mode="text", limit=limit)
        assert (len(answer.results), answer.total.value, answer.total.relation) == (limit, value, relation)
    grouped = answered(shelf, "purple", mode="text", by_video=True)
    assert (len(grouped.results), grouped.total.relation) == (1, "eq")


def test_lines_are_padded_within_their_video(shelf: Shelf) -> None:
    (found,) = results(answered(shelf, "orange", mode="text", pad_s=10.0))
    assert (found.start, found.end, found.best and found.best.t) == (0.0, 20.0, 10.0)


def test_a_title_is_the_column_of_that_name(tmp_path: Path) -> None:
    shelf = samples(tmp_path / "data")
    writer = Writer(shelf.store)
    task = Task(Place("films", b"green.mp4", "1"), shelf.store.log.last().number)
    writer.seen(task, id_of("green"), columns=canonical({"title": "Tosca", "year": 2024}))
    writer.commit()
    shelf.build()
    (found,) = results(answered(shelf, "tosca", mode="text"))
    assert found.matched_on == ["title"] and found.metadata["title"] == "Tosca"
    (best, *_) = results(answered(shelf, "Tosca", mode="hybrid"))
    assert best.video_id == id_of("green") and best.matched_on == ["visual", "title"]


def test_a_snapshot_without_words_says_so_where_they_are_asked_for(tmp_path: Path) -> None:
    shelf = told(tmp_path / "data")
    view = Snapshot.open(shelf.store)
    held = {name: value for name, value in view.held.items() if name != "words"}
    older = replace(view, number=7, held=held, words=())
    for mode in ("text", "hybrid"):
        with pytest.raises(ApiError, match="snapshot 7 was built without words") as caught:
            answered(shelf, "orange", older, mode=mode)
        assert (caught.value.http_status, caught.value.field) == (409, "mode")
    assert answered(shelf, "orange", older).results == answered(shelf, "orange", mode="visual").results


def test_over_http_a_mode_is_a_field(sample_server: Running) -> None:
    answer = sample_server.search("white", mode="text").json()
    (found,) = answer["results"]
    assert (found["path"], found["score"], found["matched_on"]) == (
        "films/blue-then-white.mp4",
        None,
        ["path"],
    )
    refused = sample_server.search([{"video_id": id_of("green")}], mode="text").json()["error"]
    assert (refused["type"], refused["field"]) == ("invalid_request", "mode")
    assert refused["message"].startswith('mode: "text" needs a query of texts alone')


def test_filters_hold_for_words(shelf: Shelf) -> None:
    long = Where(must=(Condition("seconds", (("gte", 18),)),))
    assert [each.text for each in results(answered(shelf, "orange", mode="text", where=long))] == [
        "an orange one"
    ]
    assert results(answered(shelf, "white", mode="text", where=long)) == []
    late = Where(must=(Condition("start", (("gte", 5),)),))
    assert [each.text for each in results(answered(shelf, "orange haze", mode="text", where=late))] == [
        "an orange one"
    ]
    assert results(answered(shelf, "green", mode="text", where=late)) == []
    with pytest.raises(UsageError, match="nothing is no column here"):
        answered(shelf, "orange", mode="text", where=Where(must=(Condition("nothing", (("eq", 1),)),)))


def test_what_words_find_alone_stays_whatever_score_is_asked_for(shelf: Shelf) -> None:
    found = results(answered(shelf, "haze", min_score=2.0))
    assert [(each.text, each.score, each.confidence) for each in found] == [("purple haze", None, None)]


@pytest.mark.parametrize("mode", ["text", "hybrid", "visual"])
@pytest.mark.parametrize("text", ["orange", "!!!"])
def test_a_filter_that_is_wrong_is_refused_also_where_no_word_is_looked_for(
    shelf: Shelf, mode: str, text: str
) -> None:
    with pytest.raises(UsageError, match="nope is no column here"):
        answered(shelf, text, mode=mode, where=Where(must=(Condition("nope", (("eq", 1),)),)))


def test_what_one_part_quotes_ends_with_it(shelf: Shelf) -> None:
    searcher = Searcher("default", TOY, Snapshot.open(shelf.store))
    parts = (Part(text='an 8" orange'), Part(text='a 5" haze'))
    found = results(shown(searcher.answer(Query(parts, mode="text"))))
    assert {each.text for each in found} == {"purple haze", "an orange one"}


def test_a_video_that_words_alone_find_stands_for_none_that_has_rows(tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({"a": [("red", 804)], "b": [("red", 404)], "c": [("blue", 30)]})
    shelf.add({"x": [("green", 4)]}, kinds=("frame",))
    writer = Writer(shelf.store)
    writer.tell(id_of("x"), SIDECAR.layer, (Line(1.0, 2.0, "red thing"),))
    task = Task(Place("films", b"x.mp4", "1", sidecars=(SIDECAR,)), shelf.store.log.last().number)
    writer.seen(task, id_of("x"))
    writer.commit()
    shelf.build()
    answer = answered(shelf, "red", mode="hybrid", by_video=True, limit=20)
    assert {each.video_id for each in answer.results} == {id_of(name) for name in "abcx"}
    assert (answer.total.value, answer.total.relation) == (4, "eq")


def test_all_videos_are_not_all_while_there_are_more_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.ranking.LOOK_AT", 4)
    monkeypatch.setattr("server.ranking.LOOK_AT_MOST", 16)
    shelf = told(tmp_path / "data", *(Line(float(n), n + 0.5, f"purple {n}") for n in range(30)))
    grouped: dict[str, Any] = {"by_video": True, "mode": "hybrid", "limit": 4}
    assert answered(shelf, "purple", **grouped).total.relation == "gte"
    assert answered(shelf, "haze", **grouped).total.relation == "eq"
