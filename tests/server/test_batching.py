"""Texts of requests that run side by side are encoded together, and remembered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor

from core.errors import EncoderError
from core.stop import Unwanted, until_set
from extractor.encoders import load
from server.batching import MOST_TEXTS, Batched, Batching, TextQueue
from server.cache import TextVector, vector_cache
from server.compose import encode
from tests.server.conftest import in_thread
from tests.server.test_follow import status
from tests.server.test_serving import Slow, library
from tests.server.worlds import TOY, Shelf, until


class Counting(Slow):
    """Notes what it is given, and waits at "slow"."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    def texts(self, texts: Sequence[str]) -> Tensor:
        self.batches.append(list(texts))
        if "bad" in texts:
            raise EncoderError("That is no text.")
        return super().texts(texts)


def batched(encoder: Any, cache_bytes: int = 0, **more: Any) -> Batched:
    return Batched.over(encoder, encoder.spec, Batching(vector_cache(cache_bytes), **more))


def queue_of(encoder: Any, cache_bytes: int = 0) -> TextQueue:
    return TextQueue(encoder, encoder.spec, Batching(vector_cache(cache_bytes)))


def test_who_comes_while_it_is_busy_goes_into_the_next_batch() -> None:
    encoder = Counting()
    sizes: list[int] = []
    queue = TextQueue(encoder, encoder.spec, Batching(batched=sizes.append))
    first = queue.ask("slow")
    assert encoder.entered.acquire(timeout=30)
    later = [queue.ask(f"red {n}") for n in range(MOST_TEXTS + 1)]
    encoder.let_go.set()
    for asked in (first, *later):
        asked.result(30)
    assert [len(batch) for batch in encoder.batches] == sizes == [1, MOST_TEXTS, 1]


def test_an_encoder_has_its_threads_and_nobody_else_them() -> None:
    class Told(Slow):
        def texts(self, texts: Sequence[str]) -> Tensor:
            threads.append(torch.get_num_threads())
            return super().texts(texts)

    threads: list[int] = []
    before = torch.get_num_threads()
    batched(Told(), threads=before + 2).texts(["red"])
    assert threads == [before + 2]
    assert torch.get_num_threads() == before


def test_one_text_is_encoded_once_for_all_who_wait_for_it() -> None:
    encoder = Counting()
    queue = queue_of(encoder)
    asked = [queue.ask("slow")]
    assert encoder.entered.acquire(timeout=30)
    asked += [queue.ask("slow"), queue.ask("red"), queue.ask("red")]
    encoder.let_go.set()
    found = [each.result(30).vector for each in asked]
    assert encoder.batches == [["slow"], ["red"]]
    assert found[0] is found[1] and found[2] is found[3]


def test_what_all_have_cancelled_drops_out_and_what_one_still_wants_does_not() -> None:
    encoder = Counting()
    queue = queue_of(encoder)
    queue.ask("slow")
    assert encoder.entered.acquire(timeout=30)
    dropped, shared = [queue.ask("red"), queue.ask("red")], [queue.ask("blue"), queue.ask("blue")]
    for asked in (*dropped, shared[0]):
        assert asked.cancel()
    encoder.let_go.set()
    shared[1].result(30)
    assert encoder.batches == [["slow"], ["blue"]]
    with pytest.raises(CancelledError):
        shared[0].result(30)


def test_a_text_that_cannot_be_encoded_is_nobody_elses_trouble() -> None:
    encoder = Counting()
    queue = queue_of(encoder)
    queue.ask("slow")
    assert encoder.entered.acquire(timeout=30)
    good, bad, other = (queue.ask(text) for text in ("red", "bad", "blue"))
    encoder.let_go.set()
    assert np.array_equal(good.result(30).vector, TOY.texts(["red"])[0].numpy())
    assert np.array_equal(other.result(30).vector, TOY.texts(["blue"])[0].numpy())
    with pytest.raises(EncoderError, match="no text"):
        bad.result(30)
    assert encoder.batches[1:] == [["red", "bad", "blue"], ["red"], ["bad"], ["blue"]]


def test_who_asks_for_thousands_holds_up_nobody_for_longer_than_a_batch() -> None:
    encoder = Counting()
    queue = queue_of(encoder)
    many = [f"red {n}" for n in range(3 * MOST_TEXTS)]
    queue.ask("slow")
    assert encoder.entered.acquire(timeout=30)
    with ThreadPoolExecutor(1) as pool:
        rows = pool.submit(encode, Batched(encoder, queue), many)
        until(lambda: len(queue._waiting) == MOST_TEXTS)
        one = queue.ask("blue")
        encoder.let_go.set()
        one.result(30)
        assert "blue" in encoder.batches[2]
        assert np.array_equal(rows.result(30), TOY.texts(many).numpy())


