"""Kinds of flags that several verbs have."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from core.collections import is_name


def _is_collection(value: str) -> str:
    if not is_name(value):
        raise ValueError("it must be one word of a path, without '/'")
    return value


def _is_encoder(value: str | None) -> str | None:
    if value == "":
        raise ValueError("it must be family:variant, or auto")
    return value


CollectionName = Annotated[str, AfterValidator(_is_collection)]
EncoderName = Annotated[str | None, AfterValidator(_is_encoder)]
