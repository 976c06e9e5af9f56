"""DiDeMo's moments from what an S3D store holds: as the authors' code ranks them from its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from core.log import Task
from core.store import Store
from core.types import EncoderSpec, Facts, Place, Sampling, Segment, Source
from core.writer import Writer
from evaluation.moments import MOMENTS, ranked
from extractor.encoders.s3d import LOOK
from index.build import build
from index.snapshot import Snapshot
from tests.golden import recipe
from tests.golden.videoclip import made

DATA = Path(__file__).parents[1] / "golden" / "data"
VIDEOS = {"v-00": 30, "v-01": 17, "v-02": 32, "v-03": 28}  # seconds


@torch.inference_mode()
def test_moments_are_ranked_from_the_stored_seconds_of_s3d_as_the_authors_do(tmp_path: Path) -> None:
    manifest, expected = recipe.load(DATA / "mmpt_tiny_tasks.json")
    given = recipe.inputs(manifest, expected)
    store = Store.create(tmp_path / "s3d", EncoderSpec("s3d", 512, LOOK), Sampling())
    writer, since = Writer(store), store.log.last().number
    for number, (id, count) in enumerate(VIDEOS.items()):
        seconds = given[f"moment_video{number}"]
        assert len(seconds) == count
        rows = [Segment(id, float(t), float(t + 1)) for t in range(count)]
        task = Task(Place("films", id.encode(), "1"), since)
        writer.add(task, Source(id), {"frame": (rows, seconds)}, Facts(size=1, seconds=float(count)))
    writer.commit()
    build(store)
    view, encoder = Snapshot.open(store), made(recipe.load(DATA / "mmpt_tiny.json")[0])
    texts = encoder.texts(
        [" ".join(str(each) for each in row if each >= 0) for row in given["label_ids_raw"]]
    )
    for number, (id, count) in enumerate(VIDEOS.items()):
        _, seconds = view.vectors(id, "frame")
        states = encoder.moment_states(torch.from_numpy(seconds)).numpy()
        found = ranked(states, texts[number].numpy(), count)
        right = expected["didemo_ranking"][number]
        assert np.array_equal(found, right[: len(found)]) and (right[len(found) :] == -1).all()
    assert len(found) == len(MOMENTS)
