"""How often seconds go through an S3D while a video is extracted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from torch import Tensor

from core.log import Task
from core.types import Kind, Place, Sampling
from extractor.encoders.base import Encoder, around_of
from extractor.encoders.contract import pictures
from extractor.encoders.s3d_model import PICTURES
from extractor.encoders.s3d_model import Video as Net
from extractor.encoding import Encoding, Video
from extractor.media.reader import Picture
from extractor.work import Work
from tests.extractor.test_encoding import end, give


def passed(
    encoder: Encoder, net: Net, seconds: int, sampling: Sampling, patch: pytest.MonkeyPatch
) -> tuple[list[int], Mapping[Kind, int]]:
    """Of so many seconds of noise: how many went through the net each time, and how many rows there are."""
    sizes: list[int] = []
    forward = net.forward

    def counted(clips: Tensor) -> Tensor:
        sizes.append(len(clips))
        return forward(clips)

    patch.setattr(net, "forward", counted)
    shown = pictures(encoder, PICTURES * seconds).numpy()
    work = Work(Task(Place("films", b"one", "1-1"), 0))
    encoding, of = Encoding(encoder, 4), Video.begun(work, "one", sampling, around_of(encoder))
    give(encoding, of, [Picture(float(n), n + 1.0, run) for n, run in enumerate(np.split(shown, seconds))])
    end(encoding, of)
    assert [*encoding.encode(), *encoding.settle()] == [of]
    return sizes, {kind: len(rows) for kind, (rows, _) in of.all_rows().items()}
