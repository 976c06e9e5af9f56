"""Imported vectors of unknown weights answer only where somebody vouches for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest

from core.collections import Library
from core.commands import main
from core.store import Store
from core.types import EncoderSpec, Look
from index.build import build
from server.library import ServedLibrary
from server.trust import distrusted, misfit
from tests.extractor.exchange.foreign import Video, write_files
from tests.server.conftest import Running, in_thread, start
from tests.server.worlds import TOY, Shelf, until, vector

DOUBT = (
    "The index holds imported vectors that are said to be of toy:rgb, of unknown weights; "
    "--trust-import toy:rgb takes that for true."
)


def imported(data: Path, *, dim: int = 12) -> Path:
    """A red and a blue film, as clip-video-encode has them."""
    frames = {name: np.tile(vector(name), (6, 1))[:, :dim] for name in ("red", "blue")}
    folder = write_files(data.parent / "theirs", [Video(name, rows) for name, rows in frames.items()])
    flags = ["--encoder", "toy:rgb", "--fps", "1", "--data", str(data), "--normalise"]
    assert main(["import", str(folder), *flags]) == 0
    (root,) = (Library(data).store_path(slug) for slug in Library(data).collections()["default"])
    build(Store.open(root))
    return root


def asked(data: Path, *trusted: str) -> httpx.Response:
    with in_thread(ServedLibrary.of_data(data, trusted=trusted)) as http:
        until(lambda: http.post("/search", json={"query": "red"}).status_code != 503)
        return http.post("/search", json={"query": "red", "level": "frame"})


@pytest.mark.parametrize("trusted", [[], ["toy:bgr", "toy"]])
def test_without_trust_it_is_a_conflict_that_says_how(tmp_path: Path, trusted: Sequence[str]) -> None:
    imported(tmp_path / "data")
    answer = asked(tmp_path / "data", *trusted)
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, DOUBT)


def test_a_server_that_is_told_to_trust_it_answers(tmp_path: Path) -> None:
    imported(tmp_path / "data")
    server: Running = start(tmp_path / "data", "--trust-import", "toy:rgb")
    try:
        best = server.search("red").json()["results"][0]
        shown = server.http.get("/collections").json()["collections"][0]["encoders"][0]
    finally:
        assert server.stop() == 0
    assert (best["path"], best["approximate"]) == ("theirs/red", True)
    assert best["score"] == pytest.approx(1, abs=1e-3)
    assert (shown["name"], shown["ready"]) == ("toy:rgb", True)


def test_vectors_of_another_length_are_not_trusted_whatever_is_said(tmp_path: Path) -> None:
    imported(tmp_path / "data", dim=8)
    answer = asked(tmp_path / "data", "toy:rgb")
    assert answer.status_code == 409
    assert answer.json()["error"]["message"] == (
        "The index holds imported vectors of toy:rgb with 8 numbers, "
        "and the encoder loaded here is toy:rgb with 12."
    )


def test_search_without_a_server_needs_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imported(tmp_path / "data")
    capsys.readouterr()
    flags = ["search", "red", "--data", str(tmp_path / "data"), "--top", "1"]
    assert main(flags) == 1
    assert capsys.readouterr().err == f"cinedex search: {DOUBT}\n"
    assert main([*flags, "--trust-import", "toy:rgb", "--encoder", "toy:rgb"]) == 0
    assert capsys.readouterr().out.endswith("~00:00.000 – 00:06.000  1.000  theirs/red\n")


def test_what_was_extracted_needs_no_trust(shelf: Shelf) -> None:
    assert asked(shelf.library.data, "toy:rgb").status_code == asked(shelf.library.data).status_code == 200


def test_only_name_and_length_can_agree_where_nothing_else_is_known() -> None:
    said = EncoderSpec("toy:rgb", 12, Look(0), weights="unknown")
    assert distrusted(TOY.spec, []) is None and misfit(said, TOY.spec) is None
    assert misfit(TOY.spec, EncoderSpec("toy:rgb", 12, Look(33))) is not None
    assert misfit(EncoderSpec("toy:bgr", 12, Look(0), weights="unknown"), TOY.spec) is not None
