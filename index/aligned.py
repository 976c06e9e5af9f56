"""Two videos side by side: the ranges in which one shows, second by second, what the other does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from core.types import Float32Array, Float64Array, IntArray
from index.footage import Track

MOST_DRIFT = 0.05  # PAL plays a film 25/24 as fast
LEAST_ROWS = 5
_SPEEDS = np.array(sorted(np.linspace(1 - MOST_DRIFT, 1 + MOST_DRIFT, 41), key=lambda speed: abs(speed - 1)))
_MOST_LINES = 16
_NOISE = 0.15  # of a row: nearer to one than that is on it
_MOST_STEPS = 4  # that still pictures may lead a line astray
_MOST_POINTS = 4_000
_LEAST_ALIKE = 0.7  # of the rows of a range
_GAP_S = 5.0  # of rows that differ within a range: a caption, a cut that falls between rows
_NEAR = 0.75  # of a row's seconds: two rows of the other video are as near as that to one, or one is
_LEAST_PICTURES = 5
_MUCH = 6  # times what the two videos are apart: a change that cannot be in one of them alone
_LEAST_CHANGE = 1e-4
_LAGS = 64
_LEAST_STANDING = 4.0  # standard deviations
_LEAST_STANDING_ALONE = 3.0  # where no other offset is anywhere near
_MOST_ASKED = 512  # rows
_RECURRING = 0.1  # of the rows that are alike at any offset: the same pictures come again and again
_AS_WELL = 0.9  # at another offset it fits as well: it swings to and fro
_MOST_BLUR = 0.6  # of the distance at other offsets


@dataclass(frozen=True, slots=True)
class Line:
    """Second t of one video is second speed * t + offset of the other."""

    speed: float
    offset: float

    def at(self, t: Float64Array) -> Float64Array:
        return self.speed * t + self.offset

    def back(self, t: float) -> float:
        """The second of the first video that is this one of the other."""
        return (t - self.offset) / self.speed


@dataclass(frozen=True, slots=True)
class Range:
    """Seconds [start, end) of one video that are [other_start, other_end) of another."""

    start: float
    end: float
    other_start: float
    other_end: float
    speed: float
    similarity: float  # mean cosine
    rows: int

    @property
    def offset(self) -> float:
        """How much later the other video begins it."""
        return self.other_start - self.start

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as the same."""

    least: float  # cosine
    min_seconds: float
    step_s: float  # between rows, mostly
    videos: int = 2  # that are compared with each other: with more, more fits by chance


def ranges(one: Track, other: Track, at: Float64Array, there: Float64Array, rule: Rule) -> list[Range]:
    """What they share, in order of time; `at` and `there` are times of rows that are alike."""
    found: list[Range] = []
    near = 2 * rule.step_s
    for _ in range(_MOST_LINES):
        line = _line(at, there, near)
        if line is None:
            break
        line = _settled(one, other, line, at, there, rule)
        found += [each for each in _along(one, other, line, rule) if not _is_told(each, found)]
        left = np.abs(there - line.at(at)) > near
        at, there = at[left], there[left]
    return sorted(found, key=lambda each: (each.start, each.other_start))


def _line(at: Float64Array, there: Float64Array, near: float) -> Line | None:
    """The line that most points lie on; of equal ones that of the plainest speed."""
    if len(at) < 3:
        return None
    few = np.unique(np.linspace(0, len(at) - 1, min(len(at), _MOST_POINTS)).astype(np.int64))
    middle = float(np.median(at))
    best, most = Line(1.0, 0.0), 0.0
    for speed in _SPEEDS.tolist():
        apart = there[few] - speed * (at[few] - middle)
        bins = np.floor((apart - apart.min()) / near).astype(np.int64)
        counts = np.bincount(bins, minlength=2)
        both = counts[:-1] + counts[1:]
        top = int(both.argmax())
        # A line may turn a little to take up chance neighbours; only what is clearly more counts.
        if both[top] > 1.1 * most + (1 if most else 0):
            most = float(both[top])
            best = Line(speed, float(apart.min()) + (top + 1) * near - speed * middle)
    return best if most >= 3 else None


def _settled(one: Track, other: Track, line: Line, at: Float64Array, there: Float64Array, rule: Rule) -> Line:
    """The same line as its points have it, and then as the rows beside it have it."""
    for wide in (3.0, 2.0, 1.5):
        mine = np.abs(there - line.at(at)) <= wide * rule.step_s
        if mine.sum() < 3:
            return line
        line = _fitted(at[mine], there[mine], line, rule.step_s)
    plain = Line(1.0, float(np.median(there[mine] - at[mine])))
    t = one.start[(one.start >= at[mine].min()) & (one.start <= at[mine].max())]
    steps = sorted(range(-_MOST_STEPS, _MOST_STEPS + 1), key=abs)
    tried = [Line(each.speed, each.offset + by * rule.step_s) for each in (plain, line) for by in steps]
    # Rounded, so that of lines as good as each other the plainest wins: it is tried first.
    best = max(tried, key=lambda each: round(_fit(one, other, each, t), 3))
    return _sharpened(one, other, best, rule)


