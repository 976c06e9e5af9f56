"""Copies are found with their times, whatever was done to them, and what is only alike is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.copies import Found, Pair, find, groups
from index.progress import Progress
from index.recurring import recurring
from index.snapshot import Snapshot
from tests.index.filmed import Reel, Studio, id_of, unit


def found_in(snapshot: Snapshot, **asked: float) -> Found:
    return find(
        snapshot,
        "frame",
        min_seconds=asked.get("min_seconds", 10.0),
        least=asked.get("least"),
        progress=Progress(),
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """200 videos that have nothing to do with each other, half of them still, and some copies."""
    studio = Studio(tmp_path_factory.mktemp("copies") / "store")
    film, long, talk = studio.film(120), studio.film(200), studio.film(100, shot=300, drift=0.1)
    studio.put("film", film, width=1920, height=1080)
    studio.put("film-small", film, noise=0.15, width=320, height=180)
    studio.put("long", long)
    studio.put("long-cut", long[504:904])
    studio.put("long-pal", long, speed=25 / 24)
    studio.put("talk", talk)
    studio.put("talk-again", talk, noise=0.08)
    intro = studio.film(20)
    for number in range(6):
        before, after = studio.film(10 * number + 3.7), studio.film(40)
        studio.put(f"episode-{number}", np.concatenate([before, intro, after]), noise=0.08)
    short = studio.film(60)
    studio.put("short", short)
    studio.put("short-with-advert", np.concatenate([short[:250], studio.film(15), short[250:]]))
    black = studio.still(30)
    for number in range(50):
        studio.put(f"shots-{number}", studio.film(100), noise=0.03)
        studio.put(f"still-{number}", studio.still(100), noise=0.03)
        studio.put(f"slow-{number}", studio.film(100, shot=30, drift=0.05), noise=0.03)
        studio.put(f"black-then-still-{number}", np.concatenate([black, studio.still(70)]), noise=0.03)
    return studio.built()


@pytest.fixture(scope="module")
def found(world: Snapshot) -> Found:
    return found_in(world)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A copy of good and one of bad quality, an intro that two share, and what is none of it."""
    studio = Studio(tmp_path_factory.mktemp("few") / "store", seed=3)
    film, intro = studio.film(60), studio.film(20)
    studio.put("film", film)
    studio.put("film-good", film, noise=0.03)
    studio.put("film-bad", film, noise=0.2)
    for number in range(2):
        studio.put(f"episode-{number}", np.concatenate([intro, studio.film(40)]))
        studio.put(f"other-{number}", studio.film(60))
    return studio.built()


def pair(found: Found, one: str, other: str) -> Pair:
    (each,) = [each for each in found.pairs if {each.first, each.second} == {id_of(one), id_of(other)}]
    return each


def times(found: Found, one: str, other: str) -> list[tuple[float, float, float, float]]:
    """What they share, `one` first."""
    each = pair(found, one, other)
    turned = each.first != id_of(one)
    sides = [(r.start, r.end, r.other_start, r.other_end) for r in each.ranges]
    return [(c, d, a, b) if turned else (a, b, c, d) for a, b, c, d in sides]


def test_exactly_the_planted_pairs_are_found_among_unrelated_and_still_videos(found: Found) -> None:
    episodes = [f"episode-{number}" for number in range(6)]
    planted = {
        *(("film", "film-small"), ("long", "long-cut"), ("long", "long-pal"), ("long-cut", "long-pal")),
        *(("talk", "talk-again"), ("short", "short-with-advert")),
        *((one, other) for one in episodes for other in episodes if one < other),
    }
    assert {frozenset((each.first, each.second)) for each in found.pairs} == {
        frozenset((id_of(one), id_of(other))) for one, other in planted
    }


def test_a_copy_of_worse_quality_is_found_whole(found: Found) -> None:
    each = pair(found, "film", "film-small")
    assert (each.sort, len(each.ranges)) == ("copy", 1)
    assert min(each.first_share, each.second_share) > 0.98
    assert times(found, "film", "film-small")[0] == pytest.approx((0, 120, 0, 120), abs=0.2)
    assert 0.95 < each.similarity < 1


def test_one_long_shot_is_told_from_others_by_how_it_moves(found: Found) -> None:
    assert pair(found, "talk", "talk-again").sort == "copy"


def test_a_clip_that_was_cut_out_between_two_rows_is_found_with_its_offset(found: Found) -> None:
    each = pair(found, "long", "long-cut")
    assert each.sort == "excerpt" and len(each.ranges) == 1
    assert times(found, "long", "long-cut")[0] == pytest.approx((50.4, 90.4, 0, 40), abs=1.01)
    assert each.ranges[0].speed == 1


def test_a_film_that_runs_as_fast_as_pal_has_it_is_found_whole_with_its_speed(found: Found) -> None:
    each = pair(found, "long", "long-pal")
    assert each.sort == "copy" and len(each.ranges) == 1
    ((_, end, _, other_end),) = times(found, "long", "long-pal")
    assert end / other_end == pytest.approx(25 / 24, abs=0.003)


def test_an_advert_that_was_put_in_parts_a_copy_in_two_ranges(found: Found) -> None:
    first, second = times(found, "short", "short-with-advert")
    assert first == pytest.approx((0, 25, 0, 25), abs=1.01)
    assert second == pytest.approx((25, 60, 40, 75), abs=1.01)


def test_an_intro_is_found_in_every_episode_and_told_once(found: Found) -> None:
    assert times(found, "episode-1", "episode-4")[0] == pytest.approx((13.7, 33.7, 43.7, 63.7), abs=1.01)
    intro = recurring(found.pairs)[0]
    assert (intro.videos, len(intro.spans)) == (6, 6)
    assert intro.seconds == pytest.approx(20, abs=1.01)
    starts = {span.source: span.start for span in intro.spans}
    wanted = {id_of(f"episode-{number}"): pytest.approx(10 * number + 3.7, abs=1.01) for number in range(6)}
    assert starts == wanted


