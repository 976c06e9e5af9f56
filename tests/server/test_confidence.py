"""How sure an answer is, and leaving out what is not sure enough."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.collections import Library
from core.commands import main
from core.store import Store
from core.types import Sampling
from index.snapshot import Snapshot
from server.errors import ApiError
from server.schemas.search import SearchAsked
from server.searcher import Searcher
from server.shown import query_of, shown
from tests.server.worlds import TOY, Scenes, Shelf, id_of, samples

ROOT = Path(__file__).parents[2]
COLOURS = ("red", "green", "blue", "white", "black", "orange", "brown", "grey")
LEVELS = ("none", "low", "medium", "high")


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Thirty videos of two colours each, of which one is a copy but for its last seconds; none is purple."""
    data = tmp_path_factory.mktemp("calibrated")
    sentences = (ROOT / "extractor" / "probes.txt").read_text(encoding="utf-8").splitlines()
    library = Library(data)
    store = Store.create(library.store_path("toy-rgb"), TOY.spec, Sampling(), TOY.texts(sentences).numpy())
    library.add_store("default", "toy-rgb")
    shelf, chance = Shelf(library, store), np.random.default_rng(1)
    pairs = [chance.choice(COLOURS, 2, replace=False).tolist() for _ in range(28)]
    videos: dict[str, Scenes] = {f"{i}": [(a, 8), (f"{a} {b} {b}", 4)] for i, (a, b) in enumerate(pairs)}
    pink: Scenes = [("pink", 12), ("cyan", 8)]
    shelf.add({**videos, "pink": pink, "copy": [*pink, ("black", 1)]}, ["something pink", "a red thing"] * 4)
    shelf.build()
    return shelf


def ask(shelf: Shelf, query: Any, **fields: Any) -> dict[str, Any]:
    searcher = Searcher("default", TOY, Snapshot.open(shelf.store))
    return shown(searcher.answer(query_of(SearchAsked(query=query, **fields)))).model_dump()


@pytest.mark.parametrize("level", ["frame", "clip", "video"])
def test_what_is_there_is_confident_and_what_is_not_is_not(level: str, calibrated: Shelf) -> None:
    there, missing = (ask(calibrated, colour, level=level) for colour in ("red", "purple"))
    assert there["confident"] is True and there["results"][0]["confidence_level"] == "high"
    assert missing["confident"] is False and missing["results"][0]["confidence_level"] == "none"
    for result in [*there["results"], *missing["results"]]:
        assert 0 <= result["confidence"] <= 1
        assert result["confidence_level"] in LEVELS
        assert all(moment["confidence"] <= result["confidence"] for moment in result.get("moments", []))


def test_below_the_encoders_own_threshold_no_answer_is_confident(calibrated: Shelf) -> None:
    plain = ask(calibrated, "red", level="clip")
    best = plain["results"][0]["score"]
    for least, is_confident in ((best - 1e-3, True), (best + 1e-3, False)):
        view = Snapshot.open(calibrated.store)
        view = replace(view, calibrated=replace(view.calibrated, thresholds={"clip": least}))
        asked = query_of(SearchAsked(query="red", level="clip"))
        found = shown(Searcher("default", TOY, view).answer(asked)).model_dump()
        assert found["confident"] is is_confident
        assert [each["score"] for each in found["results"]] == [each["score"] for each in plain["results"]]
    assert {each["confidence_level"] for each in found["results"]} <= {"low", "none"}


def test_confidence_goes_down_with_the_score(calibrated: Shelf) -> None:
    found = ask(calibrated, "red", limit=100)["results"]
    worth = [result["confidence"] for result in found]
    assert worth == sorted(worth, reverse=True) and worth[0] > worth[-1]


def test_a_text_that_names_nothing_finds_nothing(calibrated: Shelf) -> None:
    answer = ask(calibrated, "a truck on a bridge")
    assert answer["confident"] is False and answer["results"]


def test_a_copy_of_a_stored_video_is_confident_and_a_video_of_its_own_kind_is_not(calibrated: Shelf) -> None:
    assert ask(calibrated, [{"video_id": id_of("pink")}])["results"][0]["video_id"] == id_of("copy")
    assert ask(calibrated, [{"video_id": id_of("pink")}])["results"][0]["confidence_level"] == "high"
    assert ask(calibrated, [{"video_id": id_of("pink")}])["confident"] is True


def test_a_least_score_leaves_out_what_is_below_and_knows_that_this_is_all(calibrated: Shelf) -> None:
    every = ask(calibrated, "red", limit=100)
    least = every["results"][2]["score"] - 1e-5
    kept = [result for result in every["results"] if result["score"] >= least]
    found = ask(calibrated, "red", limit=100, min_score=least)
    assert found["results"] == kept and len(kept) < len(every["results"])
    assert found["total"] == {"value": len(kept), "relation": "eq"}
    assert found["confident"] is True


