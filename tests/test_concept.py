"""A trained encoder from outside, as a plugin: real pictures reach it upright and in RGB."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.query import Filter
from core.store import Store
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
        whole = Sampling(points="uniform", count=8, whole=True, keep_frames=False)
        self.spec = EncoderSpec("concept:mobilenet", model.dim, look, weights="imagenet", sampling=whole)

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
    report = shelf.extract(f"--encoder={plugin}", "--workers=1")
    assert report["rows"] == {"frame": 0, "clip": len(shelf_ids(shelf)), "text": 0}
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
    encoder, ids = load(plugin), shelf_ids(shelf)
    snapshot = Snapshot.open(store_of(shelf))
    for name, caption in captions.items():
        (hits,) = snapshot.search("clip", encoder.texts([caption]).numpy(), len(ids), filter=Filter())
        yield [segment.source for segment in hits.segments].index(ids[name])
