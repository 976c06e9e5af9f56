"""Decoders that run ahead: they rest while the encoder has enough, and it is told who waited for whom."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.files import stamp_of
from core.log import Task
from core.types import Facts, Look, Place, Sampling
from extractor.ahead import Begun, Claims, Decoders, Ended, Message, Seen
from extractor.content import Content, content_of
from extractor.media.children import Child, Limits
from extractor.media.reader import Picture
from extractor.media.reading import Order, Read
from extractor.work import Work
from tests.extractor.shelf import Shelf, outcome
from tests.extractor.test_children import wait_for
from tests.extractor.test_executors import run_of

WANTED = Order(Sampling(), Look(size=4))


@dataclass
class Endless:
    """A decoder of so many pictures a file."""

    count: int

    def content(self, file: bytes) -> Content:
        return content_of(file)

    def read(self, file: bytes, order: Order) -> Iterator[Picture | Read]:
        pixels = np.zeros((4, 4, 3), np.uint8)
        yield from (Picture(float(n), n + 1.0, pixels) for n in range(self.count))
        yield Read(Facts(seconds=float(self.count)))

    def close(self) -> None:
        pass


def decoders(folder: Path, files: int, pictures: int) -> Decoders:
    works = []
    for number in range(files):
        path = folder / f"{number}.mp4"
        path.write_text(str(number))
        place = Place("films", os.fsencode(path.name), stamp_of(path.stat()))
        works.append(Work(Task(place, 0), file=os.fsencode(path)))
    claims = Claims(lambda source: False)
    return Decoders(iter(works), claims, WANTED, 60.0, lambda beat, is_left: Endless(pictures))


def test_a_decoder_rests_while_the_encoder_has_enough_and_goes_on_when_half_is_gone(tmp_path: Path) -> None:
    ahead = decoders(tmp_path, 1, 1_000)
    with closing(ahead.run(1, threading.Event())) as messages:
        found: list[Message | None] = [next(messages)]
        wait_for(lambda: ahead.busy == 0)
        while ahead.busy == 0:
            found.append(next(messages))
        assert len(found) > 60
        found += messages
    assert [type(each) for each in found] == [Begun, *[Seen] * 1_000, Ended]
    waited_s, rested_s = ahead.waits_s()
    assert waited_s >= 0.0 and rested_s > 0.1
    assert ahead.waits_s() == (0.0, 0.0)


def test_nobody_is_busy_when_all_is_read(tmp_path: Path) -> None:
    ahead = decoders(tmp_path, 5, 3)
    found = list(ahead.run(2, threading.Event()))
    assert sum(isinstance(each, Seen) for each in found) == 15
    assert ahead.busy == 0 and not ahead.has_stalled


def test_nothing_waits_for_a_look_at_the_clock(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many files: where each took one such look, a run would take hours."""
    for module in ("ahead", "executors", "media.children"):
        monkeypatch.setattr(f"extractor.{module}._LOOK_S", 3600.0)
    shelf = Shelf(tmp_path)
    for name in ("late.mp4", "short.webm", "vfr.mkv"):
        shelf.put(videos / name)
        shelf.put(videos / name, f"copy-{name}")
    assert outcome(shelf.extract()) == {"done": 3, "copies": 3}
    again = run_of(shelf, workers=1, again=True)
    list(again.events())
    assert (again.tally.done, again.tally.copies) == (3, 3)
    with closing(Child(Limits(), 48, lambda: None, lambda: False)) as child:
        for path in shelf.films.iterdir():
            *_, last = child.read(os.fsencode(path), Order(Sampling(), Look(size=48)))
            assert isinstance(last, Read)