def test_copies_come_first_and_then_what_shares_most(found: Found) -> None:
    assert [each.sort for each in found.pairs[:3]] == ["copy"] * 3
    rest = [each.seconds for each in found.pairs if each.sort == "range"]
    assert rest == sorted(rest, reverse=True)


def test_the_copy_to_keep_has_the_most_picture_elements(world: Snapshot, found: Found) -> None:
    made = [[member.id for member in group.members] for group in groups(world, found.pairs)]
    assert [id_of("film"), id_of("film-small")] in made
    assert sorted(map(len, made)) == [2, 2, 2]


def test_a_longer_least_length_leaves_shorter_ranges_out(few: Snapshot) -> None:
    assert [each.sort for each in found_in(few).pairs] == ["copy", "copy", "copy", "range"]
    assert [each.sort for each in found_in(few, min_seconds=30).pairs] == ["copy"] * 3


def test_a_similarity_that_is_given_counts_instead_of_the_stores_own(few: Snapshot) -> None:
    assert 0.8 < found_in(few).least < 0.98
    strict = found_in(few, least=0.99)
    assert strict.least == 0.99
    assert [{each.first, each.second} for each in strict.pairs if each.sort == "copy"] == [
        {id_of("film"), id_of("film-good")}
    ]
    assert all(each.similarity >= 0.99 for each in strict.pairs)


def test_what_was_removed_is_not_compared(few: Snapshot) -> None:
    less = found_in(few.masked([id_of("film-bad")]))
    assert [each.sort for each in less.pairs] == ["copy", "range"]


def test_pictures_that_only_stand_still_are_never_copies_however_alike(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "store", seed=1)
    look = studio.still(100)
    for number in range(5):
        studio.put(f"camera-{number}", look, noise=0.02)
    for number in range(4):
        studio.put(f"film-{number}", studio.film(60))
    assert found_in(studio.built()).pairs == ()


def test_a_lecture_is_known_by_the_order_of_its_slides_and_not_by_its_template(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "store", seed=2)
    looks = [studio.still(1) for _ in range(12)]
    studio.put("lecture", studio.slides(9, looks))
    studio.put("lecture-again", studio.slides(9, looks), noise=0.1)
    for number in range(6):
        order = studio.chance.permutation(12)
        studio.put(f"other-{number}", studio.slides(7, [looks[each] for each in order]))
    found = found_in(studio.built(), min_seconds=30)
    assert [each.sort for each in found.pairs] == ["copy"]
    assert pair(found, "lecture", "lecture-again").ranges[0].seconds == pytest.approx(108, abs=1)


def cut_from(studio: Studio, looks: list[Reel]) -> Reel:
    """Shots of 2 to 9 s, each of one of these pictures by chance."""
    lengths = studio.chance.integers(2, 10, 60).tolist()
    return np.concatenate([studio.slides(n, [looks[studio.chance.integers(len(looks))]]) for n in lengths])


@pytest.mark.parametrize(("count", "videos"), [(2, 16), (3, 10), (5, 10)])
def test_videos_that_alternate_between_the_same_few_pictures_are_no_copies(
    tmp_path: Path, count: int, videos: int
) -> None:
    studio = Studio(tmp_path / "store", seed=5)
    looks = [studio.still(1) for _ in range(count)]
    for number in range(videos):
        studio.put(f"news-{number}", cut_from(studio, looks), noise=0.1)
    for number in range(6):
        studio.put(f"film-{number}", studio.film(200))
    assert found_in(studio.built()).pairs == ()


def test_a_copy_is_found_among_videos_of_the_same_few_pictures(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "store", seed=5)
    looks = [studio.still(1) for _ in range(5)]
    show = cut_from(studio, looks)
    studio.put("show", show, noise=0.1)
    studio.put("show-again", show, noise=0.1)
    for number in range(5):
        studio.put(f"news-{number}", cut_from(studio, looks), noise=0.1)
        studio.put(f"film-{number}", studio.film(200))
    found = found_in(studio.built())
    assert [(each.sort, len(each.ranges)) for each in found.pairs] == [("copy", 1)]
    assert pair(found, "show", "show-again").first_share > 0.98


def test_cameras_that_swing_between_the_same_two_looks_are_no_copies(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "store", seed=5)
    one, other = studio.still(1)[:1], studio.still(1)[:1]
    for number in range(8):
        part = 0.5 + 0.5 * np.sin(2 * np.pi * (np.arange(2_000)[:, None] / 500 + studio.chance.random()))
        studio.put(f"camera-{number}", unit(one * part + other * (1 - part)))
        studio.put(f"film-{number}", studio.film(200))
    assert found_in(studio.built()).pairs == ()


@pytest.mark.parametrize("count", [0, 1])
def test_where_there_is_nothing_to_compare_nothing_is_found(tmp_path: Path, count: int) -> None:
    studio = Studio(tmp_path / "store")
    for number in range(count):
        studio.put(f"film-{number}", studio.film(60))
    studio.kind = "frame" if count else "clip"
    studio.put("clips", studio.film(60)) if not count else None
    snapshot = studio.built()
    assert found_in(snapshot).pairs == ()


def test_two_videos_alone_are_enough(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "store")
    film = studio.film(60)
    studio.put("one", film)
    studio.put("other", film, noise=0.1)
    assert pair(found_in(studio.built()), "one", "other").sort == "copy"
    other = Studio(tmp_path / "unrelated")
    other.put("one", other.film(60))
    other.put("other", other.film(60))
    assert found_in(other.built()).pairs == ()
