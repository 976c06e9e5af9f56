"""Search by words, against looking at every passage."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.query import Condition, Filter, Where
from core.types import Line
from index import filters, passages
from index.build import build, build_snapshot
from index.snapshot import Snapshot
from index.terms import terms
from index.words import LiveWords
from tests.index.spoken import Said, Spoken, best, found_in, lived_in, spoken
from tests.index.worlds import source_id

QUERIES = [
    *("red", "red truck", "the sea", "the", "the a", "naive", "NAÏVE city", "tru*", "zebra", "red zebra"),
    *('"red truck"', '"the sea" night', "猫", "東京", '"東京 猫"', "red truck at night", '"" the'),
]


def files(view: Snapshot) -> set[str]:
    return {words.about.name for words in view.words}


@pytest.mark.parametrize("seed", range(4))
def test_answers_are_those_of_looking_at_every_passage(tmp_path: Path, seed: int) -> None:
    lived = lived_in(tmp_path / "store", seed)
    for _ in range(3):
        build(lived.store)
        view = Snapshot.open(lived.store)
        for kind in ("lines", "names"):
            for query in QUERIES:
                for some in (True, False):
                    wanted = best(lived.said(kind), query, some=some)
                    assert found_in(view, query, some=some, kind=kind) == wanted, (query, some)
                assert found_in(view, query, 3, kind=kind) == best(lived.said(kind), query, 3), query
        lived.step()
        lived.step()


@pytest.mark.parametrize("seed", range(2))
def test_however_passages_are_cut_into_files_answers_are_the_same(tmp_path: Path, seed: int) -> None:
    lived = lived_in(tmp_path / "store", seed, steps=0)
    for _ in range(5):
        build(lived.store)
        lived.add(3)
        lived.retell(source_id(1))
    lived.hide(source_id(2))
    build(lived.store)
    cut = Snapshot.open(lived.store)
    whole = Snapshot.open(lived.store, build_snapshot(lived.store, fresh=True).number)
    counts = [len([w for w in view.words if w.about.kind == "lines"]) for view in (cut, whole)]
    assert counts[0] > 1 == counts[1]
    for query in QUERIES:
        for k in (2, 1000):
            scored = [
                [
                    (t.source, t.start, t.text, t.score)
                    for t in view.told("lines", terms(query), k, some=True)[0]
                ]
                for view in (cut, whole)
            ]
            assert scored[0] == scored[1], query


def test_only_what_is_new_is_indexed(tmp_path: Path) -> None:
    lived = spoken(tmp_path / "store")
    lived.add(10, Line(0.0, 1.0, "an old line"))
    build(lived.store)
    before = Snapshot.open(lived.store)
    lived.add(1, Line(0.0, 1.0, "a new line"))
    build(lived.store)
    after = Snapshot.open(lived.store)
    assert files(before) < files(after)
    new = [words for words in after.words if words.about.name not in files(before)]
    assert {(words.about.kind, words.about.rows) for words in new} == {("lines", 1), ("names", 2)}
    lived.rename(source_id(1), "another title")
    build(lived.store)
    renamed = Snapshot.open(lived.store)
    assert files(after) < files(renamed)
    (of_names,) = [words for words in renamed.words if words.about.name not in files(after)]
    assert (of_names.about.kind, of_names.about.rows) == ("names", 2)
    assert found_in(renamed, "another", kind="names") == [(source_id(1), 0.0, 0.0, "another title")]


def test_many_small_files_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passages, "MOST_FILES", 3)
    lived = spoken(tmp_path / "store")
    for number in range(7):
        lived.add(1, Line(0.0, 1.0, f"line {number}"))
        build(lived.store)
        view = Snapshot.open(lived.store)
        assert len([words for words in view.words if words.about.kind == "lines"]) <= 4
        assert len(found_in(view, "line")) == number + 1


def test_what_is_mostly_dead_is_made_anew_and_what_said_it_is_let_go(tmp_path: Path) -> None:
    lived = spoken(tmp_path / "store")
    lived.add(4, Line(0.0, 1.0, "a secret"))
    build(lived.store)
    before = Snapshot.open(lived.store)
    lived.hide(source_id(1))
    build(lived.store)
    after = Snapshot.open(lived.store)
    assert not files(before) & files(after)
    assert [said[0] for said in found_in(after, "secret")] == [source_id(n) for n in (2, 3, 4)]


def test_a_filter_and_a_mask_leave_passages_out_and_change_no_score(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store", 5)
    build(lived.store)
    view = Snapshot.open(lived.store)
    every = found_in(view, "the red")
    some, hidden = {said[0] for said in every[::2]}, {every[0][0]}
    for filter in (
        Filter(sources=frozenset(some)),
        Filter(hidden=frozenset(hidden)),
        Filter(frozenset(some), frozenset(hidden)),
        Filter(sources=frozenset({"v-none"})),
    ):
        told, _ = view.told("lines", terms("the red"), 1000, some=True, filter=filter)
        kept = [
            s
            for s in every
            if (filter.sources is None or s[0] in filter.sources) and s[0] not in filter.hidden
        ]
        assert [(t.source, t.start, t.end, t.text) for t in told] == kept
    masked = view.masked(hidden)
    assert found_in(masked, "the red") == [said for said in every if said[0] not in hidden]


def test_what_is_alive_and_what_a_filter_keeps_of_passages_is_worked_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived = lived_in(tmp_path / "store", 5)
    build(lived.store)
    lived.hide(source_id(1))
    build(lived.store)
    view = Snapshot.open(lived.store)
    assert any(words.live < words.about.rows for words in view.words)
    done: Counter[str] = Counter()
    spread, matching = LiveWords._spread, filters._matching

    def spread_(words: LiveWords, of_runs: Any, runs: Any) -> Any:
        done["of every passage"] += len(runs) == words.about.rows
        return spread(words, of_runs, runs)

    def matching_(*asked: Any) -> Any:
        done["conditions"] += 1
        return matching(*asked)

    monkeypatch.setattr(LiveWords, "_spread", spread_)
    monkeypatch.setattr(filters, "_matching", matching_)

    def ask() -> list[str]:
        where = Where(must=(Condition("path", (("exists", True),)),))
        told, _ = view.told("lines", terms("red"), 1000, some=True, filter=Filter(where=where))
        view.told("names", terms("red"), 1000, some=True, filter=Filter(where=where))
        view.filtered("frame", Filter(where=where))
        return [each.text for each in told]

    first, at_first = ask(), done.copy()
    assert first and at_first["of every passage"] > 0 and at_first["conditions"] == 1
    assert ask() == first and done == at_first


def test_it_is_said_whether_there_are_more(tmp_path: Path) -> None:
    lived = spoken(tmp_path / "store")
    lived.add(5, Line(0.0, 1.0, "red"), Line(1.0, 2.0, "red sea"))
    build(lived.store)
    view = Snapshot.open(lived.store)
    for k, is_all in ((9, False), (10, True), (11, True)):
        told, said = view.told("lines", terms("red"), k)
        assert (len(told), said) == (min(k, 10), is_all)
    assert view.told("lines", terms("🎉"), 5) == ([], True)


def test_what_two_tracks_say_alike_is_told_once(tmp_path: Path) -> None:
    lived = spoken(tmp_path / "store")
    lived.add(
        1, Line(0.0, 1.0, "red"), Line(0.0002, 2.0, "red"), Line(0.0, 1.0, "Red"), Line(3.0, 4.0, "red")
    )
    build(lived.store)
    found = found_in(Snapshot.open(lived.store), "red")
    assert sorted((start, text) for _, start, _, text in found) == [(0.0, "Red"), (0.0, "red"), (3.0, "red")]


LANGUAGES = [
    "夜の東京を走る赤いトラック",
    "一辆红色的卡车在夜里",
    "รถบรรทุกสีแดงวิ่งตอนกลางคืน",
    "빨간 트럭이 밤에 달린다",
    "Красный грузовик едет ночью",
    "شاحنة حمراء في الليل",
    "Un camión rojo por la noche",
]


@pytest.mark.parametrize(
    ("query", "line"),
    [
        *(
            ("東京", 0),
            ("トラック", 0),
            ("赤", 0),
            ("ﾄﾗｯｸ", 0),
            ("東京の赤い", 0),
            ("红色", 1),
            ("卡车 夜", 1),
        ),
        *(("รถบรรทุก", 2), ("สีแดง", 2), ("กลางคืน", 2), ("트럭", 3), ("빨간 트럭", 3)),
        *(("КРАСНЫЙ", 4), ("грузовик ночью", 4), ("حمراء", 5), ("camion", 6), ('"camión rojo"', 6)),
    ],
)
def test_every_language_is_found_by_its_words(spoken_in: Spoken, query: str, line: int) -> None:
    found = found_in(Snapshot.open(spoken_in.store), query)
    assert found[0][3] == LANGUAGES[line]


@pytest.fixture(scope="module")
def spoken_in(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    lived = spoken(tmp_path_factory.mktemp("languages") / "store")
    lived.add(1, *(Line(float(n), n + 1.0, text) for n, text in enumerate(LANGUAGES)))
    build(lived.store)
    return lived


@pytest.mark.parametrize(
    "query",
    [
        *(
            '"',
            "*",
            '""',
            '"*"',
            "NEAR(",
            "NEAR(a b, 5)",
            "a AND",
            "OR",
            "NOT red",
            "-red",
            "red^",
            "{tokens}: red",
        ),
        *(
            "tokens:red",
            "(" * 200,
            "'; DROP TABLE words; --",
            "\0",
            "red\0truck",
            "🎉🎉",
            "\u202eder",
            "%",
            "_",
            "\\",
        ),
        *("a " * 1000, "x" * 2000, '"' + "a " * 990 + '"', "猫" * 2000, '"' + "猫" * 1990 + '"', "*" * 2000),
        *("\u0301" * 50, "ﷺ" * 100, "a*" * 900, " ".join(f"w{n}*" for n in range(400))),
    ],
)
def test_nothing_in_a_query_is_a_language(spoken_in: Spoken, query: str) -> None:
    view = Snapshot.open(spoken_in.store)
    for some in (True, False):
        assert isinstance(found_in(view, query, some=some), list)


def test_a_title_may_be_a_number_or_several() -> None:
    assert passages.titles(1984) == ["1984"]
    assert passages.titles(["Uno", 2, " ", {"no": "title"}, None]) == ["Uno", "2"]
    assert passages.titles(True) == passages.titles(None) == passages.titles({"a": 1}) == []


def test_names_are_titles_and_places(tmp_path: Path) -> None:
    lived = spoken(tmp_path / "store")
    lived.add(1)
    lived.rename(source_id(1), "Tosca \ud800")
    build(lived.store)
    view = Snapshot.open(lived.store)
    (told,), _ = view.told("names", terms("tosca"), 9)
    assert (told.origin, told.text) == ("title", "Tosca \ufffd")
    (told,), _ = view.told("names", terms("films"), 9)
    assert (told.origin, told.text) == ("path", f"films/{lived.named[source_id(1)][0]}")


def test_equal_passages_come_by_source_and_time(tmp_path: Path) -> None:
    lived = spoken(tmp_path / "store")
    lived.add(3, Line(5.0, 6.0, "sea"), Line(1.0, 2.0, "sea"))
    build(lived.store)
    wanted: list[Said] = [(source_id(n), t, t + 1, "sea") for n in (1, 2, 3) for t in (1.0, 5.0)]
    for k in range(1, 7):
        assert found_in(Snapshot.open(lived.store), "sea", k) == wanted[:k]


def test_names_that_have_but_common_words_are_found_only_by_words_alone(tmp_path: Path) -> None:
    lived = spoken(tmp_path / "store")
    lived.add(25, Line(0.0, 1.0, "the sea"))
    lived.rename(source_id(3), "Aida")
    build(lived.store)
    view = Snapshot.open(lived.store)
    for query in ("films", "FILMS mp4", '"films"', "film*"):
        assert len(found_in(view, query, kind="names")) == 25, query
        assert view.told("names", terms(query), 99) == ([], True), query
    assert len(found_in(view, "films aida", some=False, kind="names")) == 1
    assert len(found_in(view, "the", some=False)) == 25
