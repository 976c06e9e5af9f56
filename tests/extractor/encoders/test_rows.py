"""Rows of what no store holds are those that a store would hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.query import Frames
from core.types import Look, Sampling
from extractor.content import content_of
from extractor.encoders import load
from extractor.encoders.base import Encoder
from extractor.encoders.rows import photo_rows, video_rows
from extractor.media.unknown import Bounds, frames_of
from index.build import build
from index.snapshot import Snapshot
from tests.extractor.encoders.models import TINY, add_model
from tests.extractor.shelf import Shelf

TOY = load("toy:rgb")


@pytest.mark.parametrize(
    "flags", [(), ("--fps=5", "--clip-seconds=2", "--stride-seconds=1"), ("--points=shots",)]
)
def test_a_video_has_the_rows_that_extract_stores(
    tmp_path: Path, videos: Path, flags: tuple[str, ...]
) -> None:
    shelf = Shelf(tmp_path)
    path = shelf.put(videos / "red-then-blue.mp4")
    shelf.extract(*flags)
    build(shelf.store)
    view, sampling = Snapshot.open(shelf.store), shelf.store.sampling
    (frames,) = frames_of([path], TOY.spec.look, sampling, Bounds(1_000_000, 60.0))
    assert isinstance(frames, Frames)
    rows = video_rows(TOY, frames)
    for kind in ("frame", "clip"):
        _, stored = view.vectors(content_of(bytes(path)).id, kind)
        assert len(stored) and np.array_equal(rows[kind], stored)


def test_photos_have_a_row_each_whatever_is_beside_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = add_model(monkeypatch, tmp_path, "tiny", TINY)
    encoder: Encoder = load(f"open_clip:{name}", random_weights=1)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    rows = photo_rows(encoder, pixels)
    assert rows.shape == (20, 16) and np.allclose(np.linalg.norm(rows, axis=1), 1)
    for number in (0, 15, 16, 19):
        assert np.allclose(photo_rows(encoder, pixels[number][None])[0], rows[number], atol=1e-5)
    frame = Frames(pixels[:1], Look(size=32), ((0.0, 1.0, 0.0),), Sampling())
    assert np.allclose(video_rows(encoder, frame)["clip"][0], rows[0], atol=1e-3)
