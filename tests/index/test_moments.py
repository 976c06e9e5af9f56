"""Hits that touch or nearly touch are told as one moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.query import Hits
from core.types import Segment
from index.moments import merge


def hits(*rows: tuple[str, float, float, float]) -> Hits:
    ordered = sorted(rows, key=lambda row: -row[3])
    segments = [Segment(source, start, end) for source, start, end, _ in ordered]
    return Hits(segments, np.array([row[3] for row in ordered], np.float32))


def test_hits_that_touch_become_one_moment_named_after_the_best() -> None:
    found = merge(hits(("v-a", 0, 4, 0.5), ("v-a", 4, 8, 0.75), ("v-b", 1, 2, 0.625)), "clip")
    assert [(m.id, m.start, m.end, m.score, m.rows) for m in found] == [
        ("v-a/clip/4000", 0, 8, 0.75, 2),
        ("v-b/clip/1000", 1, 2, 0.625, 1),
    ]
    assert found[0].best_t == 6


def test_hits_within_the_gap_are_one_and_those_beyond_are_not() -> None:
    given_hits = hits(("v-a", 0, 1, 0.5), ("v-a", 3, 4, 0.25))
    assert [(m.start, m.end) for m in merge(given_hits, "frame", 2.0)] == [(0, 4)]
    assert [(m.start, m.end) for m in merge(given_hits, "frame", 1.9)] == [(0, 1), (3, 4)]


def test_no_gap_means_no_merging() -> None:
    given_hits = hits(("v-a", 0, 4, 0.5), ("v-a", 2, 6, 0.75))
    assert [m.id for m in merge(given_hits, "clip", None)] == ["v-a/clip/2000", "v-a/clip/0"]


def test_texts_are_never_one_but_for_the_same_line_of_two_tracks() -> None:
    said = [("v-a", 0, 2, "one"), ("v-b", 0, 2, "one"), ("v-a", 0, 2, "uno"), ("v-a", 1, 3, "one")]
    segments = [Segment(*row) for row in (*said, said[0])]
    scores = np.array([0.75, 0.625, 0.5, 0.375, 0.25], np.float32)
    found = merge(Hits(segments, scores), "text", 10.0)
    assert [(m.source, m.start, m.end, m.text) for m in found] == said
    assert [m.score for m in found] == scores[:4].tolist()


def test_a_frame_is_shown_at_its_own_time() -> None:
    assert merge(hits(("v-a", 1.5, 2.5, 1.0)), "frame")[0].best_t == 1.5


def test_a_short_hit_within_a_long_one_does_not_shorten_it() -> None:
    found = merge(hits(("v-a", 0, 10, 0.5), ("v-a", 2, 3, 0.75), ("v-a", 10, 12, 0.25)), "clip")
    assert [(m.start, m.end, m.id) for m in found] == [(0, 12, "v-a/clip/2000")]


def test_no_hits_are_no_moments() -> None:
    assert merge(Hits.none(), "frame") == []


rows = st.lists(
    st.tuples(st.sampled_from(["v-a", "v-b"]), st.integers(0, 30), st.integers(1, 5), st.integers(-4, 4)),
    max_size=20,
)


@given(rows, st.integers(0, 3))
def test_every_hit_is_in_one_moment_and_moments_of_a_source_lie_apart(
    held: list[tuple[str, int, int, int]], gap_s: int
) -> None:
    asked = hits(*((source, start, start + length, score) for source, start, length, score in held))
    found = merge(asked, "clip", gap_s)
    assert sum(m.rows for m in found) == len(held)
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    for segment, score in zip(asked.segments, asked.scores.tolist(), strict=True):
        around = [m for m in found if m.source == segment.source and m.start <= segment.start < m.end]
        assert len(around) == 1
        assert around[0].end >= segment.end
        assert around[0].score >= score
    for one in found:
        for other in found:
            if one is not other and one.source == other.source:
                assert one.start - other.end > gap_s or other.start - one.end > gap_s
    assert pytest.approx(max((m.score for m in found), default=0)) == max(asked.scores.tolist(), default=0)
