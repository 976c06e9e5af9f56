"""Ranks of what was seen and of what was told, added up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast
from zlib import crc32

import numpy as np
import pytest

from index.fusion import K, fused, fused_texts
from index.moments import Moment
from index.words import Told


def seen(source: str, start: float, end: float, score: float = 0.5, text: str = "") -> Moment:
    return Moment(source, "text" if text else "clip", start, end, score, start, end, text)


def told(source: str, start: float, end: float, origin: str = "subtitles", text: str = "red") -> Told:
    return Told(source, start, end, 1.0, origin, crc32(text.encode()), cast(Any, None), 0)


def rows(moments: list[Moment]) -> list[tuple[str, float, float, tuple[str, ...], bool]]:
    return [(m.source, m.start, m.end, m.matched, m.is_seen) for m in moments]


def test_without_words_the_order_is_that_of_what_was_seen() -> None:
    moments = [seen("b", 0, 4), seen("a", 0, 4), seen("b", 8, 12)]
    assert fused(moments, [], []) == moments


def test_a_line_and_the_moment_that_it_overlaps_are_one() -> None:
    moments = [seen("b", 0, 4), seen("a", 10, 20)]
    found = fused(moments, [told("a", 8, 12)], [])
    assert rows(found) == [("a", 8, 20, ("subtitles",), True), ("b", 0, 4, (), True)]
    assert (found[0].score, found[0].id, found[0].told) == (0.5, "a/clip/10000", told("a", 8, 12))


@pytest.mark.parametrize(
    ("start", "end", "is_within"),
    [
        (20, 22, False),
        (8, 10, False),
        (9, 10.5, True),
        (19.5, 30, True),
        (12, 12, True),
        (10, 10, True),
        (20, 20, False),
    ],
)
def test_lines_that_only_touch_a_moment_are_moments_themselves(
    start: float, end: float, is_within: bool
) -> None:
    found = fused([seen("a", 10, 20)], [told("a", start, end)], [])
    assert len(found) == (1 if is_within else 2)


def test_what_was_told_alone_has_no_score_and_stands_before_what_was_seen_as_well_ranked() -> None:
    found = fused([seen("b", 0, 4)], [told("a", 8, 12)], [])
    assert rows(found) == [("a", 8, 12, ("subtitles",), False), ("b", 0, 4, (), True)]
    assert found[0].score != found[0].score and found[0].id == "a/text/8000"


def test_the_best_line_goes_to_a_moment_and_the_others_say_their_own_seconds() -> None:
    found = fused([seen("a", 0, 100)], [told("a", 50, 52), told("a", 10, 12), told("a", 70, 72)], [])
    assert rows(found) == [
        ("a", 0, 100, ("subtitles",), True),
        ("a", 10, 12, ("subtitles",), False),
        ("a", 70, 72, ("subtitles",), False),
    ]
    assert found[0].told == told("a", 50, 52)


def joined_by_the_rule(moments: Sequence[Moment], lines: Sequence[Told]) -> set[tuple[str, float, float]]:
    """docs/http-api.md, word by word: each line is compared with each moment, the best ranked first."""
    found, free = list(moments), list(range(len(moments)))
    for line in lines:
        for number in free:
            moment = moments[number]
            behind = max(line.end, line.start + 1e-6)
            if moment.source == line.source and moment.start < behind and line.start < moment.end:
                start, end = min(moment.start, line.start), max(moment.end, line.end)
                found[number] = replace(moment, start=start, end=end)
                free.remove(number)
                break
        else:
            found.append(seen(line.source, line.start, line.end))
    return {(moment.source, moment.start, moment.end) for moment in found}


@pytest.mark.parametrize("seed", range(20))
def test_each_line_goes_to_the_best_ranked_free_moment_that_it_overlaps(seed: int) -> None:
    chance = np.random.default_rng(seed)

    def times(most: int) -> tuple[str, float, float]:
        start = float(chance.integers(0, 60)) / 2
        return str(chance.choice(["a", "b"])), start, start + float(chance.integers(0, most)) / 2

    moments = [seen(*times(int(chance.choice([4, 60])))) for _ in range(60)]
    lines = [told(*times(int(chance.choice([4, 60])))) for _ in range(60)]
    found = fused(moments, lines, [])
    assert {(m.source, m.start, m.end) for m in found} == joined_by_the_rule(moments, lines)


def calls(moments: Sequence[Moment], lines: Sequence[Told]) -> int:
    """How many functions fusing calls and resumes."""
    count = 0

    def counted(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        fused(moments, lines, [])
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("shift", [1.0, 1e6])
def test_work_grows_as_moments_and_lines_of_one_video_do(shift: float) -> None:
    few, many = (
        calls(
            [seen("a", 4.0 * n, 4.0 * n + 4) for n in range(count)],
            [told("a", 4.0 * n + shift, 4.0 * n + shift + 1) for n in range(count)],
        )
        for count in (100, 800)
    )
    assert many < 9 * few


def test_a_name_goes_to_the_best_moment_of_its_video_or_to_all_of_it() -> None:
    moments = [seen("b", 0, 4), seen("a", 10, 20), seen("a", 30, 40)]
    names = [told("a", 0, 0, "path"), told("a", 0, 0, "title"), told("c", 0, 0, "title")]
    assert rows(fused(moments, [], names)) == [
        ("a", 10, 20, ("title", "path"), True),
        ("b", 0, 4, (), True),
        ("c", 0, 0, ("title",), False),
        ("a", 30, 40, (), True),
    ]
    both = fused(moments, [told("a", 31, 32)], names)
    assert rows(both)[0] == ("a", 30, 40, ("subtitles", "title", "path"), True)
    assert both[0].told == told("a", 31, 32)


def test_the_order_is_that_of_the_sums_of_reciprocal_ranks() -> None:
    moments = [seen(f"v{n}", 0, 4) for n in range(200)]
    lines = [told(f"v{n}", 1, 2) for n in range(199, -1, -3)]
    names = [told(f"v{n}", 0, 0, "path") for n in range(0, 200, 7)]
    sums = {f"v{n}": 1 / (K + n + 1) for n in range(200)}
    for ranking in (lines, names):
        for rank, each in enumerate(ranking, 1):
            sums[each.source] += 1 / (K + rank)
    is_told = {each.source for each in (*lines, *names)}
    wanted = sorted(sums, key=lambda source: (-sums[source], source not in is_told, source))
    assert [m.source for m in fused(moments, lines, names)] == wanted


def test_a_text_that_was_found_both_ways_is_one() -> None:
    moments = [seen("t", 0, 0, text="a red thing"), seen("v", 1, 2, text="red")]
    texts = [told("t", 0, 0, "text", "a red thing")]
    lines = [told("v", 1, 2, text="red"), told("v", 1, 2, text="Red"), told("w", 1, 2)]
    assert rows(fused_texts(moments, [lines, texts])) == [
        ("t", 0, 0, ("text",), True),
        ("v", 1, 2, ("subtitles",), True),
        ("v", 1, 2, ("subtitles",), False),
        ("w", 1, 2, ("subtitles",), False),
    ]
