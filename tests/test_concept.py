"""A trained encoder from outside, as a plugin: real pictures reach it upright and in RGB."""

from __future__ import annotations

import json
import os
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.store import Store
from core.types import Float32Array, Segment
from extractor.encoders import families, load
from index.cli import main as index
from index.snapshot import Snapshot
from tests.extractor.shelf import Shelf

PLUGIN = """
import importlib.util, os
import numpy as np
import torch
from core.types import EncoderSpec, Look, Sampling

class Plugin:
    def __init__(self, model):
        self.model = model
        look = Look(size=256, resize="bilinear", scale="pillow")
        often = Sampling(fps=8.0, clip_seconds=1.0, stride_seconds=1.0)
        self.spec = EncoderSpec("concept:mobilenet", model.dim, look, weights="imagenet", sampling=often)

    def features(self, pictures):
        edge = (256 - self.model.size) // 2
        return torch.from_numpy(self.model.pictures(pictures.numpy()[:, edge:-edge, edge:-edge]))

    def clips(self, features, index):
        rows = [features[torch.from_numpy(each)].mean(dim=0) for each in index]
        if not rows:
            return torch.empty(0, self.model.dim)
        return torch.nn.functional.normalize(torch.stack(rows), dim=1)

    def texts(self, texts):
        return torch.from_numpy(self.model.texts(list(texts)))

    def too_long(self, texts):
        return [False] * len(texts)

def load(variant, device, weights, **options):
    where = importlib.util.spec_from_file_location("concept", os.environ["CONCEPT"])
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return Plugin(module.Concept())
"""


@pytest.fixture
def plugin(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Installed as any package is: a module, and an entry point in its metadata."""
    folder = tmp_path / "site"
    metadata = folder / "cinedex_concept-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "cinedex_concept.py").write_text(PLUGIN)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: cinedex-concept\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[cinedex.encoders]\nconcept = cinedex_concept:load\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))  # for workers
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("CONCEPT", str(media.parent / "concept" / "concept.py"))
    yield "concept:mobilenet"
    sys.modules.pop("cinedex_concept", None)


def test_captions_find_the_real_videos_they_describe(plugin: str, media: Path, tmp_path: Path) -> None:
    assert families()["concept"] == "cinedex_concept:load"
    lines = map(json.loads, (media / "videos.jsonl").read_text().splitlines())
    captions = {line["file"]: line["caption"] for line in lines if line["caption"]}
    shelf = Shelf(tmp_path)
    for name in captions:
        shelf.put(media / "videos" / name)
    shelf.extract(f"--encoder={plugin}", "--workers=1")
    assert index(["build", f"--data={tmp_path / 'data'}", "--quiet"]) == 0
    ranks = list(ranks_of(captions, shelf, plugin))
    assert len(ranks) == 35
    at = {k: sum(rank < k for rank in ranks) / len(ranks) for k in (1, 5)}
    assert at[1] == pytest.approx(0.31, abs=0.03) and at[5] == pytest.approx(0.60, abs=0.03)


def store_of(shelf: Shelf) -> Store:
    return Store.open(shelf.folder / "data" / "concept-mobilenet")


def shelf_ids(shelf: Shelf) -> dict[str, str]:
    """Each file's source."""
    live = store_of(shelf).log.last().live()
    return {os.fsdecode(place.path): each.id for each in live for place in each.places}


def ranks_of(captions: dict[str, str], shelf: Shelf, plugin: str) -> Iterator[int]:
    """Of each caption's video, by the mean of the eight pictures at ninths of it: with so few videos, others
    move the figures by one or two of them."""
    encoder, ids = load(plugin), shelf_ids(shelf)
    snapshot = Snapshot.open(store_of(shelf))
    means = np.stack([eighths(*snapshot.vectors(ids[name], "frame")) for name in captions])
    for number, caption in enumerate(captions.values()):
        scores = means @ encoder.texts([caption]).numpy()[0]
        yield int((scores > scores[number]).sum())


def eighths(segments: Sequence[Segment], vectors: Float32Array) -> Float32Array:
    starts = [segment.start for segment in segments]
    first, last = starts[0], segments[-1].end
    shown = [bisect_right(starts, first + (last - first) * n / 9) - 1 for n in range(1, 9)]
    mean = vectors[shown].mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)
