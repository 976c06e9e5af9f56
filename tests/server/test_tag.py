"""POST /tag: labels of one's own for what is stored."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from server import tagging
from server.batching import Batched, Batching
from server.cache import vector_cache
from server.labels import Labelling, Vocabulary, label_cache
from server.routes import tag as routes
from tests.server.conftest import Running, in_thread
from tests.server.test_serving import library
from tests.server.worlds import TOY, Shelf, id_of, until, vector

VIDEO = id_of("red-then-blue")
COLOURS = ["red", "blue", "green"]


class Counting:
    """The toy encoder, which counts the texts it reads and may say a scale."""

    def __init__(self) -> None:
        self.spec, self.read = TOY.spec, list[str]()

    def features(self, pictures: Tensor) -> Tensor:
        return TOY.features(pictures)

    def clips(self, features: Tensor, index: Sequence[Any]) -> Tensor:
        return TOY.clips(features, index)

    def texts(self, texts: Sequence[str]) -> Tensor:
        self.read += texts
        return TOY.texts(texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return ["long" in text for text in texts]


def tagged(server: Running, **fields: Any) -> dict[str, Any]:
    answer = server.http.post("/tag", json={"video_id": VIDEO, "labels": COLOURS, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def error(http: httpx.Client, **fields: Any) -> tuple[int, str, str]:
    answer = http.post("/tag", json={"video_id": VIDEO, "labels": COLOURS, **fields})
    held = answer.json()["error"]
    return answer.status_code, held["field"], held["message"]


def test_labels_come_best_first_with_what_they_share(sample_server: Running) -> None:
    found = tagged(sample_server, start=0, end=4)
    assert [each["label"] for each in found["labels"]] == COLOURS
    assert [each["score"] for each in found["labels"]] == [1, 0, 0]
    assert sum(each["probability"] for each in found["labels"]) == pytest.approx(1)
    assert (found["encoder"], found["snapshot"], found["query_truncated"]) == ("toy:rgb", 1, False)


def test_a_whole_video_is_the_mean_of_its_rows(sample_server: Running) -> None:
    red, blue, green = tagged(sample_server)["labels"]
    assert {red["label"], blue["label"]} == {"red", "blue"} and green["label"] == "green"
    assert red["score"] == pytest.approx(2**-0.5, abs=1e-3)
    assert red["probability"] == pytest.approx(0.5)


def test_a_range_is_of_the_rows_that_reach_into_it(sample_server: Running) -> None:
    assert tagged(sample_server, start=20)["labels"][0]["label"] == "blue"
    assert tagged(sample_server, end=4)["labels"][0]["label"] == "red"


def test_a_library_text_has_labels_too(sample_server: Running) -> None:
    found = tagged(sample_server, video_id=id_of("something green", "t"))
    assert found["labels"][0]["label"] == "green"


def test_a_choice_is_between_sentences_as_they_are(sample_server: Running) -> None:
    asked = {"labels": ["it begins red", "it begins white"], "templates": ["{}"], "limit": 1, "end": 4}
    assert [each["label"] for each in tagged(sample_server, **asked)["labels"]] == ["it begins red"]


def test_templates_are_one_label_by_the_mean_of_their_vectors(sample_server: Running) -> None:
    found = tagged(sample_server, end=4, labels=["red"], templates=["{}", "{} and blue", "all white: {}"])
    wanted = np.mean([vector(text) for text in ("red", "red blue", "white red")], axis=0)
    assert found["labels"][0]["score"] == pytest.approx((wanted / np.linalg.norm(wanted))[0], abs=1e-3)


@pytest.mark.parametrize(("scale", "share"), [(1.0, 0.5761), (5.0, 0.9867), (None, 1.0)])
def test_shares_follow_the_scale_of_the_encoder_or_clips_own(scale: float | None, share: float) -> None:
    encoder = Counting()
    if scale is not None:
        encoder.logit_scale = scale  # type: ignore[attr-defined]
    labels = ("red", "blue", "green")
    vectors = np.stack([vector(label) for label in labels])
    found = tagging.ranked(labels, vectors, vector("red"), encoder)
    assert tagging.LOGIT_SCALE == 100
    wanted = np.exp([scale or 100, 0, 0]) / np.exp([scale or 100, 0, 0]).sum()
    assert [each.probability for each in found] == pytest.approx(wanted.tolist())
    assert [each.score for each in found] == [1, 0, 0]
    assert share == pytest.approx(found[0].probability, abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"video_id": "v-none"}, 404, "video_id: there is no 'v-none' in this collection."),
        (
            {"start": 24},
            400,
            "start: no row of the video lies in that range; they go from 0 to 24.",
        ),
        ({"end": 0}, 400, "end: no row of the video lies in that range; they go from 0 to 24."),
        ({"start": 4, "end": 4}, 400, "end: must be above start (4) (got 4)."),
        ({"labels": []}, 400, "labels: list should have at least 1 item"),
        ({"labels": ["a", "b", "a"]}, 400, "labels: must be different, and 'a' comes twice."),
        ({"labels": ["a", " "]}, 400, "labels[1]: must be a text, not only white space (got ' ')."),
        ({"labels": [f"{n}" for n in range(10_001)]}, 400, "labels: list should have at most 10000 items"),
        ({"templates": ["a film"]}, 400, "templates[0]: must have {} where the label comes (got 'a film')."),
        ({"limit": 0}, 400, "limit: input should be greater than or equal to 1 (got 0)."),
        ({"encoder": "toy:other"}, 404, "encoder: the collection default has no 'toy:other'; it has "),
    ],
    ids=lambda value: value if isinstance(value, int) else "",
)
def test_what_is_wrong_is_said(
    sample_server: Running, fields: dict[str, Any], status: int, says: str
) -> None:
    found = error(sample_server.http, **fields)
    assert found[0] == status
    assert found[1] == says.partition(":")[0]
    assert found[2].startswith(says)


def test_many_labels_in_many_sentences_are_refused(sample_server: Running) -> None:
    asked = {"labels": [f"{n}" for n in range(5_000)], "templates": [f"{n} {{}}" for n in range(21)]}
    status, field, says = error(sample_server.http, **asked)
    assert (status, field) == (400, "templates")
    assert says == "templates: make 105000 sentences of the labels; 100000 at most can be."


def test_a_label_is_encoded_once_for_all_videos(shelf: Shelf) -> None:
    encoder = Counting()
    with in_thread(library(shelf, encoder)) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        encoder.read.clear()
        for video in ("red-then-blue", "green", "green"):
            asked = {"video_id": id_of(video), "labels": COLOURS, "templates": ["a {}", "one {}"]}
            assert http.post("/tag", json=asked).status_code == 200
        assert sorted(encoder.read) == sorted(f"{a} {c}" for a in ("a", "one") for c in COLOURS)
        asked["labels"] = ["green", "black"]
        encoder.read.clear()
        assert http.post("/tag", json=asked).json()["labels"][0]["label"] == "green"
        assert encoder.read == ["a black", "one black"]


def test_a_sentence_that_is_cut_is_told_also_from_the_cache(shelf: Shelf) -> None:
    with in_thread(library(shelf, Counting())) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        for labels, is_cut in ((["red", "long"], True), (["red", "long"], True), (["red"], False)):
            found = http.post("/tag", json={"video_id": VIDEO, "labels": labels}).json()
            assert found["query_truncated"] is is_cut


def test_many_labels_leave_the_slot_to_others_between_steps(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "STEP_S", 0.0)
    encoder, served, go_on = Counting(), threading.Event(), threading.Event()

    def held(texts: Sequence[str]) -> Tensor:
        if "a video of label 8" in texts:  # of the second step, which waits till a search was answered
            served.set()
            assert go_on.wait(20)
        return TOY.texts(texts)

    with in_thread(library(shelf, encoder), max_concurrent=1) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        encoder.texts = held  # type: ignore[method-assign]
        answers: list[httpx.Response] = []
        labels = [f"label {n}" for n in range(64)]
        asked = {"video_id": VIDEO, "labels": labels}

        def ask(path: str, body: dict[str, Any]) -> threading.Thread:
            asker = threading.Thread(target=lambda: answers.append(http.post(path, json=body)))
            asker.start()
            return asker

        labeller = ask("/tag", asked)
        assert served.wait(20)
        searching = ask("/search", {"query": "red"})
        until(lambda: http.get("/metrics").text.count("cinedex_in_flight 3.0") == 1)
        go_on.set()
        searching.join(20)
        labeller.join(20)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "results" in answers[0].json() and len(answers[1].json()["labels"]) == 64


def test_what_takes_too_long_is_told_to_come_again_and_goes_on_there(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "STEP_S", 0.0)
    monkeypatch.setattr(routes, "MOST_S", 0.0)
    asked = {"video_id": VIDEO, "labels": [f"label {n}" for n in range(20)]}
    with in_thread(library(shelf, Counting())) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        answers = [http.post("/tag", json=asked) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "2"
    assert [answer.json()["error"]["message"] for answer in answers[:2]] == [
        f"Of the texts {done} of 20 are encoded after 0 s; asked again, it goes on there." for done in (8, 16)
    ]


def test_the_cache_is_bounded_and_lets_the_oldest_go() -> None:
    encoder, cache = Counting(), label_cache(max_bytes=3 * (12 * 4 + 300))
    for label in ("red", "green", "red", "blue", "white", "red"):
        assert Labelling(Vocabulary((label,)), cache).advance(encoder, 1)
    assert encoder.read == ["red", "green", "blue", "white"]
    assert Labelling(Vocabulary(("green",)), cache).advance(encoder, 1)
    assert encoder.read[-1] == "green"


def test_another_encoder_or_other_templates_have_vectors_of_their_own() -> None:
    first, second, cache = Counting(), Counting(), label_cache()
    second.spec = replace(TOY.spec, revision=2)
    for encoder in (first, second):
        assert Labelling(Vocabulary(("red",)), cache).advance(encoder, 1)
    for templates in (("{} ", ""), ("{}", " ")):
        assert Labelling(Vocabulary(("red",), templates), cache).advance(first, 1)
    assert (len(first.read), len(second.read)) == (5, 1)


def test_a_label_that_looks_like_a_template_has_a_vector_of_its_own() -> None:
    encoder, cache = Counting(), label_cache()
    several = Labelling(Vocabulary(("cat",), ("{}", "a photo of {}")), cache)
    alone = Labelling(Vocabulary(("13:a photo of {}cat",), ("{}",)), cache)
    assert several.advance(encoder, 1) and alone.advance(encoder, 1)
    assert encoder.read == ["cat", "a photo of cat", "13:a photo of {}cat"]


def test_labels_put_no_query_out_of_the_cache() -> None:
    counting, cache = Counting(), vector_cache(4 * 500)
    encoder = Batched.over(counting, counting.spec, Batching(cache))
    encoder.texts(["red"])
    labels = Vocabulary(("red", *(f"label {number}" for number in range(20))))
    assert Labelling(labels, label_cache()).advance(encoder, 60)
    encoder.texts(["red"])
    assert counting.read == ["red", *labels.labels[1:]]
    encoder.texts(["label 3"])
    assert counting.read[-1] == "label 3", "as a query it is read anew"
    encoder.texts(["label 3"])
    assert counting.read.count("label 3") == 2


def test_an_encoder_that_changes_meanwhile_begins_anew() -> None:
    first, second = Counting(), Counting()
    second.spec = replace(TOY.spec, revision=2)
    labelling = Labelling(Vocabulary(tuple(f"{n}" for n in range(20))), label_cache())
    assert not labelling.advance(first, 0)
    assert labelling.advance(second, 60)
    assert (len(first.read), len(second.read)) == (8, 20)


def test_vectors_that_are_of_any_length_keep_theirs() -> None:
    encoder = Counting()
    encoder.texts = lambda texts: torch.full((len(texts), 12), 3.0)  # type: ignore[method-assign]
    labelling = Labelling(Vocabulary(("a", "b"), ("{}", "x {}")), label_cache())
    assert labelling.advance(encoder, 1)
    assert labelling.vectors()[0].tolist() == [[3.0] * 12] * 2


def test_captions_say_which_encoder_cannot_write(sample_server: Running) -> None:
    answer = sample_server.http.post("/caption", json={"video_id": VIDEO, "beams": 2, "end": 4})
    assert answer.status_code == 409
    assert answer.json()["error"] == {
        "type": "conflict",
        "message": "encoder: toy:rgb cannot write captions; name one that can, as videococa.",
        "field": "encoder",
    }


@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [({"video_id": "v-none"}, 404, "video_id"), ({"beams": 0}, 400, "beams"), ({"start": 99}, 400, "start")],
    ids=["no video", "no beams", "no seconds"],
)
def test_what_is_wrong_with_a_caption_is_said_first(
    sample_server: Running, fields: dict[str, Any], status: int, field: str
) -> None:
    answer = sample_server.http.post("/caption", json={"video_id": VIDEO, **fields})
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)
