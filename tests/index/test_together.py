"""What is joined is together, however it was joined and however much of it there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

from index.together import Together


@dataclass(eq=False)
class Counted:
    """A thing that counts how often it is looked up."""

    number: int
    looks: list[int] = field(default_factory=list)

    def __hash__(self) -> int:
        self.looks.append(1)
        return self.number


def test_what_is_joined_over_others_is_one_set() -> None:
    together: Together[str] = Together()
    for one, other in ("ab", "cd", "ef", "bc", "aa"):
        together.join(one, other)
    assert sorted(sorted(each) for each in together.sets()) == [["a", "b", "c", "d"], ["e", "f"]]


def test_a_join_takes_as_long_in_a_large_set_as_in_a_small_one() -> None:
    looks: list[int] = []
    things = [Counted(number, looks) for number in range(200)]
    together: Together[Counted] = Together()
    pairs = list(combinations(things, 2))
    for one, other in pairs:
        together.join(one, other)
    assert len(looks) < 20 * len(pairs)
    assert [len(each) for each in together.sets()] == [200]
