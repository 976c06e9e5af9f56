"""What every request's model is: strict, and with its mistakes told as the end of a sentence."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

NULL_MEANS_NEVER = frozenset({"merge_gap_s"})


def refused(why: str) -> PydanticCustomError:
    """The end of a sentence that begins with the field."""
    return PydanticCustomError("refused", "{why}", {"why": why})


def wrong_at(field: str, why: str) -> PydanticCustomError:
    """The same, said of a field by who looks at several."""
    return PydanticCustomError("wrong_at", "{why}", {"why": why, "field": field})


def is_unicode(value: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise refused("must be Unicode text, without lone surrogates")
    return value


class Strict(BaseModel):
    """Nothing is guessed: no unknown field, no number from a string, no NaN."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, ser_json_bytes="base64"
    )

    @model_validator(mode="before")
    @classmethod
    def _null_or_default_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if not cls._is_absent(name, value)}

    @classmethod
    def _is_absent(cls, name: str, value: Any) -> bool:
        field = cls.model_fields.get(name)
        if field is None or name in NULL_MEANS_NEVER:
            return False
        if name == "include" and isinstance(value, list):
            return sorted(map(str, value)) == sorted(field.default)  # a set, in any order
        is_like = isinstance(value, bool) == isinstance(field.default, bool)  # since 0 == False
        if isinstance(value, float) and isinstance(field.default, int):
            is_like = False  # 10 == 10.0, but 11.0 is no integer either
        return value is None or (is_like and value == field.default)
