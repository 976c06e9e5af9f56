"""Rows made anew: what is held meanwhile is bounded by its bytes, however many points a clip has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from weakref import ref

import numpy as np
import pytest
import torch
from torch import Tensor

from core.store import Store
from core.types import Kind, Sampling
from extractor import compare
from extractor.compare import Remade
from extractor.encoders.base import Around
from extractor.media.reader import Picture
from extractor.stored import StoredRow
from tests.extractor.test_encoding import OfRuns

COUNT, MOST = 300, 10


class Counting(OfRuns):
    """Of how many runs features were made."""

    made = 0

    def features(self, pictures: Tensor) -> Tensor:
        found = super().features(pictures)
        Counting.made += len(found)
        return found


class AmongRuns(Counting):
    """The same, with frames that depend on what is around them."""

    around = Around(8, 4)

    def frames(self, features: Tensor, index: list[np.ndarray]) -> Tensor:
        return torch.cat([features[torch.from_numpy(run)].float() for run in index])


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("encoder", [Counting, AmongRuns])
@pytest.mark.parametrize("whole", [True, False])
def test_pictures_of_no_more_than_so_many_bytes_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: type[Counting], whole: bool
) -> None:
    sampling = Sampling(whole=True) if whole else Sampling(clip_seconds=60.0, stride_seconds=30.0)
    alive = most = 0
    refs: list[ref[np.ndarray]] = []

    def gone(_: object) -> None:
        nonlocal alive
        alive -= 1

    def pictures(*_: object) -> Iterator[Picture]:
        nonlocal alive, most
        for number in range(COUNT):
            pixels = np.full((30, 32, 32, 3), number % 256, np.uint8)
            refs.append(ref(pixels, gone))
            alive += 1
            most = max(most, alive)
            yield Picture(float(number), number + 1.0, pixels)

    monkeypatch.setattr(compare, "pictures_afresh", pictures)
    monkeypatch.setattr(compare, "load_again", lambda spec, device: encoder())
    monkeypatch.setattr(compare, "_HELD_BYTES", MOST * 30 * 32 * 32 * 3)
    store = Store.create(tmp_path / "store", encoder().spec, sampling)
    ends: dict[Kind, float] = {"clip": float(COUNT) if whole else 60.0, "frame": 1.0}
    rows = [StoredRow(kind, 0.0, end, "", np.zeros(12, np.float32)) for kind, end in ends.items()]
    rows.append(StoredRow("frame", COUNT - 1.0, float(COUNT), "", np.zeros(12, np.float32)))
    found = list(Remade(store, "cpu").video(tmp_path, rows))
    assert len(refs) == COUNT and [each.error_s for each in found] == [0.0] * 3
    assert most <= MOST + compare.BATCH + 2  # a batch on its way to the encoder, the next one, and this


def test_what_nobody_needs_is_not_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [
        Picture(float(number), number + 1.0, np.full((30, 32, 32, 3), number, np.uint8))
        for number in range(100)
    ]
    monkeypatch.setattr(compare, "pictures_afresh", lambda *_: iter(shown))
    monkeypatch.setattr(compare, "load_again", lambda spec, device: Counting())
    store = Store.create(tmp_path / "store", replace(Counting().spec), Sampling())
    Counting.made = 0
    row = StoredRow("frame", 50.0, 51.0, "", np.zeros(12, np.float32))
    (found,) = Remade(store, "cpu").video(tmp_path, [row])
    assert found.error_s == 0.0 and Counting.made == 1
