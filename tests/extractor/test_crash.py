"""`extract` killed at every durable step, then run again: each source is live exactly once."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from extractor.cli import main
from tests.durable import every_step
from tests.extractor.shelf import Shelf, vectors


def test_extract_killed_at_any_step_and_run_again_has_each_source_once(tmp_path: Path, videos: Path) -> None:
    shelf, whole = Shelf(tmp_path / "killed"), Shelf(tmp_path / "whole")
    for name in ("short.webm", "late.mp4"):
        shelf.put(videos / name)
        whole.put(videos / name)
    for each in (shelf, whole):
        each.put(videos / "short.webm", "copy.webm")
    whole.extract()

    def extract() -> None:
        torch.set_num_threads(1)  # a fork has none of its parent's threads
        assert main(shelf.flags()) == 0

    def check(step: int) -> None:
        shelf.extract()
        assert shelf.live() == whole.live(), f"after step {step}"
        assert vectors(shelf.store) == vectors(whole.store), f"after step {step}"

    def prepare() -> None:
        shutil.rmtree(shelf.folder / "data", ignore_errors=True)

    assert every_step(extract, check, prepare) > 20
