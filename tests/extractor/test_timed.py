from __future__ import annotations

import json
import time
from random import Random

import pytest

from core.types import Line
from extractor.timed import LEAST_S, MOST_CHARACTERS, MOST_LINES, decoded, parse, plain

SRT = """1
00:00:01,000 --> 00:00:02,500
A <i>red</i> circle
in two rows

2
01:00:00,250 --> 01:00:03,000
{\\an8}later &amp; on top
"""
LINES = (Line(1.0, 2.5, "A red circle in two rows"), Line(3600.25, 3603.0, "later & on top"))


def said(text: str, kind: str = "srt") -> list[tuple[float, float, str]]:
    return [(line.start, line.end, line.text) for line in parse(text.encode(), kind).lines]


@pytest.mark.parametrize(
    "data",
    [
        SRT.encode(),
        SRT.replace("\n", "\r\n").encode(),
        SRT.replace("\n", "\r").encode(),
        SRT.encode("utf-8-sig"),
        SRT.encode("utf-16"),
        SRT.encode("utf-16-le"),
        SRT.encode("utf-16-be"),
        SRT.replace(",", ".").encode(),
        SRT.rstrip().encode(),
        SRT.replace("\n\n", "\n").encode(),
        SRT.replace("\n\n", "\n\n\n \n").encode(),
        SRT.replace(" --> ", "-->").encode(),
        SRT.replace(",500", ",500  X1:100 X2:200").encode(),
    ],
)
def test_subrip_reads_the_same_however_it_was_written(data: bytes) -> None:
    timed = parse(data, "srt")
    assert timed.lines == LINES
    assert timed.bad == 0


def test_letters_are_read_by_utf_8_or_as_windows_writes_them() -> None:
    text = "né 5 €\u2026"
    assert decoded(text.encode()) == decoded(text.encode("cp1252")) == text
    assert decoded("Ünï \N{SNOWMAN}".encode("utf-16")) == "Ünï \N{SNOWMAN}"
    assert decoded(b"\x81 undefined there") == "\ufffd undefined there"
    assert decoded(b"") == ""


@pytest.mark.parametrize(
    ("timing", "start", "end"),
    [
        ("00:01 --> 00:02", 1.0, 2.0),
        ("01:02.5 --> 01:03.25", 62.5, 63.25),
        ("0:0:1,5 --> 0:0:2,05", 1.5, 2.05),
        ("00:00:05,000 --> 00:00:04,000", 5.0, 5.0 + LEAST_S),
        ("00:00:05,000 --> 00:00:05,000", 5.0, 5.0 + LEAST_S),
        ("-00:00:01,000 --> 00:00:02,000", 0.0, 2.0),
        ("100:00:00,000 --> 100:00:01,000", 360_000.0, 360_001.0),
    ],
)
def test_times_are_read_in_every_common_spelling(timing: str, start: float, end: float) -> None:
    assert said(f"1\n{timing}\nhello\n") == [(start, end, "hello")]


@pytest.mark.parametrize(
    "block",
    [
        "2\n00:00:xx,000 --> 00:00:04,000\nbroken\n",
        "2\n --> \nbroken\n",
        "2\n-00:00:09,000 --> -00:00:08,000\nbefore time began\n",
        "2\n9999:00:00,000 --> 9999:00:01,000\nafter a year\n",
    ],
)
def test_a_broken_block_costs_itself_and_is_counted(block: str) -> None:
    text = f"1\n00:00:01,000 --> 00:00:02,000\nfirst\n\n{block}\n3\n00:00:05,000 --> 00:00:06,000\nlast\n"
    timed = parse(text.encode(), "srt")
    assert [line.text for line in timed.lines] == ["first", "last"]
    assert timed.bad == 1


def test_an_empty_block_says_nothing_and_is_no_damage() -> None:
    timed = parse(b"1\n00:01 --> 00:02\n\n2\n00:03 --> 00:04\n<b></b>\n\n3\n00:05 --> 00:06\nx\n", "srt")
    assert [line.text for line in timed.lines] == ["x"]
    assert timed.bad == 1  # the one that is nothing but markup


