"""Films for benchmarks: of the codec, length and keyframes that were asked for, and made once."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import pytest

from benchmarks.films import Films


def packets_of(path: Path) -> list[bool]:
    """Of each packet whether it is a keyframe."""
    with av.open(str(path)) as container:
        return [packet.is_keyframe for packet in container.demux(video=0) if packet.size]


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_keyframes_come_every_two_seconds_and_not_at_whole_tens(tmp_path: Path, codec: str) -> None:
    films = Films(tmp_path)
    path = films.film(codec, 90, 4)
    keys = packets_of(path)
    assert len(keys) == frames_of(path) == 120
    assert keys[0] and keys[30] and max(_distances(keys)) <= 60
    before = path.stat()
    assert films.film(codec, 90, 4) == path and path.stat() == before, "it is made once"


def _distances(keys: list[bool]) -> list[int]:
    at = [number for number, is_key in enumerate([*keys, True]) if is_key]
    return [after - before for before, after in pairwise(at)]


def test_a_longer_film_is_the_same_again_and_again(tmp_path: Path) -> None:
    films = Films(tmp_path)
    short = films.film("h264", 90, 2)
    assert frames_of(films.longer(short, 3)) == 3 * frames_of(short) == 180


def test_a_sparse_film_has_next_to_nothing_in_its_packets(tmp_path: Path) -> None:
    path = Films(tmp_path).sparse(10)
    assert frames_of(path) == 600
    assert path.stat().st_size < 100 * 600


def test_tiny_videos_differ_in_bytes_and_lie_in_one_long_one_too(tmp_path: Path) -> None:
    films = Films(tmp_path)
    tiny = films.tiny(22)
    assert len({path.read_bytes() for path in tiny}) == 22
    assert {frames_of(path) for path in tiny} == {30}
    assert frames_of(films.tiny_long(22)) == 22 * 30
