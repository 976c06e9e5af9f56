"""Ranks by hand and by brute force, ties, several texts a video, and what has no ranks."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from core.errors import UsageError
from evaluation.retrieval import Found, ranks_of_texts, ranks_of_videos, retrieval


def test_a_small_matrix_by_hand() -> None:
    scores = [[0.9, 0.1, 0.5], [0.2, 0.3, 0.8], [0.4, 0.6, 0.7]]
    assert ranks_of_videos(scores).tolist() == [1, 2, 1]
    assert ranks_of_texts(scores).tolist() == [1, 2, 2]
    found = retrieval(scores)
    assert astuple(found.text_to_video) == pytest.approx((3, 200 / 3, 100, 100, 1, 4 / 3))
    assert astuple(found.video_to_text) == pytest.approx((3, 100 / 3, 100, 100, 2, 5 / 3))


def test_ties_count_against() -> None:
    assert ranks_of_videos(np.zeros((4, 4))).tolist() == [4, 4, 4, 4]
    assert ranks_of_texts(np.zeros((4, 4))).tolist() == [4, 4, 4, 4]
    assert ranks_of_videos([[5, 5, 1], [0, 1, 0], [2, 2, 3]]).tolist() == [2, 1, 1]
    assert retrieval(np.zeros((11, 11))).text_to_video == Found(11, 0, 0, 0, 11, 11)


def test_the_median_of_an_even_number_is_between_the_two_in_the_middle() -> None:
    assert Found.of(np.array([1, 2, 5, 9])).median_rank == 3.5


def test_a_video_with_several_texts_is_known_by_the_best_of_them() -> None:
    video_of = [1, 0, 1, 1]
    scores = [[0.5, 0.4], [0.6, 0.1], [0.1, 0.9], [0.8, 0.2]]
    assert ranks_of_videos(scores, video_of).tolist() == [2, 1, 1, 2]
    assert ranks_of_texts(scores, video_of).tolist() == [2, 1]


@pytest.mark.parametrize("seed", range(20))
def test_any_matrix_is_ranked_as_counting_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    videos = int(random.integers(1, 9))
    video_of = np.concatenate([np.arange(videos), random.integers(0, videos, 9)])
    random.shuffle(video_of)
    scores = random.integers(0, 6, (len(video_of), videos)) / 4  # with many ties
    for text, rank in enumerate(ranks_of_videos(scores, video_of)):
        assert rank == sum(score >= scores[text, video_of[text]] for score in scores[text])
    for video, rank in enumerate(ranks_of_texts(scores, video_of)):
        best = [max(scores[video_of == other, video]) for other in range(videos)]
        assert rank == sum(score >= best[video] for score in best)


@pytest.mark.parametrize(
    ("scores", "video_of", "says"),
    [
        ([[1.0, float("nan")], [0, 1]], None, "Scores must be finite"),
        ([[1.0, float("inf")], [0, 1]], None, "Scores must be finite"),
        ([1.0, 2.0], None, r"Scores must be numbers \[texts, videos\] \(got float64 \[2\]\)\."),
        (np.zeros((0, 3)), None, r"Scores must be numbers"),
        ([["a"]], None, r"Scores must be numbers"),
        (np.zeros((3, 2)), None, "Of 3 texts and 2 videos it must be said whose each text is."),
        (np.zeros((3, 2)), [0, 1], r"Each of 3 texts must have the number of its video \(got \[2\]\)\."),
        (np.zeros((3, 2)), [0, 1, 2], "Each of 2 videos must have a text, and each text one of these"),
        (np.zeros((3, 2)), [0, 0, 0], "Each of 2 videos must have a text"),
        (np.zeros((3, 2)), [0, 1, -1], "Each of 2 videos must have a text"),
        (np.zeros((3, 2)), [0.0, 1.0, 1.0], "Each of 3 texts must have the number"),
    ],
)
def test_what_has_no_ranks_is_refused(scores: Any, video_of: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        retrieval(scores, video_of)
