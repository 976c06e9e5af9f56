"""Decoding by a GPU: refused where it cannot be, and told where a file is not for it."""

from __future__ import annotations

import logging
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import UsageError
from core.types import Look, Sampling
from extractor.cli import main
from extractor.encoders.devices import gpu_count
from extractor.media.hardware import require
from extractor.media.reader import Picture
from extractor.media.reading import Order, Read, read
from extractor.media.write import Encoding
from tests.conftest import shapes, write_film
from tests.extractor.shelf import Shelf


def read_by(decoder: str, file: Path) -> tuple[list[Picture], Read]:
    order = Order(os.fsencode(file), Sampling(), Look(size=32), decoder=decoder)
    *pictures, found = read(order, lambda: None)
    assert isinstance(found, Read)
    return [picture for picture in pictures if isinstance(picture, Picture)], found


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
    expected, _ = read_by("cpu", old)
    with caplog.at_level(logging.INFO):
        found, word = read_by("cuda", old)
    assert word.trouble is None and len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert one.t == other.t and np.array_equal(one.pixels, other.pixels)
    assert [each.getMessage() for each in caplog.records] == [
        "decoded by the CPU: the GPU cannot path=old.avi codec=ffv1"
    ]


def test_a_gpu_that_is_gone_is_no_files_fault(videos: Path) -> None:
    if gpu_count():
        pytest.skip("there is one")
    pictures, found = read_by("cuda", videos / "red.mp4")
    assert found.trouble is not None and not pictures and not found.trouble.is_final
    assert found.trouble.error.startswith("red.mp4 cannot be decoded by the GPU: ")


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