def _fit(one: Track, other: Track, line: Line, t: Float64Array) -> float:
    """How alike the rows at these times are along a line; what has nothing beside it counts as nought."""
    shown = _shown(other, line.at(t))
    held = np.flatnonzero(shown >= 0)
    rows = np.searchsorted(one.start, t[held])
    return float(_cosines(one, rows, other, shown[held]).sum()) / max(len(t), 1)


def _fitted(at: Float64Array, there: Float64Array, line: Line, step_s: float) -> Line:
    span = float(np.ptp(at))
    speed = line.speed
    if span > 0:
        speed = float(np.polyfit(at - at.mean(), there, 1)[0])
    if abs(speed - 1) * span < step_s or abs(speed - 1) > MOST_DRIFT + 0.005:
        speed = 1.0 if abs(speed - 1) * span < step_s else line.speed
    return Line(speed, float(np.median(there - speed * at)))


def _sharpened(one: Track, other: Track, line: Line, rule: Rule) -> Line:
    """To less than a row: by how much more alike than the rows before and behind the nearest ones are."""
    t = line.at(one.start)
    shown = _shown(other, t)
    held = np.flatnonzero((shown >= 1) & (shown < len(other) - 1))
    scores = _cosines(one, held, other, shown[held])
    held = held[scores >= rule.least]
    if len(held) < LEAST_ROWS:
        return line
    before, now, behind = (float(_cosines(one, held, other, shown[held] + by).mean()) for by in (-1, 0, 1))
    bend = before - 2 * now + behind
    if bend >= 0 or max(before, behind) > now:
        return line
    nearest = float(np.mean(other.start[shown[held]] - t[held]))
    part = 0.5 * (before - behind) / bend
    return Line(line.speed, line.offset + nearest + rule.step_s * (part if abs(part) > _NOISE else 0.0))


def _cosines(one: Track, rows: IntArray, other: Track, theirs: IntArray) -> Float32Array:
    found: Float32Array = (one.vectors[rows] * other.vectors[theirs]).sum(axis=1)
    return found


def _shown(track: Track, t: Float64Array) -> IntArray:
    """The row nearest to each time, -1 where the video shows nothing then."""
    right = np.searchsorted(track.start, t)
    left = np.clip(right - 1, 0, len(track) - 1)
    right = np.clip(right, 0, len(track) - 1)
    nearest = np.where(track.start[right] - t < t - track.start[left], right, left)
    return np.where((t >= track.start[0] - 0.5) & (t < track.end[-1] + 0.5), nearest, -1).astype(np.int64)


def _along(one: Track, other: Track, line: Line, rule: Rule) -> Iterator[Range]:
    """Each long enough run of rows that show the same, and could not as well do so at another offset."""
    beside = _beside(other, line.at(one.start))
    scores = np.where(beside[0] >= 0, _best(one.vectors, other.vectors[beside]), -1.0)
    for first, last in _runs(scores >= rule.least, one, rule):
        at = np.arange(first, last + 1)[beside[0, first : last + 1] >= 0]
        alike = at[scores[at] >= rule.least]
        if len(alike) < max(LEAST_ROWS, _LEAST_ALIKE * len(at)):
            continue
        found = _range(one, other, line, at[[0, -1]].tolist(), scores[alike])
        if found.seconds < rule.min_seconds or not _is_telling(one, other, alike, beside[:, alike]):
            continue
        if _is_beyond_chance(one, other, alike, beside[:, alike], len(alike) / len(at), rule):
            yield found


def _beside(other: Track, t: Float64Array) -> IntArray:
    """[2, times]: the row nearest to each time, -1 where there is none; the next nearest if it is near."""
    found = _shown(other, t)
    at = np.clip(found, 0, len(other) - 1)
    second = np.clip(at + np.where(t > other.start[at], 1, -1), 0, len(other) - 1)
    is_near = np.abs(other.start[second] - t) < _NEAR * (other.end - other.start)[np.minimum(at, second)]
    return np.stack([found, np.where(is_near, second, at)])


def _best(mine: Float32Array, beside: Float32Array) -> Float32Array:
    """Each row's cosine with the more alike of the two [2, rows, dim] beside it."""
    found: Float32Array = np.einsum("nd,bnd->bn", mine, beside).max(axis=0)
    return found


def _runs(same: NDArray[np.bool_], one: Track, rule: Rule) -> Iterator[tuple[int, int]]:
    """First and last rows; a few that differ are within one."""
    at = np.flatnonzero(same)
    if not len(at):
        return
    gap = max(_GAP_S, 3 * rule.step_s)
    breaks = np.flatnonzero(one.start[at[1:]] - one.end[at[:-1]] > gap)
    yield from zip(
        at[np.append(0, breaks + 1)].tolist(), at[np.append(breaks, len(at) - 1)].tolist(), strict=True
    )