def test_vectors_do_not_depend_on_who_else_is_in_the_batch() -> None:
    encoder = Counting()
    queue = queue_of(encoder)
    queue.ask("slow")
    assert encoder.entered.acquire(timeout=30)
    texts = ["red", "a green thing", "blue and white", "", "ein Hund"]
    asked = [queue.ask(text) for text in texts]
    encoder.let_go.set()
    together = np.stack([each.result(30).vector for each in asked])
    assert encoder.batches[-1] == texts
    assert together.tobytes() == np.concatenate([TOY.texts([text]).numpy() for text in texts]).tobytes()


def test_a_real_model_gives_the_same_within_the_contracts_tolerance() -> None:
    """Bit for bit it need not be: how a matrix is multiplied goes by its size."""
    model = load("open_clip:ViT-S-32-alt", random_weights=0)
    texts = [f"a red truck, number {n}" for n in range(5)]
    encoder = batched(model)
    together = encoder.texts(texts)
    for text, row in zip(texts, together, strict=True):
        alone = encoder.texts([text])[0]
        assert float((alone - row).norm() / row.norm()) <= 1e-5


def test_a_batched_encoder_is_an_encoder() -> None:
    encoder = batched(TOY)
    pictures = torch.zeros((2, TOY.spec.look.size, TOY.spec.look.size, 3), dtype=torch.uint8)
    features = encoder.features(pictures)
    assert torch.equal(features, TOY.features(pictures))
    index = [np.array([0, 1])]
    assert torch.equal(encoder.clips(features, index), TOY.clips(features, index))
    assert tuple(encoder.texts([]).shape) == (0, TOY.spec.dim)
    assert encoder.too_long(["red", "blue"]) == [False, False]
    assert encoder.spec is TOY.spec
    assert not hasattr(encoder, "caption")


def test_who_is_not_wanted_any_more_stops_waiting() -> None:
    encoder = Counting()
    queue, unwanted = queue_of(encoder), threading.Event()
    queue.ask("slow")
    assert encoder.entered.acquire(timeout=30)

    def ask() -> None:
        until_set(unwanted)
        with pytest.raises(Unwanted):
            encode(Batched(encoder, queue), ["red"])

    asker = threading.Thread(target=ask)
    asker.start()
    unwanted.set()
    asker.join(30)
    assert not asker.is_alive()
    encoder.let_go.set()
    queue.ask("blue").result(30)
    assert encoder.batches == [["slow"], ["blue"]]


def pictures() -> Tensor:
    return torch.zeros((1, TOY.spec.look.size, TOY.spec.look.size, 3), dtype=torch.uint8)


def test_texts_that_go_on_coming_do_not_keep_pictures_waiting() -> None:
    seen = threading.Event()

    class Asked(Counting):
        """As long as no picture was looked at, somebody asks for the next text while one is encoded."""

        def texts(self, texts: Sequence[str]) -> Tensor:
            if not seen.is_set() and len(self.batches) < 1_000:
                queue.ask(f"red {len(self.batches)}")
            return super().texts(texts)

        def features(self, pictures: Tensor) -> Tensor:
            seen.set()
            return super().features(pictures)

    encoder = Asked()
    queue = queue_of(encoder)
    queue.ask("slow")
    assert encoder.entered.acquire(timeout=30)
    with ThreadPoolExecutor(1) as pool:
        rows = pool.submit(Batched(encoder, queue).features, pictures())
        until(lambda: queue.crew._tasks.qsize() == 1)
        encoder.let_go.set()
        assert torch.equal(rows.result(30), TOY.features(pictures()))
    assert len(encoder.batches) <= 2


def test_who_is_not_wanted_any_more_stops_waiting_for_pictures_too() -> None:
    encoder = Counting()
    queue = queue_of(encoder)
    queue.ask("slow")
    assert encoder.entered.acquire(timeout=30)
    unwanted = threading.Event()

    def ask() -> None:
        until_set(unwanted)
        with pytest.raises(Unwanted):
            Batched(encoder, queue).features(pictures())

    asker = threading.Thread(target=ask)
    asker.start()
    unwanted.set()
    asker.join(30)
    assert not asker.is_alive()
    encoder.let_go.set()


