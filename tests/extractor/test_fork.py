"""What children are forked from."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest

from extractor.media import fork


def test_a_long_tmpdir_is_left_aside_by_one_thread_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = str(tmp_path / ("long" * 20))
    monkeypatch.setattr(tempfile, "tempdir", long)
    together, seen = Barrier(2), list[str | None]()

    def begin() -> None:
        with suppress(BrokenBarrierError):
            together.wait(0.3)
            seen.append("two at once")
        seen.append(tempfile.tempdir)

    monkeypatch.setattr(forkserver, "ensure_running", begin)
    with ThreadPoolExecutor(2) as threads:
        for each in [threads.submit(fork.prepare) for _ in range(2)]:
            each.result(30)
    assert seen == ["/tmp", "/tmp"]
    assert tempfile.tempdir == long
