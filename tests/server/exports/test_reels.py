"""Reel names."""

from __future__ import annotations

from server.exports.reels import LONGEST, Reels
from tests.server.worlds import id_of


def test_a_cameras_own_name_is_kept() -> None:
    assert Reels().name("v-1", "cards/A001C003.mov") == "A001C003"
    assert Reels().name("v-1", "cards/a001c003.MOV") == "A001C003"


def test_a_name_is_the_same_in_every_list() -> None:
    one, other = Reels(), Reels()
    other.name(id_of("b"), "films/the long way.mp4")
    assert one.name(id_of("a"), "films/the long way.mp4") == other.name(id_of("a"), "films/the long way.mp4")


def test_names_are_eight_plain_characters_and_no_two_videos_share_one() -> None:
    reels = Reels()
    paths = ["films/IMG.mp4", "a/IMG.mp4", "films/кино.mp4", "films/AX.mp4", "films/BL.mp4", "films/.mp4", ""]
    named = {reels.name(id_of(f"{path}{n}"), path) for path in paths for n in range(500)}
    assert len(named) == 500 * len(paths)
    assert not named & {"AX", "BL", "BARS"}
    assert all(0 < len(name) <= LONGEST and name.isascii() and name.isalnum() for name in named)
    assert all(name == name.upper() for name in named)
