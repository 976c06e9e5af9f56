"""Timecodes, beside OpenTimelineIO's."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import opentimelineio
import pytest

from server.exports.timecode import RATES, Clock, Start, counted_rate, rate_of

CLOCKS = [Clock.of(rate) for rate in RATES] + [Clock(rate, False) for rate in RATES if Clock.of(rate).is_drop]
Time = opentimelineio.opentime.RationalTime


def named(clock: Clock) -> str:
    return f"{clock.rate}{'-drop' if clock.is_drop else ''}"


@pytest.mark.parametrize("clock", CLOCKS, ids=named)
def test_labels_are_those_of_opentimelineio_and_lead_back(clock: Clock) -> None:
    random = Random(1)
    edges = [
        clock.picture(hours, minutes, 0) + step
        for hours in (0, 1, 22)  # theirs begins anew after 24 hours of the wall's clock
        for minutes in (0, 1, 9, 10, 11, 59)
        for step in range(-3, 6)
    ]
    for picture in [*edges, *(random.randrange(int(86_400 * clock.rate)) for _ in range(500))]:
        picture = max(picture, 0)
        label = clock.label(picture)
        theirs = Time(picture, float(clock.rate)).to_timecode(float(clock.rate), clock.is_drop)
        assert label == theirs, picture
        hours, minutes, seconds, frames = (int(label[at : at + 2]) for at in (0, 3, 6, 9))
        assert clock.picture(hours, minutes, seconds, frames) == picture


@pytest.mark.parametrize("clock", CLOCKS, ids=named)
def test_after_a_day_it_begins_anew(clock: Clock) -> None:
    zero = clock.label(0)
    assert clock.label(clock.day) == zero
    assert clock.label(clock.day - 1)[:8] == "23:59:59"


def test_drop_frame_keeps_up_with_the_time_of_day() -> None:
    clock = Clock.of(Fraction(30000, 1001))
    assert clock.label(round(3600 * clock.rate)) == "01:00:00;00"
    assert clock.label(1799) == "00:00:59;29"
    assert clock.label(1800) == "00:01:00;02"
    assert clock.label(17982) == "00:10:00;00"
    assert Clock(clock.rate, False).label(round(3600 * clock.rate)) == "00:59:56:12"


@pytest.mark.parametrize(
    ("stated", "rate"),
    [
        ("25", "25"),
        ("24000/1001", "24000/1001"),
        ("2997/125", "24000/1001"),  # 23.976, as some containers have it
        ("30000/1001", "30000/1001"),
        ("2997/100", "30000/1001"),
        ("60000/1001", "60000/1001"),
        ("30", "30"),
        ("15", "30"),
        ("10", "30"),
        ("25/2", "25"),
        ("120", "60"),
        ("120000/1001", "60000/1001"),
        ("100", "50"),
        ("359/12", "30000/1001"),
        ("1", "24"),
    ],
)
def test_a_files_rate_is_one_that_editors_have(stated: str, rate: str) -> None:
    assert rate_of(stated) == Fraction(rate)


@pytest.mark.parametrize(
    ("stated", "rate"),
    [("12", "12"), ("100", "100"), ("120", "60"), ("25/2", "25")],
)
def test_a_file_numbers_by_its_own_rate_where_that_is_whole(stated: str, rate: str) -> None:
    assert counted_rate(stated) == Fraction(rate)


@pytest.mark.parametrize("stated", ["", "0", "0/0", "-25", "fast"])
def test_a_rate_that_is_none_is_none(stated: str) -> None:
    assert rate_of(stated) is None and counted_rate(stated) is None


def test_every_picture_of_a_rate_is_found_by_its_own_second() -> None:
    for clock in CLOCKS:
        for picture in range(0, 100_000, 397):
            seconds = float(picture / clock.rate)
            assert clock.begun(seconds) == clock.ended(seconds) == picture
            in_ms = round(seconds, 3)
            assert clock.begun(in_ms) == clock.ended(in_ms) == picture


def test_between_two_pictures_the_one_before_is_shown_and_the_one_after_is_the_end() -> None:
    clock = Clock.of(Fraction(25))
    assert (clock.begun(1.019), clock.ended(1.019)) == (25, 26)
    assert (clock.begun(-0.5), clock.ended(-0.5)) == (0, 0)


@pytest.mark.parametrize(
    ("timecode", "own", "rate", "label"),
    [
        ("", "25", "25", "00:00:01:00"),
        ("10:00:00:12", "25", "25", "10:00:01:12"),
        ("10:00:00:12", "25", "50", "10:00:00:49"),  # the same start, counted in fiftieths
        ("00:00:10:06", "12", "24", "00:00:11:13"),  # half a second, and 25 pictures of 24 a second
        ("01:00:00:50", "100", "50", "01:00:01:00"),
        ("10:00:00;12", "25", "25", "10:00:01:12"),  # nothing is dropped of 25
        ("01:00:00;00", "30000/1001", "30000/1001", "01:00:00;25"),
        ("01:00:00:00", "30000/1001", "30000/1001", "01:00:00:25"),
        ("23:59:59:24", "25", "25", "00:00:00:24"),
        ("nonsense", "25", "25", "00:00:01:00"),
    ],
)
def test_a_file_counts_from_its_own_timecode(timecode: str, own: str, rate: str, label: str) -> None:
    clock = Clock.of(Fraction(rate))
    assert Start.of(timecode, Fraction(own), clock).label(25) == label
