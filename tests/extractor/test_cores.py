"""The encoder computes on the cores that no decoder is busy on, and leaves torch as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.errors import EncoderError
from core.log import Task
from core.types import Look, Place
from extractor import cores
from extractor.ahead import Decoders
from extractor.cores import Cores, allowed
from extractor.encoders import BUILT_IN, toy
from extractor.pipeline import work
from extractor.work import Job, Loaded, Work


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_the_encoder_has_the_cores_that_no_decoder_is_busy_on(threads: int) -> None:
    held = Cores(threads)
    for busy, expected in ((0, threads), (1, max(1, threads - 1)), (threads + 3, 1), (0, threads)):
        held.leave(busy)
        assert torch.get_num_threads() == expected


def test_it_has_no_more_than_its_container_is_given(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in ((8, threads), (2, 2), (1, 1)):
        monkeypatch.setattr(cores, "usable_cpus", lambda given=given: given)
        cores.bound()
        assert torch.get_num_threads() == expected


def test_it_never_has_more_than_torch_was_told(threads: int) -> None:
    assert allowed(threads + 5) == threads
    assert allowed(0) == 0
    Cores(0).leave(threads + 5)
    assert torch.get_num_threads() == threads


def test_torch_is_left_as_it_was(threads: int) -> None:
    with closing(Cores(2)) as cores:
        cores.leave(1)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


class Noted(toy.Toy):
    """Notes on how many threads it was loaded and read texts."""

    found: list[int]
    precision = "int4"  # a stranger's, which means nothing here

    def texts(self, texts: Sequence[str]) -> Tensor:
        self.found.append(torch.get_num_threads())
        return super().texts(texts)


def noted(variant: str, device: str, weights: Path | None) -> Noted:
    Noted.found = [torch.get_num_threads()]
    return Noted(device, Look(size=32))


def broken(variant: str, device: str, weights: Path | None) -> Noted:
    noted(variant, device, weights)
    raise EncoderError("it is broken.")


def texts(count: int) -> Iterator[Work]:
    places = (Place("texts", str(number).encode(), f"text:{number}") for number in range(count))
    return (Work(Task(place, 0), text=f"red {place.shown}") for place in places)


def test_it_has_all_cores_before_there_are_decoders_and_texts_leave_them_theirs(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUILT_IN, "mine", (f"{__name__}:noted", ""))
    monkeypatch.setattr(Decoders, "busy", 2)
    job = Job(tmp_path / "store", "mine", decoders=2, cores=3, batch=4)
    told = [each for each in work(job, "cpu", texts(6), threading.Event()) if isinstance(each, Loaded)]
    assert Noted.found == [3, 3, 1, 1]  # loaded, the probes, and two batches
    assert torch.get_num_threads() == threads and told == [Loaded("cpu", batch_pictures=4)]


def test_an_encoder_that_does_not_load_leaves_torch_as_it_was(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUILT_IN, "mine", (f"{__name__}:broken", ""))
    job = Job(tmp_path / "store", "mine", decoders=2, cores=2)
    with pytest.raises(EncoderError):
        list(work(job, "cpu", texts(1), threading.Event()))
    assert Noted.found == [2] and torch.get_num_threads() == threads
