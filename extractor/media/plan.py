"""Which packets must be decoded for the pictures that are wanted, and their decoding.

Bit for bit what a decoding of everything gives. What a plan relies on is checked as pictures come out: where
it does not hold, `UnmetError` says so and nothing of the plan is to be trusted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from core.types import IntArray
from extractor.media.clock import TICK, Shown
from extractor.media.packets import VideoPacket
from extractor.media.points import Choice
from extractor.media.timeline import Timeline
from extractor.work import Way

# What becomes of a packet. _LAST, of a run, stands beside _KEEP: a run ends with a picture that is wanted.
_SKIP, _DROP, _KEEP, _LAST = 0, 1, 2, 4
_JUMP_S = 1  # back in time; a decoder's order of pictures explains less
_BACK = {"planned": 0, "retried": 2}  # keyframes that are decoded before the one that should do
_MOST_POINTS = 200_000  # that a plan may hold: 50 MB
_PROGRESSIVE = 1  # a field order; above it, of fields
# Whose packets and pictures agree on which of them are keyframes.
_KEYED = frozenset(("av1", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9"))


class UnmetError(Exception):
    """A plan that did not hold: why, and whether another may (`is_damage`: none)."""

    def __init__(self, why: str, *, is_damage: bool = False) -> None:
        super().__init__(why)
        self.is_damage = is_damage


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with each packet, and which pictures come of it."""

    rows: Sequence[Shown[int]]  # in the order in which they are shown; `frame`: its packet's number
    acts: bytes
    pts: Sequence[int]  # of the rows
    keys: frozenset[int]  # pts of what has to be a keyframe: runs begin with it, or it is wanted as one
    end: Fraction  # of the video
    drops: bool  # pictures that no other refers to are passed over

    def decode(self, packets: Iterable[VideoPacket], stream: VideoStream) -> Iterator[VideoFrame]:
        """The picture of each row."""
        waiting = deque(self.pts)
        for frame in self._out(packets, stream):
            if frame.pts is None or frame.is_corrupt:
                raise UnmetError("a picture is damaged", is_damage=True)
            if self.drops and frame.interlaced_frame:  # of two fields, of which one may have been dropped
                raise UnmetError("a picture is of fields")
            if frame.pts in self.keys and not frame.key_frame:
                raise UnmetError("a keyframe is none")
            if waiting and frame.pts > waiting[0]:
                raise UnmetError("a picture did not come out")
            while waiting and frame.pts == waiting[0]:  # which may be of several rows
                waiting.popleft()
                yield frame
        if waiting:
            raise UnmetError("a picture did not come out")

    def _out(self, packets: Iterable[VideoPacket], stream: VideoStream) -> Iterator[VideoFrame]:
        codec, last = stream.codec_context, None
        try:
            for packet, act in zip(packets, self.acts, strict=False):
                if act == _SKIP:
                    continue
                codec.skip_frame = "NONREF" if act == _DROP else "DEFAULT"
                frames = codec.decode(packet)
                if act & _LAST:
                    frames += codec.decode(None)
                    codec.flush_buffers()
                for frame in frames:
                    if last is not None and frame.pts is not None and frame.pts <= last:
                        raise UnmetError("pictures come in another order")
                    last = frame.pts
                    yield frame
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:
            raise UnmetError(str(error.strerror), is_damage=True) from error


def plan(
    timeline: Timeline, choice: Choice, stream: VideoStream, zero: Fraction, way: Way = "planned"
) -> Plan | None:
    """How to get what is chosen, or None where everything has to be decoded."""
    if way == "full" or not _is_orderly(timeline, stream):
        return None
    if choice.takes_keyframes and stream.codec_context.codec.canonical_name not in _KEYED:
        return None
    base, end = stream.time_base or TICK, timeline.end(stream) - zero
    near = _near(timeline, choice, base, zero)
    if len(near) > _MOST_POINTS:
        return None
    rows = list(choice(_shown(timeline, near, base, zero), lambda: end))
    numbers = [row.frame for row in rows]
    if len({*numbers}) == timeline.is_shown.sum():
        return None
    keys = np.flatnonzero(timeline.is_key)
    runs = _runs(numbers, keys, timeline.pts, _BACK[way])
    # A field that nobody refers to may be half of a picture that is wanted.
    drops = way == "planned" and stream.codec_context.field_order <= _PROGRESSIVE
    acts = np.zeros(len(timeline.pts), np.uint8)
    for first, last in runs:
        acts[first : last + 1] = _DROP if drops else _KEEP
    acts[keys[acts[keys] > _SKIP]] = _KEEP
    acts[numbers] = _KEEP
    acts[[last for _, last in runs]] |= _LAST
    sure = [first for first, _ in runs] + (numbers if choice.takes_keyframes else [])
    of_keys = frozenset(int(timeline.pts[number]) for number in sure if timeline.is_key[number])
    return Plan(rows, acts.tobytes(), [int(timeline.pts[number]) for number in numbers], of_keys, end, drops)


def _is_orderly(timeline: Timeline, stream: VideoStream) -> bool:
    """Whether pictures will come out in the order of their times, and those are what the packets say."""
    if not (timeline.is_told and timeline.is_sound and timeline.is_key.any()):
        return False
    pts, base = timeline.pts, stream.time_base or TICK
    latest = np.maximum.accumulate(pts)
    back = latest - pts
    if stream.codec_context.reorder_depth == 0 and back.any():
        return False
    later_keys = np.flatnonzero(timeline.is_key[1:]) + 1
    return bool(back.max() <= _JUMP_S / base and (latest[later_keys - 1] < pts[later_keys]).all())


def _near(timeline: Timeline, choice: Choice, base: Fraction, zero: Fraction) -> IntArray:
    """The pictures that matter for a choice, in the order in which they are shown; most do not, and are not
    looked at one by one."""
    shown = np.flatnonzero(timeline.is_shown)
    shown = shown[np.argsort(timeline.pts[shown])]
    seconds: NDArray[np.float64] = timeline.pts[shown].astype(np.float64) * float(base) - float(zero)
    return shown[choice.near(seconds, timeline.is_key[shown])]


def _shown(timeline: Timeline, numbers: IntArray, base: Fraction, zero: Fraction) -> Iterator[Shown[int]]:
    for number in numbers.tolist():
        t = int(timeline.pts[number]) * base - zero
        yield Shown(t, t, number, is_key=bool(timeline.is_key[number]))


def _runs(numbers: Sequence[int], keys: IntArray, pts: IntArray, back: int) -> list[tuple[int, int]]:
    """First and last packet of each run that has to be decoded, apart and in order."""
    runs: list[tuple[int, int]] = []
    for last in sorted(numbers):
        key = bisect_right(keys, last) - 1
        while key >= 0 and pts[keys[key]] > pts[last]:  # it is shown before that keyframe: of the run before
            key -= 1
        key -= back
        first = int(keys[key]) if key >= 0 else 0
        while runs and first <= runs[-1][1] + 1:
            first = min(first, runs.pop()[0])
        runs.append((first, last))
    return runs
