"""Kinds of fields that several requests have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from server.asked import is_unicode, not_built, refused

MAX_TEXT = 2_000


def _is_text(value: str) -> str:
    if not value.strip():
        raise refused("must be a text, not only white space")
    return is_unicode(value)


def later(default: Any, meaning: str, **limits: Any) -> Any:
    """A field of the contract that is not built: only its default may be sent."""
    return Field(default, description=f"{meaning} (not built yet: 400)", validate_default=False, **limits)


def _only_default(value: Any) -> Any:
    raise not_built()


Later = BeforeValidator(_only_default)
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_is_text)]
Id = Annotated[str, Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(ge=0)]
