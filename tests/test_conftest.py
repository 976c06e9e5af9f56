"""What a test needs and is not there skips it, or fails it where somebody insists; what all need stays."""

from __future__ import annotations

import gc

import pytest

from tests.conftest import lacking


@pytest.mark.parametrize(
    ("insists", "is_asked", "kind"),
    [
        ("", False, pytest.skip.Exception),
        ("0", False, pytest.skip.Exception),
        ("1", False, pytest.fail.Exception),
        ("", True, pytest.fail.Exception),
    ],
)
def test_what_is_lacking_fails_where_it_was_named_or_is_insisted_on(
    monkeypatch: pytest.MonkeyPatch, insists: str, is_asked: bool, kind: type[BaseException]
) -> None:
    monkeypatch.setenv("REQUIRE_A_THING", insists)
    with pytest.raises(kind, match="nowhere is no file"):
        lacking("nowhere is no file", "REQUIRE_A_THING", is_asked=is_asked)


def test_what_was_there_before_the_first_test_is_not_looked_through_again() -> None:
    assert gc.get_freeze_count() > 10_000
