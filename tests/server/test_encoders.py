"""Encoders load beside what is served, may fail in any way, and are let go."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace

import httpx
import pytest
from torch import Tensor

from core import files
from core.errors import EncoderError
from core.types import EncoderSpec
from extractor.encoders.base import Encoder
from server.library import ServedLibrary
from tests.server.conftest import in_thread
from tests.server.test_follow import message, snapshot, status
from tests.server.test_serving import Slow, library
from tests.server.worlds import TOY, Shelf, until

OTHER = "other:one"


def other(shelf: Shelf) -> Shelf:
    """A second collection, of another encoder."""
    made = Shelf.make(shelf.library.data, "others", spec=replace(TOY.spec, name=OTHER))
    made.add({"only": [("red", 10)]})
    made.build()
    return made


def drop_others(shelf: Shelf) -> None:
    file = shelf.library.data / "collections.json"
    held = json.loads(file.read_text())
    del held["collections"]["others"]
    files.replace_text(file, json.dumps(held))


def encoder_of(name: str, revision: int = 1) -> Slow:
    encoder = Slow()
    encoder.spec = replace(TOY.spec, name=name, revision=revision)
    return encoder


def is_ready(http: httpx.Client) -> bool:
    return http.get("/readyz").status_code == 200


def test_an_encoder_that_does_not_fit_is_a_conflict(shelf: Shelf) -> None:
    encoder = Slow()
    encoder.spec = replace(TOY.spec, revision=2)
    with in_thread(library(shelf, encoder)) as http:
        until(lambda: status(http) == 409)
        error = http.post("/search", json={"query": "red"}).json()["error"]
        assert error["type"] == "conflict"
        assert TOY.spec.fingerprint in error["message"] and encoder.spec.fingerprint in error["message"]
        ready = http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["collections"][0]["encoders"][0]["reason"] == error["message"]


def test_an_encoder_that_does_not_load_is_tried_again(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[str] = []
    again = threading.Event()

    def load(spec: EncoderSpec) -> Encoder:
        tries.append(spec.name)
        if len(tries) < 2:
            raise EncoderError("The weights are missing.")
        assert again.wait(30)
        return TOY

    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        until(lambda: message(http) == "The encoder toy:rgb is not loaded; the server's log says why.")
        until(lambda: message(http) == "The encoder toy:rgb is loading.")
        assert status(http) == 503 and not is_ready(http)
        again.set()
        until(lambda: status(http) == 200)
    assert caplog.text.count("The weights are missing.") == 1
    assert "Traceback" not in caplog.text
    assert tries == ["toy:rgb", "toy:rgb"]


@pytest.mark.parametrize("bug", [RuntimeError("CUDA out of memory"), ImportError("no such module")])
def test_an_encoder_that_fails_as_it_likes_stops_nothing_else(
    shelf: Shelf, bug: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    other(shelf)

    def load(spec: EncoderSpec) -> Encoder:
        if spec.name == OTHER:
            raise bug
        return TOY

    served = ServedLibrary.of_data(shelf.library.data, load)
    with in_thread(served) as http:
        until(lambda: status(http) == 200)
        says = f"The encoder {OTHER} is not loaded; the server's log says why."
        until(lambda: message(http, collection="others") == says)
        assert status(http, collection="others") == 503
        shelf.add({"more": [("red", 20)]})
        newest = shelf.build()
        until(lambda: snapshot(http) == newest)
        assert is_ready(http)
    assert caplog.text.count(f"{type(bug).__name__}: {bug}") == 1
    assert "could not be looked at" not in caplog.text


def test_a_bug_in_one_store_stops_no_other(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    made = other(shelf)
    broken = encoder_of(OTHER)
    del broken.spec
    with in_thread(
        ServedLibrary.of_data(shelf.library.data, lambda spec: broken if spec.name == OTHER else TOY)
    ) as http:
        until(lambda: status(http) == 200)
        says = f"The store {made.store.root.name} cannot be opened."
        until(lambda: message(http, collection="others") == says)
        shelf.add({"more": [("red", 20)]})
        newest = shelf.build()
        until(lambda: snapshot(http) == newest)
    assert caplog.text.count("AttributeError") == 1


def test_while_it_loads_it_is_alive_and_not_ready(shelf: Shelf) -> None:
    loaded = threading.Event()

    def load(spec: EncoderSpec) -> Encoder:
        assert loaded.wait(30)
        return TOY

    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        assert http.get("/healthz").status_code == 200
        until(lambda: message(http) == "The encoder toy:rgb is loading.")
        assert status(http) == 503
        ready = http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["collections"][0]["encoders"][0]["reason"] == "The encoder toy:rgb is loading."
        loaded.set()
        until(lambda: is_ready(http))
        assert status(http) == 200


class Cold(Slow):
    """Its first text takes as long as is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.is_warm = threading.Event(), threading.Event()

    def texts(self, texts: Sequence[str]) -> Tensor:
        self.begun.set()
        assert self.is_warm.wait(30)
        return super().texts(texts)


