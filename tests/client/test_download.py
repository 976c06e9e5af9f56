"""Files that are fetched: whole under their name, or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cinedex_client import ApiError, ClientError, NotFound, Unreachable

from tests.client.conftest import Ask, Reply, Scripted
from tests.client.test_patience import DOWN, refusal

Start = Callable[..., Scripted]
FILM = bytes(range(256)) * 1_000
ID = "v-0c5e1f5b8a4f3c1d9e7a2b6c4d8f0a1b"


def rest(start: int, cut: int | None = None) -> Reply:
    said = {"content-range": f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"}
    return Reply(206, FILM[start:], said, cut)


def test_a_video_that_breaks_off_is_gone_on_with(
    scripted: Start, ask: Ask, waits: list[float], tmp_path: Path
) -> None:
    server = scripted(Reply(body=FILM, cut=100_000), rest(99_999, cut=50_000), DOWN, rest(149_998))
    to = ask(server.url, "media", ID, tmp_path / "film.mp4")
    assert to == tmp_path / "film.mp4" and to.read_bytes() == FILM
    assert [headers.get("range") for _, _, headers, _ in server.heard] == [
        None,
        "bytes=99999-",
        "bytes=149998-",
        "bytes=149998-",
    ]
    assert [*tmp_path.iterdir()] == [to]


def test_what_another_program_began_is_gone_on_with(scripted: Start, ask: Ask, tmp_path: Path) -> None:
    never = {"retries": 0}
    with pytest.raises(Unreachable):
        broken = scripted(Reply(body=FILM, cut=100_000))
        ask(broken.url, "media", ID, tmp_path / "film.mp4", settings=never)
    assert not (tmp_path / "film.mp4").exists()
    ask(scripted(rest(99_999)).url, "media", ID, tmp_path / "film.mp4", settings=never)
    assert (tmp_path / "film.mp4").read_bytes() == FILM


def test_what_broke_off_at_its_very_end_is_finished(scripted: Start, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / f".film.mp4.{ID}.part").write_bytes(FILM)
    server = scripted(rest(len(FILM) - 1))
    assert ask(server.url, "media", ID, tmp_path / "film.mp4").read_bytes() == FILM


def test_a_server_without_ranges_sends_all_of_it_again(
    scripted: Start, ask: Ask, waits: list[float], tmp_path: Path
) -> None:
    server = scripted(Reply(body=FILM, cut=100_000), Reply(body=FILM))
    assert ask(server.url, "media", ID, tmp_path / "film.mp4").read_bytes() == FILM


def test_who_never_gets_further_ends(scripted: Start, ask: Ask, waits: list[float], tmp_path: Path) -> None:
    server = scripted(Reply(body=FILM, cut=100_000))
    with pytest.raises(Unreachable):
        ask(server.url, "media", ID, tmp_path / "film.mp4", settings={"retries": 2})
    assert server.times == 3


def test_other_bytes_than_were_asked_for_are_not_taken(scripted: Start, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / f".film.mp4.{ID}.part").write_bytes(FILM[:10])
    with pytest.raises(ClientError, match="other bytes than were asked for"):
        ask(scripted(rest(5_000)).url, "media", ID, tmp_path / "film.mp4")


def test_what_is_longer_than_the_video_is_thrown_away(scripted: Start, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / f".film.mp4.{ID}.part").write_bytes(FILM)
    with pytest.raises(ClientError, match="Not now"):
        ask(scripted(refusal(416, "invalid_request")).url, "media", ID, tmp_path / "film.mp4")
    assert [*tmp_path.iterdir()] == []


def test_what_is_longer_than_the_video_is_fetched_from_its_beginning(
    scripted: Start, ask: Ask, waits: list[float], tmp_path: Path
) -> None:
    (tmp_path / f".film.mp4.{ID}.part").write_bytes(FILM)
    server = scripted(refusal(416, "invalid_request"), Reply(body=FILM[:1_000]))
    assert ask(server.url, "media", ID, tmp_path / "film.mp4").read_bytes() == FILM[:1_000]
    assert server.heard[1][2].get("range") is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 500])
@pytest.mark.parametrize("what", ["clip", "media"])
def test_what_will_not_change_is_not_fetched_again(
    scripted: Start, ask: Ask, waits: list[float], tmp_path: Path, what: str, status: int
) -> None:
    server = scripted(refusal(status, "any"))
    with pytest.raises(ApiError):
        ask(server.url, what, ID, tmp_path / "film.mp4")
    assert server.times == 1 and waits == []


def test_a_clip_begins_anew(scripted: Start, ask: Ask, waits: list[float], tmp_path: Path) -> None:
    server = scripted(Reply(body=FILM, cut=100_000), Reply(body=FILM))
    to = ask(server.url, "clip", ID, tmp_path / "clip.mp4", start=4.0, end=8.5)
    assert to.read_bytes() == FILM
    for _, path, headers, _ in server.heard:
        assert path == f"/clip/{ID}?start=4.0&end=8.5" and "range" not in headers
    assert [*tmp_path.iterdir()] == [to]


def test_a_file_that_is_there_stays_as_it_was_until_the_new_one_is_whole(
    scripted: Start, ask: Ask, tmp_path: Path
) -> None:
    to = tmp_path / "clip.mp4"
    to.write_bytes(b"old")
    with pytest.raises(NotFound):
        ask(scripted(refusal(404, "not_found")).url, "clip", ID, to)
    assert to.read_bytes() == b"old" and [*tmp_path.iterdir()] == [to]


def test_a_folder_is_no_file_to_write(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="is a folder"):
        ask("http://127.0.0.1:1", "clip", ID, tmp_path)
