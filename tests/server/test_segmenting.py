"""Seconds by labels and steps in order: the rules by themselves, and `cinedex segment` over a store."""

from __future__ import annotations

import json
import tracemalloc
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.commands import main
from core.errors import UsageError
from core.types import Float32Array
from extractor.encoders.base import Around
from extractor.encoders.toy import Toy
from server import segmenting
from server.commands.segment import _few
from server.commands.straight import searcher_by
from server.schemas.tag import MAX_LABELS
from server.segmenting import BYTES_A_SCORE, NONE, background, in_order, labelled, segmented, shares
from server.stored import Named
from tests.server.worlds import Shelf, id_of

VIDEO = id_of("day")
SCENES = [("red", 6), ("blue", 4), ("grey", 3), ("red", 2)]


def drawn(*shape: int, seed: int = 0) -> Float32Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# --- the rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "seconds"), [(1, 1), (1, 6), (3, 3), (4, 9), (2, 12)])
def test_steps_get_the_likeliest_seconds_in_order(steps: int, seconds: int) -> None:
    for seed in range(20):
        found = shares(drawn(steps, seconds, seed=seed))
        best = max(combinations(range(seconds), steps), key=lambda at: found[range(steps), at].sum())
        assert in_order(found).tolist() == list(best)


def test_more_steps_than_seconds_have_no_order() -> None:
    with pytest.raises(ValueError, match="4 steps have no second each among 3"):
        in_order(shares(drawn(4, 3)))


def test_shares_of_a_second_are_of_all_steps() -> None:
    found = np.exp(shares(100 * drawn(5, 7)))
    assert np.allclose(found.sum(axis=0), 1)


def test_a_second_has_a_label_only_above_what_labels_score_among_themselves() -> None:
    labels = np.array([[2, 0], [1, 1], [0, 3]], np.float32)
    assert background(labels) == 3
    scores = np.array([[4, 3, 0], [1, 2, 3.5], [0, 0, 3]], np.float32)
    assert labelled(scores, 3).tolist() == [0, NONE, 1]
    assert background(labels[:1]) == -np.inf and labelled(scores[:1], -np.inf).tolist() == [0, 0, 0]


def test_labels_are_compared_with_all_others_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenting, "_LABELS", 3)
    for seed in range(10):
        labels = drawn(8, 4, seed=seed)
        products = (labels @ labels.T)[~np.eye(8, dtype=bool)]
        assert background(labels) == pytest.approx(float(products.max()))


def test_many_labels_are_compared_in_the_memory_of_some() -> None:
    labels = drawn(4000, 4)
    tracemalloc.start()
    try:
        background(labels)
        assert tracemalloc.get_traced_memory()[1] < 1.1 * 4 * 4000 * 1000  # a quarter of all products
    finally:
        tracemalloc.stop()


