"""A search under a filter is a search of the rows that the filter keeps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import UsageError
from core.query import Condition, Filter, Test, Where
from core.store import Store
from index.build import build_snapshot
from index.filters import RECENT, Narrowed, kept, narrowed
from index.part import ROW, Part
from index.snapshot import Snapshot
from tests.index.tagged import DAYS, KINDS, Shelves
from tests.index.test_snapshot import told
from tests.index.worlds import DIM

V1 = Path(__file__).parents[1] / "data" / "store-v1"


class Shelf:
    """A store with its truth, and the snapshot of it. No dataclass: hypothesis would print it whole."""

    def __init__(self, shelves: Shelves, snapshot: Snapshot) -> None:
        self.shelves, self.snapshot = shelves, snapshot

    @classmethod
    def built(cls, root: Path, seed: int = 0) -> Shelf:
        shelves = Shelves.filled(root, seed=seed)
        build_snapshot(shelves.store, part_rows=40)
        snapshot = Snapshot.open(shelves.store)
        assert len(snapshot.parts) > 4
        return cls(shelves, snapshot)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """60 videos in some parts, with columns of every kind."""
    return Shelf.built(tmp_path_factory.mktemp("shelf") / "store")


def is_(column: str, **tests: Any) -> Condition:
    """`is_("seconds", gte=3)`; a test that Python has a word for ends with "_"."""
    named = [(cast(Test, test.rstrip("_")), value) for test, value in tests.items()]
    return Condition(column, tuple(named))


def all_of(*conditions: Condition | Where) -> Where:
    return Where(must=conditions)


def searched(snapshot: Snapshot, where: Where, k: int = 1000, seed: int = 0) -> tuple[Any, Any]:
    query = (np.random.default_rng(seed).integers(-3, 4, DIM) / 8).astype(np.float32)
    return query, told(snapshot.search("frame", query[None], k, filter=Filter(where=where))[0])


def assert_true(shelf: Shelf, where: Where, k: int = 1000) -> int:
    shelves, snapshot = shelf.shelves, shelf.snapshot
    query, found = searched(snapshot, where, k)
    assert found == shelves.best(where, query, k)
    return len(found)


def values(column: str, shelves: Shelves) -> st.SearchStrategy[Any]:
    kind, seen = KINDS[column], shelves.seen_in(column)
    others: dict[str, st.SearchStrategy[Any]] = {
        "text": st.text("aäx/1\ufffd", max_size=3),
        "digits": st.sampled_from(["7", 7, 7.0, 10.5, -4]),
        "number": st.one_of(st.integers(-5, 2030), st.floats(allow_nan=False, allow_infinity=False)),
        "date": st.sampled_from(["2026-03-01T12:00:00+01:00", "2000-01-01", "20260301T235959Z"]),
        "boolean": st.booleans(),
    }
    return st.one_of(st.sampled_from(seen), others[kind])


@st.composite
def conditions(draw: st.DrawFn, shelves: Shelves) -> Condition:
    column = draw(st.sampled_from(sorted(KINDS)))
    value = values(column, shelves)
    if KINDS[column] == "digits":  # all of one object are numbers, or all are texts
        is_text = draw(st.booleans())
        value = value.filter(lambda each: isinstance(each, str) == is_text)
    possible: dict[str, st.SearchStrategy[Any]] = {
        "eq": value,
        "in": st.lists(value, max_size=3).map(tuple),
        "gte": value,
        "lte": value,
        "exists": st.booleans(),
    }
    if KINDS[column] == "boolean":
        del possible["gte"], possible["lte"]
    if KINDS[column] == "text":
        possible["prefix"] = value.map(lambda v: v[: draw(st.integers(0, 9))])
    picked = draw(st.lists(st.sampled_from(sorted(possible)), min_size=1, max_size=2, unique=True))
    return is_(column, **{test: draw(possible[test]) for test in picked})


def trees(shelves: Shelves) -> st.SearchStrategy[Where]:
    def among(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Where]:
        several = st.lists(inner, max_size=2).map(tuple)
        return st.builds(Where, must=several, should=several, must_not=several)

    return among(st.recursive(conditions(shelves), among, max_leaves=5))


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_asked_for_the_answer_is_brute_force_on_the_rows_kept(
    shelf: Shelf, data: st.DataObject
) -> None:
    where = data.draw(trees(shelf.shelves))
    assert_true(shelf, where, k=data.draw(st.sampled_from([1, 5, 1000])))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_so_it_is_whatever_the_store_holds(tmp_path: Path, seed: int) -> None:
    shelf = Shelf.built(tmp_path / "store", seed)

    @settings(max_examples=200, suppress_health_check=list(HealthCheck))
    @given(where=trees(shelf.shelves))
    def holds(where: Where) -> None:
        assert_true(shelf, where)

    holds()


@pytest.mark.parametrize("column", KINDS)
def test_every_column_can_be_tested_in_every_way_that_its_type_has(shelf: Shelf, column: str) -> None:
    kind, seen = KINDS[column], shelf.shelves.seen_in(column)
    some = {"eq": seen[0], "in_": tuple(seen[1:3])}
    order = {"gte": seen[1], "lte": seen[-1]} if kind != "boolean" else {}
    tests = {
        **some,
        **order,
        **({"prefix": seen[0][:2]} if kind == "text" and isinstance(seen[0], str) else {}),
    }
    for test, value in tests.items():
        count = assert_true(shelf, all_of(is_(column, **{test: value})))
        assert count or test == "in_", (column, test, value)
    there, absent = (assert_true(shelf, all_of(is_(column, exists=each))) for each in (True, False))
    assert there + absent == shelf.snapshot.rows["frame"]


def test_from_everything_kept_to_one_video_to_nothing(shelf: Shelf) -> None:
    shelves, snapshot = shelf.shelves, shelf.snapshot
    assert assert_true(shelf, Where()) == snapshot.rows["frame"]
    film = shelves.films[17]
    assert assert_true(shelf, all_of(is_("path", eq=film.places[0].shown))) == len(film.rows["frame"][0])
    nothing = all_of(is_("path", eq="films/none.mp4"))
    assert assert_true(shelf, nothing) == 0
    assert not any(part.live for part in snapshot.filtered("frame", Filter(where=nothing)))


def test_any_place_of_a_video_will_do_and_none_may_be_where_none_must_be(shelf: Shelf) -> None:
    shelves, snapshot = shelf.shelves, shelf.snapshot
    film = next(film for film in shelves.films if len({place.root for place in film.places}) > 1)
    for place in film.places:
        _, found = searched(snapshot, all_of(is_("path", eq=place.shown)))
        assert {source for _, source, *_ in found} == {film.id}
        _, others = searched(snapshot, Where(must_not=(is_("root", eq=place.root),)))
        assert film.id not in {source for _, source, *_ in others}


def test_parts_without_a_row_that_is_kept_are_not_searched(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, searched_in = Part.best, set[str]()

    def best(part: Part, *args: Any) -> Any:
        searched_in.add(part.about.name)
        return real(part, *args)

    monkeypatch.setattr(Part, "best", best)
    assert_true(shelf, all_of(is_("path", eq=shelf.shelves.films[0].places[0].shown)))
    assert len(searched_in) == 1
    assert_true(shelf, Where())
    assert len(searched_in) == len(shelf.snapshot.parts)


def test_seconds_of_a_video_are_conditions_on_its_rows(shelf: Shelf) -> None:
    _, found = searched(shelf.snapshot, all_of(is_("start", gte=2, lte=4), is_("end", lte=4.5)))
    assert {(start, end) for *_, start, end in found} == {(2.0, 3.0), (3.0, 4.0)}


def test_hidden_and_chosen_sources_narrow_a_filter_further(shelf: Shelf) -> None:
    shelves, snapshot = shelf.shelves, shelf.snapshot
    where, query = all_of(is_("codec", exists=True)), np.ones((1, DIM), np.float32)
    ids = [film.id for film in shelves.films if film.facts.codec]
    filter = Filter(frozenset(ids[:6]), frozenset(ids[3:]), where)
    found = told(snapshot.search("frame", query, 1000, filter=filter)[0])
    assert {source for _, source, *_ in found} == set(ids[:3])


def test_what_is_masked_stays_out_although_the_filter_was_asked_before(shelf: Shelf) -> None:
    snapshot = shelf.snapshot
    where = all_of(is_("metadata.year", gte=1998))
    _, before = searched(snapshot, where)
    victim = before[0][1]
    _, after = searched(snapshot.masked({victim}), where)
    assert after == [row for row in before if row[1] != victim] != before
    assert searched(snapshot, where)[1] == before


def test_a_filter_that_is_asked_again_is_not_worked_out_again(shelf: Shelf) -> None:
    where = all_of(is_("metadata.stars", gte=2))
    first = shelf.snapshot.filtered("frame", Filter(where=where))
    again = shelf.snapshot.filtered("frame", Filter(where=all_of(is_("metadata.stars", gte=2))))
    assert [id(part) for part in first] == [id(part) for part in again]


def test_true_and_one_are_not_one_filter(shelf: Shelf) -> None:
    assert_true(shelf, all_of(is_("metadata.seen", eq=True)))
    with pytest.raises(UsageError, match=r"must be true or false \(got 1\)"):
        searched(shelf.snapshot, all_of(is_("metadata.seen", eq=1)))


def test_only_the_last_few_filters_are_kept(shelf: Shelf) -> None:
    recent = kept(3)
    held = [
        narrowed(all_of(is_("codec", eq=key)), shelf.snapshot.columns, recent)
        for key in ("a", "b", "a", "c", "d", "a", "b")
    ]
    assert [held.index(each) for each in held] == [0, 1, 0, 3, 4, 0, 6]
    assert RECENT >= 8


def test_texts_are_read_as_numbers_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = Snapshot.open(shelf.shelves.store)
    casts: list[Any] = []
    real = pc.cast

    def counted(values: pa.Array, type: pa.DataType) -> Any:
        casts.append(type)
        return real(values, type)

    monkeypatch.setattr(pc, "cast", counted)
    for least in range(-4, 8):
        snapshot.filtered("frame", Filter(where=all_of(is_("metadata.zip", gte=least))))
    assert casts == [pa.float64()]


def test_eight_threads_with_filters_of_their_own_share_a_snapshot(shelf: Shelf) -> None:
    shelves = shelf.shelves
    snapshot = Snapshot.open(shelves.store)  # of which no column was looked at yet
    asked = [
        all_of(is_("codec", eq=codec), is_("start", gte=start))
        for codec in ("h264", "hevc", "av1")
        for start in range(4)
    ]
    asked += [Where(must_not=(is_("metadata.tags", eq=tag),)) for tag in ("opera", "live")]
    asked += [all_of(is_("created", gte=day)) for day in DAYS]

    def search(thread: int) -> int:
        order = np.random.default_rng(thread).permutation(len(asked) * 3) % len(asked)
        for number in order.tolist():
            query, found = searched(snapshot, asked[number], 10, seed=thread)
            assert found == shelves.best(asked[number], query, 10)
        return thread

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(search, range(8))) == list(range(8))


WRONG: list[tuple[Condition, str]] = [
    (is_("secnds", gte=3), r"secnds is no column here; there are root, path, .*; did you mean 'seconds'\?"),
    (is_("tags", eq="opera"), r"did you mean 'metadata\.tags'\?"),
    (is_("metadata.", eq="x"), r"metadata\. is no column here; there are .*start, end"),
    (is_("", exists=False), r" is no column here"),
    (is_("seconds", gte="3"), r"seconds\.gte: seconds is a number, so this must be a number \(got '3'\)\."),
    (is_("seconds", eq=True), r"seconds\.eq: .* must be a number \(got True\)\."),
    (is_("start", in_=(1, "x")), r"start\.in\[1\]: start is a number, .* \(got 'x'\)\."),
    (is_("width", prefix="19"), r"width\.prefix: width is a number, and a number takes eq, in, gte, lte, ex"),
    (is_("path", gte=3), r"path\.gte: path is a text, so this must be a string \(got 3\)\."),
    (is_("metadata.tags", in_=("a", False)), r"metadata\.tags\.in\[1\]: .* a string \(got False\)\."),
    (is_("metadata.zip", eq=7, prefix="0"), r"metadata\.zip\.prefix: metadata\.zip is a number"),
    (
        is_("metadata.seen", gte=1),
        r"seen\.gte: .* is a boolean, and a boolean takes eq, in, exists\.",
    ),
    (
        is_("created", gte="yesterday"),
        r"created\.gte: created is a date, so this must be a date as 2026",
    ),
    (is_("created", lte="2026-02-30"), r"\(got '2026-02-30'\)\."),
    (is_("created", eq=2026), r"\(got 2026\)\."),
    (is_("created", prefix="2026"), r"created is a date, and a date takes eq, in, gte, lte, exists\."),
]


@pytest.mark.parametrize(("condition", "says"), WRONG, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("group", ["must", "should", "must_not"])
def test_what_does_not_fit_the_column_is_refused_wherever_it_stands(
    shelf: Shelf, condition: Condition, says: str, group: str
) -> None:
    beside = is_("path", eq="films/none.mp4")
    where = all_of(beside, Where(**{group: (condition,)}))
    for kind in ("frame", "text"):  # of which there are no rows
        with pytest.raises(UsageError, match=says) as raised:
            shelf.snapshot.search(kind, np.ones((1, DIM), np.float32), 3, filter=Filter(where=where))
        assert raised.value.field is not None and raised.value.field.startswith(condition.column)


def test_other_rows_of_the_sources_are_filtered_by_the_same_conditions(shelf: Shelf) -> None:
    class Titles:
        """A row a video, which begins with it."""

        part = Part(cast(Any, None), None, np.zeros(60, ROW), Path())

        def spread(self, of_sources: NDArray[np.bool_]) -> NDArray[np.bool_]:
            return of_sources

    columns, codec = shelf.snapshot.columns, is_("codec", eq="av1")
    (both,) = Narrowed(all_of(codec, is_("start", lte=0)), columns).masks([Titles()])
    assert both.tolist() == [film.facts.codec == "av1" for film in shelf.shelves.films]
    where = Where(should=(is_("start", gte=1),), must_not=(codec,))
    (late,) = Narrowed(where, columns).masks([Titles()])
    assert not late.any()


def test_a_snapshot_of_before_is_filtered_as_well() -> None:
    snapshot = Snapshot.open(Store.open(V1))
    assert snapshot.columns.batches is None
    assert [name for name in snapshot.columns.names if "." in name] == ["metadata.tag"]
    probes = snapshot.store.probes()
    assert probes is not None
    where = all_of(is_("metadata.tag", prefix="sha"), is_("name", prefix="texts.jsonl#"))
    (hits,) = snapshot.search("text", probes[:1], 500, filter=Filter(where=where))
    (tagged,) = (id for id in snapshot.sources.ids() if (s := snapshot.source(id)) and s.columns)
    assert [row.source for row in hits.segments] == [tagged]