@pytest.mark.parametrize("least", ["low", "medium", "high", 0.5, 1.0, 0])
def test_a_least_confidence_leaves_out_what_is_below(least: str | float, calibrated: Shelf) -> None:
    for query in ("red", "purple", "a truck"):
        every = ask(calibrated, query, limit=100, merge_gap_s=None)["results"]
        found = ask(calibrated, query, limit=100, min_confidence=least, merge_gap_s=None)["results"]
        if isinstance(least, str):
            kept = [r for r in every if LEVELS.index(r["confidence_level"]) >= LEVELS.index(least)]
        else:
            kept = [r for r in every if r["confidence"] >= least]
        assert found == kept


def test_nothing_confident_enough_is_an_empty_answer_that_says_so(calibrated: Shelf) -> None:
    answer = ask(calibrated, "purple", min_confidence="low")
    assert (answer["results"], answer["confident"]) == ([], False)
    assert answer["total"] == {"value": 0, "relation": "eq"}


def test_grouped_videos_keep_only_moments_that_are_good_enough(calibrated: Shelf) -> None:
    found = ask(calibrated, "pink", group_by="video", min_confidence="high")["results"]
    assert {video["video_id"] for video in found} == {id_of("pink"), id_of("copy")}
    assert all(moment["confidence_level"] == "high" for video in found for moment in video["moments"])


def test_a_least_confidence_where_nothing_is_calibrated_is_refused(tmp_path: Path) -> None:
    shelf = samples(tmp_path / "data")
    with pytest.raises(ApiError, match="snapshot 1 is not calibrated") as refusal:
        ask(shelf, "red", min_confidence="high")
    assert (refusal.value.http_status, refusal.value.field) == (409, "min_confidence")


def test_by_words_a_least_confidence_where_nothing_is_calibrated_is_refused_as_well(tmp_path: Path) -> None:
    shelf = samples(tmp_path / "data")
    for mode in ("text", "hybrid"):
        with pytest.raises(ApiError, match="snapshot 1 is not calibrated") as refusal:
            ask(shelf, "white", mode=mode, min_confidence=0.5)
        assert (refusal.value.http_status, refusal.value.field) == (409, "min_confidence")
    assert ask(shelf, "white", mode="text")["confident"] is None


def test_what_words_alone_find_is_confident_and_stays(calibrated: Shelf) -> None:
    for fields in ({}, {"min_confidence": "high"}, {"min_score": 2.0}):
        answer = ask(calibrated, "pink", mode="text", **fields)
        (found,) = answer["results"]
        assert (found["score"], found["confidence"], found["confidence_level"]) == (None, None, None)
        assert answer["confident"] is True
    texts = ask(calibrated, "pink", mode="text", target="texts")
    assert texts["results"] and texts["confident"] is None  # too few to compare with
    assert ask(calibrated, "zebra", mode="text")["confident"] is False


@pytest.mark.parametrize("query", ["films", "mp4", '"films"', "films mp4"])
def test_a_word_of_all_paths_makes_nothing_confident_and_changes_no_order(
    query: str, calibrated: Shelf
) -> None:
    seen, both = (ask(calibrated, query, mode=mode, limit=50) for mode in ("visual", "hybrid"))
    assert both["results"] == seen["results"] and both["confident"] is seen["confident"] is False
    assert ask(calibrated, f"{query} copy", mode="hybrid")["results"][0]["path"] == "films/copy.mp4"


def test_a_score_that_was_shown_keeps_what_it_was_shown_of(calibrated: Shelf) -> None:
    for query in ("red", "a dark red", "light blue", "orange brown", "purple white"):
        for number, result in enumerate(ask(calibrated, query, limit=9)["results"]):
            kept = ask(calibrated, query, limit=100, min_score=result["score"])["results"]
            assert len(kept) > number and result in kept, (query, result["score"])


def test_a_store_of_before_has_no_confidence() -> None:
    root = ROOT / "tests" / "data" / "store-v1"
    searcher = Searcher("default", TOY, Snapshot.open(Store.open(root)))
    answer = shown(searcher.answer(query_of(SearchAsked(query="red"))))
    assert answer.results and answer.confident is None
    assert {(r.confidence, r.confidence_level) for r in answer.results} == {(None, None)}


def test_the_command_shows_the_level_and_says_when_nothing_is_confident(
    calibrated: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(calibrated.library.data), "--top", "1"]
    assert main(["search", "red", *data]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["time", "score", "confidence", "path"] and " high " in row
    assert main(["search", "purple", *data]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Nothing here is confident")


@pytest.mark.parametrize("least", ["high", "0.5"])
def test_the_command_leaves_out_what_is_not_sure_enough(
    calibrated: Shelf, capsys: pytest.CaptureFixture[str], least: str
) -> None:
    found = {}
    for flags in ([], ["--min-confidence", least]):
        store = str(calibrated.store.root)
        assert main(["search", "red", "--top", "99", "--store", store, "--json", *flags]) == 0
        found[len(flags)] = json.loads(capsys.readouterr().out)["results"]
    assert 0 < len(found[2]) < len(found[0])
    for each in found[2]:
        assert each["confidence_level"] == "high" if least == "high" else each["confidence"] >= 0.5