def test_it_is_not_ready_before_it_has_encoded_a_text_that_nobody_asked_for(shelf: Shelf) -> None:
    encoder = Cold()
    with in_thread(library(shelf, encoder)) as http:
        assert encoder.begun.wait(30)
        assert not is_ready(http)
        encoder.is_warm.set()
        until(lambda: is_ready(http))


def test_it_is_ready_as_soon_as_it_is_loaded(shelf: Shelf) -> None:
    with in_thread(library(shelf, TOY), follow_seconds=3_600) as http:
        until(lambda: is_ready(http))


def test_an_encoder_that_loads_slowly_holds_up_no_other_store(shelf: Shelf) -> None:
    other(shelf)
    loaded = threading.Event()

    def load(spec: EncoderSpec) -> Encoder:
        if spec.name == OTHER:
            assert loaded.wait(60)
            return encoder_of(OTHER)
        return TOY

    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        until(lambda: status(http) == 200)
        assert message(http, collection="others") == f"The encoder {OTHER} is loading."
        shelf.add({"more": [("red", 20)]})
        newest = shelf.build()
        until(lambda: snapshot(http) == newest)
        assert status(http, collection="others") == 503
        loaded.set()
        until(lambda: status(http, collection="others") == 200)


@pytest.mark.usefixtures("unwatched")
def test_an_encoder_that_no_store_needs_any_more_is_let_go(shelf: Shelf) -> None:
    other(shelf)
    made: list[weakref.ref[Slow]] = []

    def load(spec: EncoderSpec) -> Encoder:
        if spec.name != OTHER:
            return TOY
        encoder = encoder_of(OTHER)
        made.append(weakref.ref(encoder))
        return encoder

    def is_gone() -> bool:
        gc.collect()
        return made[0]() is None

    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        until(lambda: status(http, collection="others") == 200)
        drop_others(shelf)
        until(is_gone)
        shelf.library.add_store("others", "other-one")
        until(lambda: status(http, collection="others") == 200)
        assert len(made) == 2


def test_a_store_that_is_made_anew_by_a_newer_encoder_is_served(shelf: Shelf) -> None:
    made, revisions = other(shelf), [1]

    def load(spec: EncoderSpec) -> Encoder:
        return encoder_of(OTHER, revisions[-1]) if spec.name == OTHER else TOY

    with in_thread(ServedLibrary.of_data(shelf.library.data, load)) as http:
        until(lambda: status(http, collection="others") == 200)
        revisions.append(2)
        shutil.rmtree(made.store.root)
        until(lambda: status(http, collection="others") == 503)
        newer = Shelf.make(shelf.library.data, "others", spec=encoder_of(OTHER, 2).spec)
        newer.add({"only": [("red", 10)]})
        newer.build()
        until(lambda: status(http, collection="others") == 200)
