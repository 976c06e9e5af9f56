"""Decoding by a GPU: refused where it cannot be, and told where a file is not for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import UsageError, VideoError
from core.types import Look, Sampling
from extractor.cli import main
from extractor.encoders.devices import gpu_count
from extractor.media.hardware import require
from extractor.media.reader import Anew, Picture, Reader
from extractor.media.reading import Order, Read, read
from extractor.media.write import Encoding
from tests.conftest import shapes, write_film
from tests.extractor.shelf import Shelf


def read_by(decoder: str, file: Path) -> tuple[list[Picture], Read]:
    order = Order(Sampling(), Look(size=32), decoder=decoder)
    *pictures, found = read(os.fsencode(file), order, lambda: None)
    assert isinstance(found, Read)
    return [picture for picture in pictures if isinstance(picture, Picture)], found


def assert_same(found: tuple[list[Picture], Read], expected: tuple[list[Picture], Read]) -> None:
    assert found[1].trouble is None is expected[1].trouble and found[1].facts == expected[1].facts
    assert len(found[0]) == len(expected[0]) > 0
    for one, other in zip(found[0], expected[0], strict=True):
        assert one.t == other.t and np.array_equal(one.pixels, other.pixels)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A film whose codec no GPU decodes."""
    write_film(tmp_path / "old.avi", shapes("red"), Encoding("ffv1", fps=Fraction(10)))
    return tmp_path / "old.avi"


def test_without_a_gpu_it_is_refused_before_anything_is_done(
    shelf: Shelf, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if gpu_count():
        pytest.skip("there is one")
    shelf.put(videos / "red.mp4")
    assert main(shelf.flags("--decoder=cuda")) == 2
    assert capsys.readouterr().err == "extract: --decoder cuda needs a GPU; no GPU is found.\n"
    assert not (shelf.folder / "data").exists()


def test_without_the_drivers_decoder_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extractor.media.hardware._LIBRARY", "libno-such-library.so.1")
    with pytest.raises(
        UsageError, match=r"needs the driver's libno-such-library.so.1, .* a container is given"
    ):
        require(1)


def test_what_no_gpu_decodes_the_cpu_does_and_it_is_told(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        found = read_by("cuda", old)
    assert_same(found, read_by("cpu", old))
    assert caplog.messages == ["decoded by the CPU, since the GPU cannot path=old.avi why=ffv1"]


def test_what_a_gpu_that_is_gone_does_not_decode_the_cpu_does_too(
    videos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        found = read_by("cuda:99", videos / "red.mp4")
    assert_same(found, read_by("cpu", videos / "red.mp4"))
    (told,) = caplog.messages
    assert told.startswith(
        "decoded by the CPU, since the GPU cannot path=red.mp4 why=red.mp4 cannot be opened: "
    )


def test_what_a_gpu_began_is_void_where_it_cannot_go_on(
    videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(self: Reader, *args: Any) -> Iterator[Picture | Anew]:
        for number, picture in enumerate(planned(self, *args)):
            if self._decoder == "cuda" and number == 2:
                raise VideoError("the GPU is full")
            yield picture

    planned = Reader.planned
    monkeypatch.setattr("extractor.media.opening.accelerated", lambda decoder: None)
    monkeypatch.setattr(Reader, "planned", breaks)
    order = Order(Sampling(), Look(size=32), decoder="cuda")
    kinds = [type(each) for each in read(os.fsencode(videos / "red.mp4"), order, lambda: None)]
    assert kinds == [Picture] * 2 + [Anew] + [Picture] * 10 + [Read]


def test_what_is_damaged_is_so_for_a_gpu_too(broken: Path) -> None:
    _, found = read_by("cuda", broken / "truncated.mp4")
    assert found.trouble is not None and found.trouble.is_final
    assert found.trouble.error == read_by("cpu", broken / "truncated.mp4")[1].trouble.error  # type: ignore[union-attr]


@pytest.mark.gpu
def test_a_gpu_gives_the_same_pictures_at_the_same_times(
    videos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = read_by("cpu", videos / "red-then-blue.mp4")
    with caplog.at_level(logging.INFO):
        found, word = read_by("cuda", videos / "red-then-blue.mp4")
    assert word.trouble is None and not caplog.records
    assert [each.t for each in found] == [each.t for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 2


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)