# --- the verb ----------------------------------------------------------------------------------------


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Toy as an encoder whose pictures know what is around them."""
    monkeypatch.setattr(Toy, "around", Around(4, 2), raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({"day": SCENES})
    shelf.build()
    return tmp_path / "data"


def written(folder: Path, *lines: str) -> str:
    path = folder / "lines.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def segments(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert main(["segment", *argv, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def spans(found: dict[str, Any]) -> list[tuple[float, float, str]]:
    return [(each["start"], each["end"], each["label"]) for each in found["segments"]]


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize("name", [VIDEO, "films/day.mp4"])
def test_seconds_are_sorted_by_labels_and_the_rest_is_background(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    labels = written(tmp_path, "blue", "  red ", "green")
    found = segments(capsys, name, "--labels", labels, "--data", str(data))
    assert spans(found) == [(0, 6, "red"), (6, 10, "blue"), (13, 15, "red")]
    assert [each["score"] for each in found["segments"]] == [1, 1, 1]
    assert (found["min_score"], found["video_id"], found["encoder"]) == (0, VIDEO, "toy:rgb")
    part = segments(capsys, name, "--labels", labels, "--data", str(data), "--start", "8", "--end", "14")
    assert spans(part) == [(8, 10, "blue"), (13, 14, "red")]
    assert spans(segments(capsys, name, "--labels", labels, "--data", str(data), "--min-score", "1")) == []


@pytest.mark.usefixtures("looking")
def test_each_step_has_one_second_after_the_step_before(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = written(tmp_path, "blue", "red", "red")
    found = segments(capsys, VIDEO, "--steps", steps, "--data", str(data))
    first, *rest = spans(found)
    assert first[2] == "blue" and 6 <= first[0] < 10
    assert rest == [(13, 14, "red"), (14, 15, "red")]
    assert found["min_score"] is None


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize("sort", ["labels", "steps"])
def test_no_score_takes_more_memory_than_is_said(tmp_path: Path, sort: segmenting.Sort) -> None:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({"day": [("red", 1000), ("blue", 1000)]})
    shelf.build()
    searcher = searcher_by(tmp_path / "data", (None, None, None), [], "cpu")
    texts = tuple(f"red {number}" for number in range(500))
    segmented(searcher, Named(VIDEO, 0.0, 2.0), "labels", texts)  # what is opened once
    tracemalloc.start()
    try:
        segmented(searcher, Named(VIDEO), sort, texts)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * BYTES_A_SCORE * 2000 * len(texts)
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("looking")
def test_too_many_scores_are_refused_before_any_is_computed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenting, "MOST_SCORES", 29)
    searcher = searcher_by(data, (None, None, None), [], "cpu")
    says = "15 seconds and 2 steps are too many together; --start and --end take fewer."
    with pytest.raises(UsageError, match=says):
        segmented(searcher, Named(VIDEO), "steps", ("red", "blue"))
    assert len(segmented(searcher, Named(VIDEO, 0.0, 14.0), "steps", ("red", "blue")).segments) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "steps '.*' cannot be read"),
        (b"", "holds no step; each line is one"),
        (b"red\n\nblue", "line 2, is empty; each line is a step"),
        (b"\xff", "is not UTF-8"),
        (b"a\n" * (MAX_LABELS + 1), f"{MAX_LABELS + 1} steps are too many; {MAX_LABELS} at most"),
    ],
    ids=["none", "empty", "hole", "binary", "many"],
)
def test_what_is_wrong_with_steps_is_told_of_steps(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "plan.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=says) as told:
        _few("steps", file)
    assert told.value.field == "steps"


@pytest.mark.usefixtures("looking")
def test_for_people_it_is_a_line_a_segment(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = written(tmp_path, "red", "blue")
    assert main(["segment", VIDEO, "--labels", labels, "--data", str(data)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "00:00.000 – 00:06.000  1.000  red",
        "00:06.000 – 00:10.000  1.000  blue",
        "00:13.000 – 00:15.000  1.000  red",
    ]
    assert main(["segment", VIDEO, "--labels", labels, "--data", str(data), "--min-score", "2"]) == 0
    assert capsys.readouterr().out == (
        "No second scores above 2.000 for a label; --min-score takes another bar.\n"
    )


def test_an_encoder_whose_pictures_stand_alone_says_that_it_cannot(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", VIDEO, "--labels", written(tmp_path, "red"), "--data", str(data)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "cinedex segment: toy:rgb cannot segment: its rows of pictures do not know what is around them, as "
        "those of videoclip do; POST /locate says where texts are.\n"
    )


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "Name a stored video: its id, or its path as `search` shows it."),
        (["v"], "Give either --labels FILE or --steps FILE: what the seconds are sorted by."),
        (["v", "--labels", "L", "--steps", "L"], "Give either --labels FILE or --steps FILE"),
        (["v", "--steps", "L", "--min-score", "1"], "--min-score goes with --labels"),
        (["v", "--labels", "none.txt"], "labels 'none.txt' cannot be read: No such file or directory."),
        (["v", "--labels", "EMPTY"], "holds no label; each line is one."),
        (["v", "--labels", "TWICE"], "line 3, has 'red', as line 1 has; no two are alike."),
        (["v", "--labels", "BINARY"], "line 1, is not UTF-8; save the file as UTF-8."),
        (["v", "--steps", "L", "--start", "3", "--end", "2"], "--end 2 must be above --start 3."),
        (["films/none.mp4", "--labels", "L"], "There is no video 'films/none.mp4' in "),
        (["films/day", "--labels", "L"], "There is no video 'films/day' in "),
        (["films/day.mp4", "--steps", "L", "--end", "1"], "2 steps have no second each: the video has 1"),
        (["films/day.mp4", "--steps", "L", "--collection", "x"], "There is no collection 'x'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    held = {"L": b"red\nblue\n", "EMPTY": b"", "TWICE": b"red\nblue\nred", "BINARY": b"\xff\xfe\x00"}
    for name, content in held.items():
        (tmp_path / name).write_bytes(content)
    words = [str(tmp_path / word) if word in held else word for word in argv]
    assert main(["segment", *words, "--data", str(data)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and says in said.err and said.err.count("\n") == 1
