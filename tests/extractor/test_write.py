"""Files that we write ourselves: what writing leaves behind in the process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from extractor.media.write import Encoding, write_video


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="needs a system that tells")
def test_who_writes_av1_waits_for_others_as_before(tmp_path: Path) -> None:
    """libsvtav1 makes a thread of root's the first of all; servers that tests start would inherit it."""
    before = os.sched_getscheduler(0)
    write_video(tmp_path / "a.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, Encoding(codec="av1"))
    assert (tmp_path / "a.mp4").stat().st_size > 0 and os.sched_getscheduler(0) == before
