"""Models are built for a file's tensors without torch's compiler, whose end is heard on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from extractor.encoders.unfilled import unfilled
from tests.extractor.encoders import tiny_s3d


def test_what_is_made_has_shapes_and_no_memory() -> None:
    with unfilled():
        made = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.LayerNorm(3), nn.Conv3d(3, 2, 1))
    assert all(each.is_meta for each in made.parameters())
    assert [tuple(each.shape) for each in made.parameters()][:2] == [(5, 4), (3, 4)]


def test_a_worker_says_nothing_but_json(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    file = tiny_s3d.file(tmp_path / "s3d_howto100m.pth", 3)
    code = f"""
import sys
from extractor.encoders import load
from pathlib import Path
load("s3d", weights=Path({str(file)!r}))
assert "torch._dynamo" not in sys.modules and "triton" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    flags = [f"--data={tmp_path / 'data'}", "--encoder=s3d", f"--weights={file}", "--workers=1"]
    flags += [f"--videos={videos / 'red.mp4'}", "--log-format=json", "--device=cpu"]
    run = "import sys; from core.commands import main; sys.exit(main())"
    told = subprocess.run(
        [sys.executable, "-c", run, "extract", *flags],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = told.stderr.splitlines()
    assert lines and all(isinstance(json.loads(line), dict) for line in lines)
