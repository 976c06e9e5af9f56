"""A long run in pieces."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from benchmarks.extract import part_of


def test_the_parts_of_a_list_are_all_of_it_and_each_once() -> None:
    clips = list(range(20))
    for step in (1, 2, 6, 30):
        parts = [clips[part_of(f"{first}/{step}")] for first in range(1, step + 1)]
        assert sorted(clip for part in parts for clip in part) == clips


@pytest.mark.parametrize("text", ["", "2", "0/6", "7/6", "2/", "/6", "-1/6", "1.5/6", "a/b"])
def test_what_names_no_part_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is no part, as 2/6 is one"):
        part_of(text)