def test_lines_that_overlap_stay_and_come_by_time() -> None:
    text = "1\n00:05 --> 00:09\nlate\n\n2\n00:01 --> 00:07\nearly\n\n3\n00:01 --> 00:07\nearly\n"
    assert said(text) == [(1.0, 7.0, "early"), (5.0, 9.0, "late")]


def test_numbers_that_are_said_are_kept() -> None:
    assert said("1\n00:01 --> 00:02\n42\n\n2\n00:03 --> 00:04\nfin\n") == [(1, 2, "42"), (3, 4, "fin")]


def test_webvtt_leaves_out_notes_styles_names_and_voices() -> None:
    text = """WEBVTT - a title

STYLE
::cue { color: red }

NOTE a remark
of two rows

intro
00:01.000 --> 00:02.000 align:start position:0%
<v Ada>Hello <00:00:01.500><c.yellow>there</c>

NOTE not said

chapter one
01:00:00.000 --> 01:00:01.000
second
row
"""
    assert said(text, "vtt") == [(1.0, 2.0, "Hello there"), (3600.0, 3601.0, "second row")]


def test_whispers_json_is_read_with_its_language() -> None:
    held = {
        "text": "all",
        "language": "de",
        "segments": [
            {"id": 0, "start": 0.0, "end": 1.5, "text": " Ein Satz. ", "tokens": [1, 2]},
            {"start": 2, "end": 3, "text": "Zwei \ud800."},
        ],
    }
    lines = parse(json.dumps(held).encode(), "json").lines
    assert lines == (Line(0.0, 1.5, "Ein Satz.", "de"), Line(2.0, 3.0, "Zwei ?.", "de"))
    assert parse(json.dumps(held["segments"]).encode(), "json", "fr").lines[0].language == "fr"


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("", 1),
        ("{", 1),
        ("[" * 100_000, 1),
        ("null", 0),
        ('{"caption": "of another tool"}', 0),
        ('{"segments": 5}', 0),
        ('{"segments": [1, {"start": "0", "end": 1, "text": "x"}, {"start": 0, "end": 1}]}', 3),
        (
            '{"segments": [{"start": NaN, "end": 1, "text": "x"}, {"start": 0, "end": 1e999, "text": "x"}]}',
            2,
        ),
        ('{"segments": [{"start": 0, "end": 1' + "0" * 400 + ', "text": "x"}]}', 1),
    ],
)
def test_a_json_that_is_no_transcript_has_no_lines(text: str, bad: int) -> None:
    timed = parse(text.encode(), "json")
    assert (timed.lines, timed.bad) == ((), bad)


def test_text_is_plain() -> None:
    assert plain("<font color='#fff'>a</font>\\N{\\i1}b{\\i0}  c\t\0d") == "a b c d"
    assert plain("1 < 2 and 3 > 2") == "1 < 2 and 3 > 2"
    assert plain("I <3 you {sic}") == "I <3 you {sic}"
    assert len(plain("x" * 10_000)) == MOST_CHARACTERS


def test_lines_are_bounded() -> None:
    text = "".join(f"{n // 60:02}:{n % 60:02} --> 99:00\nx\n\n" for n in range(6000)) * 20
    timed = parse(text.encode(), "srt")
    assert len(timed.lines) <= MOST_LINES
    assert timed.bad == 0 + 6000 * 20 - MOST_LINES


def test_noise_is_read_to_its_end() -> None:
    rng = Random(1)
    pieces = [
        "-->",
        "00:01",
        "\n",
        "\r",
        "1",
        " ",
        "<",
        ">",
        "{\\",
        "}",
        "&",
        "\0",
        "é",
        "1:00 --> 2:00",
        "[",
    ]
    for _ in range(300):
        text = "".join(rng.choices(pieces, k=200))
        for kind in ("srt", "vtt", "json"):
            for line in parse(text.encode(), kind).lines:
                assert line.start < line.end and line.text == line.text.strip()
        parse(rng.randbytes(400), "srt")


def test_no_pattern_takes_long_over_hostile_text() -> None:
    began = time.process_time()
    for text in ("<" * 200_000, "{\\" * 100_000, "1:" * 100_000, "00:01 --" + "-" * 200_000, "<a" * 100_000):
        parse(text.encode(), "srt")
        parse(f"1\n00:01 --> 00:02\n{text}".encode(), "vtt")
    assert time.process_time() - began < 5
