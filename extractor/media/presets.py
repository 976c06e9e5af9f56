"""Which pictures the authors of a model gave it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from extractor.media.scan import Scan

_RATE = 5  # pictures a second that CLIP2Video's scripts have FFmpeg write (`-r 5`)
_MOST = 12  # of which the model sees that many
_EVERY = {"clip2video-msrvtt": 2, "clip2video-msvd": 1}  # one of so many is kept first
_EARLY, _LATE = -1.1, 1.1  # of a step: how far FFmpeg lets a picture stray before it drops or repeats one


def chosen_times(preset: str, scan: Scan) -> list[Fraction]:
    """When the chosen pictures begin, in order; as often as the authors give one to the model, if it is late
    or long enough for FFmpeg to write it more than once."""
    times = [t - scan.start for t in scan.times]
    written = at_rate(times, scan.end - scan.start)
    count = len(written) // _EVERY[preset] or min(1, len(written))
    kept = [written[i] for i in spread(len(written), count)]
    if len(kept) > _MOST:
        kept = [kept[i] for i in spread(len(kept), _MOST)]
    return sorted(scan.times[number] for number in kept)


def spread(count: int, wanted: int) -> list[int]:
    """`numpy.linspace(0, count - 1, wanted, dtype=int)`, by its own arithmetic."""
    if wanted < 2:
        return [0] * wanted
    step = (count - 1) / (wanted - 1)
    return [*(int(i * step) for i in range(wanted - 1)), count - 1]


def at_rate(times: Sequence[Fraction], end: Fraction) -> list[int]:
    """The number of the picture in each file that `ffmpeg -r 5` writes. It follows the pictures rather than
    a grid: one is dropped where it lies 1.1 steps behind the next file's time, repeated where it leaves a gap
    as large; so at 25 a second it writes pictures 0, 1, 4, 9, 14, …"""
    written: list[int] = []
    step = 0  # of the next file
    for number, (t, until) in enumerate(zip(times, [*times[1:], end], strict=True)):
        early = float(t * _RATE) - step
        late = early + float((until - t) * _RATE)
        repeats = round(late) if late > _LATE else int(late >= _EARLY)
        before = min(round(early - 0.6), repeats) if late > _LATE and early > _LATE and written else 0
        written += [number - 1] * before + [number] * (repeats - before)
        step += repeats
    return written
