"""Clips and exact pictures over HTTP: cut by processes of their own, from a library of real videos."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from extractor.world.plain_films import PLAIN_COLOURS
from server.clips import Clips
from server.opened import Opened
from server.routes import media
from server.service import Service
from tests.extractor.cuts import pictures
from tests.server.conftest import in_thread
from tests.server.filmed import DAY, Films, id_at
from tests.server.held import Decoders
from tests.server.worlds import until

NAMES = ("red.mp4", "rotated.mp4", "with-sound.mkv", "short.webm")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Films:
    return Films.copied(videos, tmp_path_factory.mktemp("clips"), *NAMES)


@pytest.fixture(scope="module")
def http(films: Films) -> Iterator[httpx.Client]:
    with in_thread(films.library(), max_clip_seconds=8) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def refused(answer: httpx.Response, status: int, field: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["field"] == field
    return str(answer.json()["error"]["message"])


def written(answer: httpx.Response, to: Path) -> Path:
    assert answer.status_code == 200, answer.text
    to.write_bytes(answer.content)
    return to


def test_a_clip_is_an_mp4_of_these_seconds(http: httpx.Client, films: Films, tmp_path: Path) -> None:
    answer = http.get(f"/clip/{id_at(http, 'rotated.mp4')}", params={"start": 1.25, "end": 3})
    assert answer.headers["content-type"] == "video/mp4" and answer.headers["accept-ranges"] == "bytes"
    ours = pictures(written(answer, tmp_path / "clip.mp4"))
    assert ours[-1].end == pytest.approx(1.75, abs=1e-4)
    theirs = [each for each in pictures(films.folder / "rotated.mp4") if each.end > 1.25 and each.t < 3]
    assert len(ours) == len(theirs)


def test_without_an_end_a_clip_ends_with_the_video(http: httpx.Client, tmp_path: Path) -> None:
    answer = http.get(f"/clip/{id_at(http, 'with-sound.mkv')}", params={"start": 3})
    assert pictures(written(answer, tmp_path / "clip.mp4"))[-1].end == pytest.approx(1.0, abs=0.02)


def test_ranges_of_a_clip_are_of_one_cut(http: httpx.Client) -> None:
    address = f"/clip/{id_at(http, 'red.mp4')}?start=2&end=4"
    with ThreadPoolExecutor(3) as pool:
        whole, head, tail = pool.map(
            lambda asked: http.get(address, headers=asked),
            [{}, {"Range": "bytes=0-99"}, {"Range": "bytes=100-"}],
        )
    assert (whole.status_code, head.status_code, tail.status_code) == (200, 206, 206)
    assert head.content + tail.content == whole.content
    assert whole.headers["etag"] == head.headers["etag"]
    known = http.get(address, headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, http.head(address).headers["content-length"]) == (304, str(len(whole.content)))


@pytest.mark.parametrize(
    ("query", "status", "field", "says"),
    [
        ({"start": 3, "end": 3}, 400, "end", "end: must be above start (3) (got '3')."),
        ({"start": 10}, 400, "start", "start: the video ends at 10 s."),
        ({"end": 9}, 413, "end", "end: the clip would be 9 s long; at most 8 s are cut."),
        ({}, 413, "end", "end: the clip would be 10 s long; at most 8 s are cut."),
        ({"end": "inf"}, 400, "end", None),
        ({"begin": 1}, 400, "begin", None),
    ],
)
def test_seconds_that_cannot_be_cut_are_refused(
    http: httpx.Client, query: dict[str, Any], status: int, field: str, says: str | None
) -> None:
    message = refused(http.get(f"/clip/{id_at(http, 'red.mp4')}", params=query), status, field)
    assert says is None or message == says


def test_an_exact_picture_is_the_one_shown_then_in_the_size_of_a_tile(http: httpx.Client) -> None:
    answer = http.get(f"/thumbnail/{id_at(http, 'red.mp4')}", params={"t": 3.33, "exact": 1})
    assert answer.headers["content-type"] == "image/jpeg" and answer.headers["cache-control"] == DAY
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (160, 90)
        assert np.abs(np.asarray(picture).mean(axis=(0, 1)) - PLAIN_COLOURS["red"]).max() < 6


def test_a_damaged_file_is_told_in_one_sentence(tmp_path: Path, videos: Path) -> None:
    films = Films.copied(videos, tmp_path, "red.mp4")
    file = films.folder / "red.mp4"
    held, size = file.stat(), file.stat().st_size
    file.write_bytes(bytes(size))
    os.utime(file, ns=(held.st_atime_ns, held.st_mtime_ns))
    with in_thread(films.library()) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        id = id_at(client, "red.mp4")
        for address in (f"/clip/{id}?end=2", f"/thumbnail/{id}?exact=1"):
            message = refused(client.get(address), 422)
            assert message.startswith("red.mp4 cannot be opened") and str(films.folder) not in message


def test_what_takes_too_long_is_given_up(films: Films, decoders: Decoders) -> None:
    with in_thread(films.library(), decode_seconds=0.25) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        decoders.signals.append(signal.SIGSTOP)
        message = refused(client.get(f"/clip/{id_at(client, 'red.mp4')}?end=2"), 422)
        assert message.startswith("red.mp4 cannot be decoded: it takes ")


def test_kept_clips_are_bounded_and_have_no_name() -> None:
    clips, made = Clips(most_bytes=250), list[Path]()

    def make(to: Path) -> None:
        made.append(to)
        to.write_bytes(bytes(100))

    for key in ("a", "b", "a", "c", "b", "a"):  # c takes b's place, b a's, and a c's
        clips.made(key, make).close()
    assert len(made) == 6 - 1
    assert not any(path.exists() or path.parent.exists() for path in made)
    held = clips.get("a")
    clips.close()
    assert held is not None and os.pread(held.descriptor, 200, 0) == bytes(100)
    held.close()
    assert clips.get("a") is None


def test_a_cut_that_fails_is_tried_again() -> None:
    clips = Clips(most_bytes=100)

    def fail(to: Path) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        clips.made("a", fail)
    clips.made("a", Path.touch).close()
    clips.close()


def test_who_waits_for_the_same_clip_keeps_no_thread_from_others(
    films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = threading.Semaphore(0), threading.Event()
    make = media._make

    def slowly(service: Service, found: Opened, start: float, end: float, to: Path) -> None:
        begun.release()
        assert start or let_go.wait(30)
        make(service, found, start, end, to)

    monkeypatch.setattr(media, "_make", slowly)
    with in_thread(films.library(), max_decoding=2) as client, ThreadPoolExecutor(3) as pool:
        until(lambda: client.get("/readyz").status_code == 200)
        address = f"/clip/{id_at(client, 'red.mp4')}"
        same = [pool.submit(client.get, f"{address}?start=0&end=2") for _ in range(3)]
        assert begun.acquire(timeout=30)
        until(lambda: "cinedex_in_flight 4.0" in client.get("/metrics").text)
        assert client.get(f"{address}?start=3&end=4").status_code == 200
        let_go.set()
        assert len({each.result(30).content for each in same}) == 1
    assert begun.acquire(blocking=False) and not begun.acquire(blocking=False)
