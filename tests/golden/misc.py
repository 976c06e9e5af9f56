"""Which frames are taken, how pictures are made ready, and what retrieval measures say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from core.types import Look
from evaluation.retrieval import Found, Ranks, ranks_of_texts, ranks_of_videos, retrieval
from extractor.media.picture import Lens
from extractor.media.presets import spread
from tests.golden import recipe
from tests.golden.recipe import Array, Manifest

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_LOOK = Look(size=224, fit="crop", resize="bicubic", scale="pillow", mean=MEAN, std=STD)
_EVERY = 16  # of a normalised picture's lines and columns one is stored
_TIES = "_ties"


def expected(manifest: Manifest, stored: Mapping[str, Array]) -> dict[str, Array]:
    """What is stored, the frames of each case, and each figure by its name; of ties the ranks by our rule."""
    found = dict(stored)
    for case in manifest["frame_choice"]:
        found[f"frames_{_case(case)}"] = np.array(case["indices"], np.int64)
    for name, figures in manifest["metrics"].items():
        if name.endswith(_TIES):
            scores = _across(name, stored["sim_square_ties_used"])
            found[f"{name}.ranks0"] = _last_of_each(np.array(figures["ranks0"]), scores)
        elif isinstance(figures, dict):
            found |= {f"{name}.{key}": np.array(value) for key, value in figures.items()}
    return found


def outputs(manifest: Manifest, expected: Mapping[str, Array]) -> dict[str, Array]:
    """Ours of the same lengths, pictures and scores."""
    held = recipe.inputs(manifest, expected)
    found = dict(_scores(manifest, held))
    for case in manifest["frame_choice"]:
        found[f"frames_{_case(case)}"] = _frames(case)
    for name, pixels in held.items():
        if name.startswith("image"):
            square = Lens(_LOOK, None)(VideoFrame.from_ndarray(pixels, "rgb24")).transpose(2, 0, 1)
            found[f"{name}_cropped_u8"] = square
            found[f"{name}_normalised_part"] = _normalised(square)[:, ::_EVERY, ::_EVERY]
    counts = manifest["metrics"]["sentences_per_video"]
    video_of = np.repeat(np.arange(len(counts)), counts)
    for name in manifest["metrics"]:
        if name.startswith("multi_"):
            found |= _figures(name, found["sim_multi_used"], video_of)
        elif name.endswith(_TIES):
            found[f"{name}.ranks0"] = _ranks(name, found["sim_square_ties_used"]) - 1
        elif name != "sentences_per_video":
            found |= _figures(name, found["sim_square_used"])
    return {name: array for name, array in found.items() if name in expected or "." not in name}


def _case(case: Mapping[str, Any]) -> str:
    return f"{case['n_extracted']}_every_{case['feature_framerate']}_most_{case['max_frames']}"


def _frames(case: Mapping[str, Any]) -> Array:
    """As `extractor.media.presets` chooses, for which a video always has a frame."""
    count, most = case["n_extracted"] // case["feature_framerate"], case["max_frames"]
    kept = spread(case["n_extracted"], count)
    return np.array([kept[i] for i in spread(count, most)] if count > most else kept, np.int64)


def _normalised(square: Array) -> Array:
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    return np.asarray((square.astype(np.float32) / np.float32(255) - mean) / std)


def _scores(manifest: Manifest, held: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """The matrices that the notes in the manifest tell how to make."""
    square = held["sim_square"] + np.float32(1.5) * np.eye(len(held["sim_square"]), dtype=np.float32)
    yield "sim_square_used", square
    yield "sim_square_ties_used", np.round(square, 1)
    multi, counts = held["sim_multi"].copy(), manifest["metrics"]["sentences_per_video"]
    multi[np.arange(len(multi)), np.repeat(np.arange(len(counts)), counts)] += np.float32(1)
    yield "sim_multi_used", multi


def _across(name: str, scores: Array) -> Array:
    """Videos look for texts by the same matrix, turned."""
    return scores.T if name.startswith("v2t") else scores


def _ranks(name: str, scores: Array, video_of: Array | None = None) -> Ranks:
    """Of texts that look for videos, or of videos that look for texts."""
    return (ranks_of_videos if _is_by_text(name) else ranks_of_texts)(scores, video_of)


def _is_by_text(name: str) -> bool:
    return name.removeprefix("multi_").startswith("t2v")


def _figures(name: str, scores: Array, video_of: Array | None = None) -> dict[str, Array]:
    """By the names of the official code, which takes the lower of two middle ranks where texts are many."""
    ranks, both = _ranks(name, scores, video_of), retrieval(scores, video_of)
    found = both.text_to_video if _is_by_text(name) else both.video_to_text
    assert found == Found.of(ranks)
    is_lower = _is_by_text(name) and video_of is not None
    median = float(np.sort(ranks)[(len(ranks) - 1) // 2]) if is_lower else found.median_rank
    figures = {
        "R1": found.r1,
        "R5": found.r5,
        "R10": found.r10,
        "MR": median,
        "MedianR": median,
        "MeanR": found.mean_rank,
        "Std_Rank": ranks.std(),
        "ranks0": ranks - 1,
    }
    return {f"{name}.{key}": np.asarray(value) for key, value in figures.items()}


def _last_of_each(ranks0: Array, scores: Array) -> Array:
    """The official code lists a query's rank once for every score that equals the right one's, in order; the
    last of them is the rank by our rule."""
    ties = (scores == np.diagonal(scores)[:, None]).sum(axis=1)
    assert ties.sum() == len(ranks0), "the ranks are not those of these scores"
    return np.asarray(ranks0[np.cumsum(ties) - 1])