def _range(one: Track, other: Track, line: Line, ends: list[int], alike: Float32Array) -> Range:
    start = max(float(one.start[ends[0]]), line.back(float(other.start[0])))
    end = min(float(one.end[ends[1]]), line.back(float(other.end.max())))
    there, until = line.at(np.array([start, end])).tolist()
    return Range(start, end, there, until, line.speed, float(alike.mean()), len(alike))


def _is_telling(one: Track, other: Track, rows: IntArray, beside: IntArray) -> bool:
    """Whether it is by time that they fit, and not because nothing changes or all of it looks alike."""
    apart = 1.0 - float(_best(one.vectors[rows], other.vectors[beside]).mean())
    if _has_pictures(one.vectors[rows], max(_MUCH * apart, _LEAST_CHANGE)):
        return True
    there = (_best(one.vectors[rows], other.vectors[(beside + lag) % len(other)]) for lag in _lags(other))
    here = (_best(one.vectors[(rows + lag) % len(one)], other.vectors[beside]) for lag in _lags(one))
    return _stands_out(apart, 1.0 - np.array([float(found.mean()) for found in chain(there, here)]))


def _is_beyond_chance(
    one: Track, other: Track, rows: IntArray, beside: IntArray, share: float, rule: Rule
) -> bool:
    """Whether more changes of picture fit than can where the same few pictures come again and again."""
    few = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ASKED)).astype(np.int64))
    mine, theirs = rows[few], beside[:, few]
    there = [_best(one.vectors[mine], other.vectors[(theirs + lag) % len(other)]) for lag in _lags(other)]
    here = [_best(one.vectors[(mine + lag) % len(one)], other.vectors[theirs]) for lag in _lags(one)]
    elsewhere = np.concatenate([_again(np.array(each) >= rule.least) for each in (there, here) if each])
    by_chance = float(elsewhere.mean())
    if by_chance < _RECURRING:
        return True
    if by_chance >= share or elsewhere.max() >= _AS_WELL * share:
        return False
    tried = rule.videos**2 / 2 * len(_SPEEDS) * (len(one) + len(other)) * len(one)
    return _changes(one.vectors[rows], rule.least) * _surprise(share, by_chance) >= float(np.log(tried))


def _again(alike: NDArray[np.bool_]) -> Float64Array:
    """[lags, rows]: the share of rows alike at each, less those that are so from lag nought on."""
    was_other = np.logical_or.accumulate(~alike) & np.logical_or.accumulate(~alike[::-1])[::-1]
    found: Float64Array = (alike & was_other).mean(axis=1)
    return found


def _changes(mine: Float32Array, least: float) -> int:
    """How often it comes to show another picture than it did."""
    found, at = 0, 0
    while len(behind := np.flatnonzero(mine[at:] @ mine[at] < least)):
        found, at = found + 1, at + int(behind[0])
    return found


def _surprise(share: float, by_chance: float) -> float:
    """Of one picture: the relative entropy of what fits to what fits by chance."""
    unlike = (1 - share) * np.log((1 - share) / (1 - by_chance)) if share < 1 else 0.0
    return float(share * np.log(share / by_chance) + unlike)


def _has_pictures(mine: Float32Array, much: float) -> bool:
    """Whether several are quite other than all before them: the other video then changes with this one."""
    nearest = 1.0 - mine @ mine[0]
    for _ in range(_LEAST_PICTURES - 2):
        changed = np.flatnonzero(nearest > much)
        if not len(changed):
            return False
        nearest = np.minimum(nearest, 1.0 - mine @ mine[changed[0]])
    return bool((nearest > much).any())


def _lags(track: Track) -> list[int]:
    """In a ring, which keeps what follows what, so that slow pictures do not count for more."""
    found: list[int] = np.unique(np.linspace(2, len(track) - 2, _LAGS).astype(np.int64)).tolist()
    return found


def _stands_out(apart: float, elsewhere: Float64Array) -> bool:
    """Whether they fit far better here than at other offsets, as do the small motions of one long shot."""
    mean = float(elsewhere.mean())
    if mean < _LEAST_CHANGE or apart > _MOST_BLUR * mean:
        return False
    is_alone = float(elsewhere.min()) > _MUCH * apart
    least = _LEAST_STANDING_ALONE if is_alone else _LEAST_STANDING
    return mean - apart >= least * float(elsewhere.std())


def _is_told(found: Range, before: list[Range]) -> bool:
    """Whether most of it is in one that was found by more points, in both videos."""
    return any(
        _overlap(found.start, found.end, each.start, each.end) > 0.5 * found.seconds
        and _overlap(found.other_start, found.other_end, each.other_start, each.other_end)
        > 0.5 * (found.other_end - found.other_start)
        for each in before
    )


def _overlap(start: float, end: float, other_start: float, other_end: float) -> float:
    return min(end, other_end) - max(start, other_start)
