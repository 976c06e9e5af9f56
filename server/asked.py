"""What every request's model is: strict, and with its mistakes told as the end of a sentence."""

from __future__ import annotations

from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

NULL_MEANS_NEVER = frozenset({"merge_gap_s"})


def refused(why: str) -> PydanticCustomError:
    """The end of a sentence that begins with the field."""
    return PydanticCustomError("refused", "{why}", {"why": why})


def wrong_at(field: str, why: str) -> PydanticCustomError:
    """The same, said of a field by who looks at several."""
    return PydanticCustomError("wrong_at", "{why}", {"why": why, "field": field})


def is_unicode(value: str) -> str:
    try:
        value.encode()  # far quicker than to look at each character
    except UnicodeEncodeError:
        raise refused("must be Unicode text, without lone surrogates") from None
    return value


class Strict(BaseModel):
    """Nothing is guessed: no unknown field, no number from a string, no NaN."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, ser_json_bytes="base64"
    )

    @model_validator(mode="before")
    @classmethod
    def _null_or_default_is_absent(cls, data: Any) -> Any:
        """Of fields that there are not only the first is left: it is told, and millions more cost nothing."""
        if not isinstance(data, dict):
            return data
        fields = {field.alias or name: field for name, field in cls.model_fields.items()}
        known = ((name, data[name]) for name in fields if name in data)
        others = ((name, value) for name, value in data.items() if name not in fields)
        held = {name: value for name, value in known if not _is_absent(fields[name], name, value)}
        return held | dict(others if cls.model_config.get("extra") == "allow" else islice(others, 1))


def _is_absent(field: FieldInfo, name: str, value: Any) -> bool:
    if value is None:
        return name not in NULL_MEANS_NEVER
    if name == "include" and isinstance(value, list) and len(value) == len(field.default):
        return sorted(map(str, value)) == sorted(field.default)  # a set, in any order
    is_like = isinstance(value, bool) == isinstance(field.default, bool)  # since 0 == False
    if isinstance(value, float) and isinstance(field.default, int):
        is_like = False  # 10 == 10.0, but 11.0 is no integer either
    return is_like and bool(value == field.default)
