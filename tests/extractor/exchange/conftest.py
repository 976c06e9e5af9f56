"""A library to import into."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.extractor.exchange.foreign import Importer


@pytest.fixture
def importer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Importer:
    return Importer(tmp_path / "data", capsys)
