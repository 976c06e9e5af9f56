"""A library is looked at before its time where somebody asks for what was not there."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from server.library import NO_COLLECTION, ServedLibrary
from server.waking import LEAST_S, Waking
from tests.server.conftest import in_thread
from tests.server.test_follow import message, status, videos
from tests.server.worlds import samples, until


def test_who_misses_what_was_just_published_has_it_looked_for_before_its_time(tmp_path: Path) -> None:
    with in_thread(ServedLibrary.of_data(tmp_path / "data"), follow_seconds=86_400) as http:
        until(lambda: message(http) == NO_COLLECTION)  # of the first look; the next one is tomorrow
        samples(tmp_path / "data")
        until(lambda: status(http) == 200)
        assert len(videos(http, "red")) == 3


def test_a_look_that_is_asked_for_comes_after_a_moment_and_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waking, slept = Waking(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        for _ in range(9):
            waking.wake()

    monkeypatch.setattr("server.waking.anyio.sleep", sleep)
    anyio.run(waking.wait, 86_400)
    assert slept == [LEAST_S]
