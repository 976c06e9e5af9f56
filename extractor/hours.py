"""`--between 22:00-06:00`: the hours of the day in which extraction works, and the wait for them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from extractor.find import has_stamp
from extractor.work import Waiting, Work

LOOK_S = 0.5  # how soon a wait notices that it is to stop, or that the clock was put forward
_SAYS = "it must be two times of day, as in 22:00-06:00"
_SPELLING = re.compile(r"(\d{1,2}):(\d{2}) ?- ?(\d{1,2}):(\d{2})", re.ASCII)
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """From one minute of the day until another, which may be the next day's."""

    begin: int  # minutes after midnight, local time
    end: int

    @classmethod
    def of(cls, text: str) -> Hours:
        """What "22:00-06:00" means; a ValueError for people where it means nothing."""
        found = _SPELLING.fullmatch(text.strip())
        if found is None:
            raise ValueError(_SAYS)
        one, two, three, four = map(int, found.groups())
        hours = cls(60 * one + two, 60 * three + four)
        if two > 59 or four > 59 or hours.begin >= _DAY_MINUTES or hours.end > _DAY_MINUTES:
            raise ValueError(_SAYS)
        if hours.begin == hours.end % _DAY_MINUTES and hours.end != _DAY_MINUTES:
            raise ValueError("it must end at another time than it begins")
        return hours

    def has(self, now: datetime) -> bool:
        """Whether it is one of these hours."""
        minute = 60 * now.hour + now.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def next(self, now: datetime) -> datetime:
        """When they begin again."""
        begin = now.replace(hour=self.begin // 60, minute=self.begin % 60, second=0, microsecond=0)
        return begin if begin > now else begin + timedelta(days=1)


@dataclass(frozen=True)
class Pause:
    """A run that works only within its hours. What is in hand when they end is finished and committed."""

    hours: Hours | None = None
    now: Callable[[], datetime] = datetime.now
    sleep: Callable[[float], None] = time.sleep

    @property
    def is_over(self) -> bool:
        """Whether it is time to work."""
        return self.hours is None or self.hours.has(self.now())

    def within(self, works: Iterator[Work], *, is_last: bool = False) -> Iterator[Work]:
        """These, as long as it is time to work. A file that has changed since it was listed, perhaps a day
        ago, is left to the next pass, which lists anew; where there is none, who reads it reports it."""
        looks = self.hours is not None and not is_last
        while self.is_over and (work := next(works, None)) is not None:
            if not (looks and work.file) or has_stamp(work.file, work.place.stamp):
                yield work

    def wait(self, stop: threading.Event) -> Iterator[Waiting]:
        """Until it is time to work, or `stop` is set; says so all the while."""
        while not self.is_over and not stop.is_set():
            assert self.hours is not None
            yield Waiting(self.hours.next(self.now()))
            # In short sleeps, so that the line on a terminal goes on and the clock is looked at.
            self.sleep(LOOK_S)
