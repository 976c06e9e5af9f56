"""SMPTE timecode: which picture of a second, as editors count them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

RATES = tuple(
    map(
        Fraction, ("24000/1001", "24", "25", "30000/1001", "30", "48000/1001", "48", "50", "60000/1001", "60")
    )
)
_DROPS = frozenset({Fraction(30000, 1001), Fraction(60000, 1001)})
_NEAR = Fraction(1, 10)  # of a picture: containers round times to milliseconds
_MOST_NUMBERS = 100  # a second, of two digits
_LABEL = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


@dataclass(frozen=True, slots=True)
class Clock:
    """Pictures of one rate, numbered; drop-frame leaves numbers out, to keep up with the time of day."""

    rate: Fraction
    is_drop: bool

    @classmethod
    def of(cls, rate: Fraction) -> Clock:
        """As editors count that rate unless a file says otherwise."""
        return cls(rate, rate in _DROPS)

    @property
    def base(self) -> int:
        """Numbers a second."""
        return round(self.rate)

    @property
    def _left_out(self) -> int:
        """Numbers at the beginning of a minute, but for each tenth."""
        return self.base // 15 if self.is_drop else 0

    @property
    def day(self) -> int:
        """Pictures in 24 hours."""
        return 86_400 * self.base - 9 * 144 * self._left_out

    def label(self, picture: int) -> str:
        """What stands below a picture: HH:MM:SS:FF, drop-frame HH:MM:SS;FF; after a day it begins anew."""
        tens, rest = divmod(picture % self.day, 600 * self.base - 9 * self._left_out)
        minutes = max(0, rest - self._left_out) // (60 * self.base - self._left_out)
        number = 600 * self.base * tens + rest + self._left_out * minutes
        seconds, frames = divmod(number, self.base)
        mark = ";" if self.is_drop else ":"
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{frames:02d}"

    def picture(self, hours: int, minutes: int, seconds: int, frames: int = 0) -> int:
        """The number of the picture with that label."""
        past = 60 * hours + minutes
        return (60 * past + seconds) * self.base + frames - self._left_out * (past - past // 10)

    def begun(self, seconds: float) -> int:
        """The picture that is shown at a second."""
        at = Fraction(max(seconds, 0.0)) * self.rate
        return round(at) if abs(at - round(at)) <= _NEAR else int(at)

    def ended(self, seconds: float) -> int:
        """The first picture that is not shown any more before a second."""
        at = Fraction(max(seconds, 0.0)) * self.rate
        return round(at) if abs(at - round(at)) <= _NEAR else int(at) + 1


@dataclass(frozen=True, slots=True)
class Start:
    """Where a file's own timecode begins."""

    clock: Clock
    picture: int

    @classmethod
    def of(cls, timecode: str, own: Fraction, clock: Clock) -> Start:
        """`timecode` as the file of that rate states it, counted by a clock; "": from 0 on."""
        found = _LABEL.fullmatch(timecode)
        if found is None:
            return cls(clock, 0)
        hours, minutes, seconds, frames = (int(found[i]) for i in (1, 2, 3, 5))
        counted = Clock(clock.rate, found[4] != ":" and clock.rate in _DROPS)
        frames = frames * counted.base // round(own)
        return cls(counted, counted.picture(hours, minutes, seconds, frames))

    def label(self, picture: int) -> str:
        """Of a picture of the file."""
        return self.clock.label(self.picture + picture)


@lru_cache(maxsize=1_024)
def rate_of(stated: str) -> Fraction | None:
    """The rate that editors have for a file's: its own, a multiple or a part of it, or the nearest."""
    own = _own_rate(stated)
    return min(RATES, key=lambda rate: (_misfit(rate, own), abs(rate - own))) if own else None


@lru_cache(maxsize=1_024)
def counted_rate(stated: str) -> Fraction | None:
    """The one that a file's own timecode counts by: as it is where that is whole, else as editors have it."""
    own = _own_rate(stated)
    return own if own and own.denominator == 1 and own <= _MOST_NUMBERS else rate_of(stated)


def _own_rate(stated: str) -> Fraction | None:
    try:
        own = Fraction(stated)
    except (ValueError, ZeroDivisionError):
        return None
    return own if own > 0 else None


def _misfit(rate: Fraction, own: Fraction) -> float:
    """How far one is from a whole number of the other, to a thousandth."""
    times = max(rate, own) / min(rate, own)
    return round(float(abs(times - round(times)) / times), 3)
