"""Values that are kept for as long as they are the latest."""

from __future__ import annotations

from index.recent import Recent


def test_what_was_not_asked_for_longest_goes_first() -> None:
    recent = Recent[str, int](2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_values_weigh_at_most_so_much_in_all() -> None:
    recent = Recent[str, str](6, lambda key, value: len(value))
    recent.put("a", "xxx")
    recent.put("b", "xx")
    recent.put("a", "xxxx")
    assert [recent.get(key) for key in "ab"] == ["xxxx", "xx"]
    recent.put("c", "x")
    assert [recent.get(key) for key in "abc"] == [None, "xx", "x"]


def test_what_weighs_more_than_all_may_takes_nobody_elses_place_and_leaves_nothing_stale() -> None:
    recent = Recent[str, str](3, lambda key, value: len(value))
    recent.put("a", "x")
    recent.put("b", "x")
    recent.put("a", "xxxx")
    assert [recent.get(key) for key in "ab"] == [None, "x"]