class Broken(Counting):
    """What it does at "wrong" no encoder may do."""

    def __init__(self, wrong: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._wrong = wrong

    def texts(self, texts: Sequence[str]) -> Tensor:
        rows = super().texts(texts)
        return self._wrong(rows) if "wrong" in texts else rows


def _end(rows: Tensor) -> Tensor:
    raise SystemExit


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda rows: torch.cat([rows, rows]), ValueError),
        (lambda rows: rows[1:], ValueError),
        (_end, RuntimeError),
    ],
    ids=["too many rows", "too few rows", "an end"],
)
def test_an_encoder_that_breaks_its_contract_goes_on_being_asked(
    wrong: Callable[[Tensor], Tensor], error: type[Exception]
) -> None:
    encoder = Broken(wrong)
    queue = queue_of(encoder)
    with pytest.raises(error):
        queue.ask("wrong").result(30)
    assert np.array_equal(queue.ask("red").result(30).vector, TOY.texts(["red"])[0].numpy())


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("search", lambda text: {"query": text}),
        ("embed", lambda text: {"texts": [text]}),
        ("knn-service", lambda text: {"text": text}),
    ],
    ids=["search", "embed", "knn-service"],
)
def test_requests_are_encoded_together_and_told_of(
    shelf: Shelf, route: str, body: Callable[[str], dict[str, Any]]
) -> None:
    encoder = Counting()
    with in_thread(library(shelf, encoder), max_concurrent=1, cache_mb=0) as http:
        until(lambda: status(http) == 200)
        encoder.batches.clear()

        def ask(text: str) -> httpx.Response:
            return httpx.post(f"{http.base_url}/{route}", json=body(text), timeout=30)

        with ThreadPoolExecutor(9) as pool:
            first = pool.submit(ask, "slow")
            assert encoder.entered.acquire(timeout=30)
            others = [pool.submit(ask, f"red {n}") for n in range(8)]
            until(lambda: "cinedex_places_taken 9.0" in http.get("/metrics").text)
            encoder.let_go.set()
            answers = [each.result(30) for each in (first, *others)]
        assert {answer.status_code for answer in answers} == {200}
        assert [len(batch) for batch in encoder.batches] == [1, 8]
        told = http.get("/metrics").text
        assert 'cinedex_batch_size_bucket{le="8.0"}' in told
        assert "cinedex_places_taken 0.0" in told


def test_what_was_asked_before_is_not_encoded_again_and_told_of(shelf: Shelf) -> None:
    encoder = Counting()
    with in_thread(library(shelf, encoder)) as http:
        until(lambda: status(http) == 200)
        encoder.batches.clear()
        answers = [http.post("/search", json={"query": "a blue thing"}).json() for _ in range(3)]
        assert encoder.batches == [["a blue thing"]]
        assert answers[0]["results"] == answers[1]["results"] == answers[2]["results"]
        assert answers[0]["took_ms"]["total"] >= answers[0]["took_ms"]["encode"] > 0
        told = http.get("/metrics").text
        hits, misses = (
            float(next(line for line in told.splitlines() if line.startswith(name)).split()[1])
            for name in ("cinedex_cache_hits_total", "cinedex_cache_misses_total")
        )
        assert hits >= 2 and misses >= 1


def encoded(value: float) -> TextVector:
    return TextVector(np.full(256, value, np.float32), False)


def test_a_cache_forgets_what_was_unused_longest_and_never_holds_more_than_it_may() -> None:
    cache = vector_cache(3 * 1_450)
    for number in range(3):
        cache.put(("a", str(number)), encoded(number))
    assert cache.get(("a", "0")) is not None
    cache.put(("a", "3"), encoded(3))
    assert [cache.get(("a", str(n))) is not None for n in range(4)] == [True, False, True, True]
    assert cache.get(("b", "0")) is None
    cache.put(("a", "0"), encoded(9))
    held = cache.get(("a", "0"))
    assert held is not None and held.vector[0] == 9
    cache.put(("a", "x" * 5_000), encoded(1))
    assert cache.get(("a", "x" * 5_000)) is None
    assert cache.get(("a", "3")) is not None


def test_a_cache_of_nothing_holds_nothing() -> None:
    cache = vector_cache(0)
    cache.put(("a", "red"), encoded(1))
    assert cache.get(("a", "red")) is None
