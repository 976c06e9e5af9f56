"""Retrieval as docs/encoders.md says to measure it: from what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from index.build import build
from tests.extractor.shelf import Shelf
from tests.test_docs import ROOT, blocks


def test_a_store_is_measured_by_the_lines_of_the_docs(
    tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(tmp_path)
    for colour in ("red", "green", "blue"):
        shelf.put(videos / f"{colour}.mp4")
    shelf.extract()
    build(shelf.store)
    said = blocks((ROOT / "docs/encoders.md").read_text(), "python")
    (code,) = (block for block in said if "evaluation.retrieval" in block)
    captions = [("blue", "a blue thing"), ("red", "red"), ("green", "green"), ("blue", "red")]
    given: dict[str, Any] = {
        "FOLDER": shelf.store.root,
        "CAPTIONS": [(f"films/{colour}.mp4", sentence) for colour, sentence in captions],
    }
    exec(code, given)
    found = given["found"]
    assert (found.text_to_video.queries, found.video_to_text.queries) == (4, 3)
    assert found.text_to_video.r1 == 75  # all but the blue one that is called red
    assert found.video_to_text.r1 == pytest.approx(200 / 3)  # the red one has two that say as much
    assert capsys.readouterr().out.startswith("Found(queries=4, r1=75.0")
