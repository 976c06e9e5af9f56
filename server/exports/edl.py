"""Moments as an edit decision list, CMX 3600: an event each, cut one behind the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from server.errors import ApiError
from server.exports.moments import Listed
from server.exports.reels import Reels
from server.exports.timecode import Clock, Start, counted_rate, rate_of

END = "\r\n"
BEGINS_H = 1  # record timecodes, as editors begin
_LONGEST_TITLE = 70
_LONGEST_COMMENT = 200
_OTHERWISE = Fraction(25)  # where no file says a rate


@dataclass(frozen=True, slots=True)
class Event:
    """Pictures [first, last) of a file."""

    moment: Listed
    first: int
    last: int
    source: Start


def lines(moments: Iterable[Listed], title: str, rate: Fraction | None) -> Iterator[str]:
    """The list, line by line; or an ApiError at once. rate: of the record; None: what most files have."""
    held = [*moments]
    record = Clock.of(rate or _most(held))
    events = [_event(moment, record) for moment in held]
    pictures = sum(event.last - event.first for event in events)
    most = record.day - record.picture(BEGINS_H, 0, 0)
    if pictures >= most:
        hours = pictures / record.rate / 3600
        message = f"limit: the moments are {float(hours):.1f} h long together; an EDL has room for 23 h."
        raise ApiError(413, message, "limit")
    return _written(events, title, record)


def _most(moments: list[Listed]) -> Fraction:
    counted = Counter(rate_of(moment.facts.frame_rate) for moment in moments)
    return next((rate for rate, _ in counted.most_common() if rate is not None), _OTHERWISE)


def _event(moment: Listed, record: Clock) -> Event:
    facts, found = moment.facts, moment.result
    first, last = record.begun(found.start), record.ended(found.end)
    if facts.seconds:  # subtitles may go on behind the last picture
        last = min(last, record.ended(facts.seconds))
        first = min(first, max(0, last - 1))
    own = counted_rate(facts.frame_rate) or record.rate
    return Event(moment, first, max(last, first + 1), Start.of(facts.timecode, own, record))


def _written(events: list[Event], title: str, record: Clock) -> Iterator[str]:
    yield f"TITLE: {one_line(title, _LONGEST_TITLE) or 'Cinedex'}{END}"
    yield f"FCM: {'' if record.is_drop else 'NON-'}DROP FRAME{END}"
    reels, at = Reels(), record.picture(BEGINS_H, 0, 0)
    digits = max(3, len(str(len(events))))
    for number, event in enumerate(events, 1):
        until = at + event.last - event.first
        found = event.moment.result
        times = (event.source.label(event.first), event.source.label(event.last))
        reel = reels.name(found.video_id, found.path)
        cut = " ".join((*times, record.label(at), record.label(until)))
        yield f"{END}{number:0{digits}d}  {reel:<8} V     C        {cut}{END}"
        yield from (f"* {comment}{END}" for comment in _comments(event.moment))
        at = until


def _comments(moment: Listed) -> Iterator[str]:
    found, facts = moment.result, moment.facts
    name = (found.path or found.video_id).replace("\\", "/").rpartition("/")[2]
    yield f"FROM CLIP NAME: {one_line(name)}"
    yield f"SOURCE FILE: {one_line(found.path)}"  # as Avid calls it
    yield f"FROM FILE: {one_line(found.path)}"  # and others
    if facts.frame_rate:
        stated = facts.timecode or "none stated, counted from 00:00:00:00"
        yield f"COMMENT: {facts.frame_rate} pictures a second, start timecode {stated}"
    score = "" if found.score is None else f"score {found.score:g}, "
    sure = "" if found.confidence is None else f"confidence {found.confidence:.3f}, "
    yield f"COMMENT: result {moment.rank}, {score}{sure}{found.id}"
    if found.text:
        yield f"COMMENT: {one_line(found.text, _LONGEST_COMMENT)}"


def one_line(text: str, most: int | None = None) -> str:
    """What stands on a line of its own: nothing in it ends it."""
    return "".join(each if each.isprintable() else " " for each in text).strip()[:most]
