"""A line may go on behind the last picture; an editor finds no picture there."""

from __future__ import annotations

from core.types import Facts
from server.exports import edl, table
from server.exports.moments import Listed
from server.schemas.search import Best, Result


def listed(start: float, end: float) -> Listed:
    result = Result(
        id="v-1/frame/0",
        video_id="v-1",
        path="films/short.mp4",
        paths=["films/short.mp4"],
        start=start,
        end=end,
        score=None,
        best=Best(t=start, thumbnail=None),
        matched_on=["subtitles"],
        text="lion den",
        metadata={},
    )
    return Listed(1, 1, result, Facts(seconds=3.0, frame_rate="25"))


def source_times(start: float, end: float) -> list[str]:
    [event] = [line for line in edl.lines([listed(start, end)], "", None) if line.startswith("\r\n001")]
    return event.split()[4:6]


def test_an_event_lies_within_the_file() -> None:
    assert source_times(1.0, 59.0) == ["00:00:01:00", "00:00:03:00"]
    assert source_times(61.0, 119.0) == ["00:00:02:24", "00:00:03:00"]


def test_a_table_ends_where_the_file_does() -> None:
    names = next(table.lines([], [])).removeprefix(table.MARK).strip().split(",")
    cells = dict(zip(names, [*table.lines([listed(1.0, 59.0)], [])][1].strip().split(","), strict=True))
    assert (cells["start_timecode"], cells["end_timecode"], cells["end_s"]) == (
        "00:00:01:00",
        "00:00:03:00",
        "59.0",
    )
