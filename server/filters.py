"""`filter` of a request: docs/http-api.md, "Filter"."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from core.query import Condition, Test, Value, Where
from server.asked import Strict, is_unicode, refused

MAX_CONDITIONS = 64
MAX_DEEP = 4
MAX_IN = 1_000
MAX_VALUE = 4_096  # characters: a path may have as many
MAX_NAME = 200
GROUPS = ("must", "should", "must_not")
TESTS: tuple[Test, ...] = ("eq", "in", "gte", "lte", "prefix", "exists")


def _is_value(value: object) -> Value:
    if not isinstance(value, str | int | float):
        raise refused("must be a string, a number or a boolean")
    if isinstance(value, str):
        if len(value) > MAX_VALUE:
            raise refused(f"must have at most {MAX_VALUE:,} characters (has {len(value):,})")
        return is_unicode(value)
    if not math.isfinite(value) if isinstance(value, float) else not -(2**63) <= value < 2**63:
        raise refused("must be a finite number, and an integer one of 64 bits")
    return value


def _has_order(value: object) -> object:
    if isinstance(value, bool):
        raise refused("must be a number or a string, since booleans have no order")
    return value


AnyValue = Annotated[str | int | float | bool, BeforeValidator(_is_value)]
Ordered = Annotated[str | int | float, BeforeValidator(_is_value), BeforeValidator(_has_order)]


class TestsAsked(Strict):
    """Tests of one column, all to hold of one of its values."""

    __test__ = False  # no test of ours

    eq: AnyValue | None = Field(None, description="is this")
    in_: list[AnyValue] | None = Field(
        None, fail_fast=True, alias="in", max_length=MAX_IN, description="is one of these"
    )
    gte: Ordered | None = Field(None, description="is this or more")
    lte: Ordered | None = Field(None, description="is this or less")
    prefix: Annotated[str, BeforeValidator(_is_value)] | None = Field(None, description="begins with this")
    exists: bool | None = Field(None, description="has any value, or none")

    @model_validator(mode="after")
    def _tests_something(self) -> Self:
        if not any(True for _ in self.named):
            raise refused(f"must have at least one of {', '.join(TESTS)}")
        return self

    @property
    def named(self) -> Iterator[tuple[Test, Any]]:
        """The tests that were sent."""
        for test in TESTS:
            value = self.in_ if test == "in" else getattr(self, test)
            if value is not None:
                yield test, tuple(value) if isinstance(value, list) else value


def _value_or_tests(value: object) -> str | None:
    if isinstance(value, TestsAsked | dict):
        return "<tests>"
    return "<value>" if isinstance(value, str | int | float) else None


TestAsked = Annotated[
    Annotated[AnyValue, Tag("<value>")] | Annotated[TestsAsked, Tag("<tests>")],
    Discriminator(
        _value_or_tests,
        custom_error_type="refused",
        custom_error_message=f"must be a value or an object of {', '.join(TESTS)}",
    ),
]


class FilterAsked(Strict):
    """Conditions, `{COLUMN: value}` or `{COLUMN: {test: value}}`; or must, should and must_not of such."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, TestAsked] = Field(init=False)

    must: list[FilterAsked] | None = Field(None, fail_fast=True, description="all are to hold")
    should: list[FilterAsked] | None = Field(None, fail_fast=True, min_length=1, description="one is to hold")
    must_not: list[FilterAsked] | None = Field(None, fail_fast=True, description="none is to hold")

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        groups = [name for name in GROUPS if getattr(self, name) is not None]
        if groups and self.__pydantic_extra__:
            name = next(iter(self.__pydantic_extra__))
            raise refused(f"has {name!r} beside {groups[0]}; it belongs into must")
        return self


def require_small(value: object) -> object:
    """Refuse too many conditions, or ones too deep within each other, before any is looked at."""
    waiting, conditions = [(value, 1)], 0
    while waiting:
        node, deep = waiting.pop()
        if not isinstance(node, dict):
            continue
        inner = [each for name in GROUPS if isinstance(node.get(name), list) for each in node[name]]
        if deep > MAX_DEEP and any(name in node for name in GROUPS):
            raise refused(f"must be at most {MAX_DEEP} deep")
        columns = [str(name) for name in node if name not in GROUPS]
        if any(len(name) > MAX_NAME for name in columns):
            raise refused(f"has a column's name of more than {MAX_NAME} characters")
        conditions += len(columns) or not inner
        if conditions > MAX_CONDITIONS or len(inner) > MAX_CONDITIONS:
            raise refused(f"must have at most {MAX_CONDITIONS} conditions")
        waiting += [(each, deep + 1) for each in inner]
    return value


def where_of(asked: FilterAsked, at: str = "filter") -> Where:
    """The conditions of a valid filter, each with the path of its place."""
    must, should, must_not = (_children(getattr(asked, name) or (), f"{at}.{name}") for name in GROUPS)
    return Where((*_conditions(asked, at), *must), should, must_not)


def _children(several: Sequence[FilterAsked], at: str) -> tuple[Condition | Where, ...]:
    return tuple(_child(each, f"{at}[{number}]") for number, each in enumerate(several))


def _child(asked: FilterAsked, at: str) -> Condition | Where:
    """One condition is itself, and no filter of one."""
    conditions = tuple(_conditions(asked, at))
    return conditions[0] if len(conditions) == 1 else where_of(asked, at)


def _conditions(asked: FilterAsked, at: str) -> Iterator[Condition]:
    for column, test in (asked.__pydantic_extra__ or {}).items():
        if isinstance(test, TestsAsked):
            yield Condition(column, tuple(test.named), f"{at}.{column}")
        else:
            yield Condition(column, (("eq", test),), f"{at}.{column}", is_short=True)
