"""What is sent beside a file."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from server.asked import refused
from server.schemas.query import BesideAsked
from server.schemas.search import SearchAsked


class UploadAsked(SearchAsked):
    """What the part `request` of POST /search/upload is: as POST /search, but that `query` may be missing."""

    query: BesideAsked | None = Field(  # type: ignore[assignment]  # the file is what is asked with
        None, description="what is looked for beside the file: a text, or parts with weights"
    )

    @field_validator("mode")
    @classmethod
    def _has_words(cls, value: str, info: ValidationInfo) -> str:
        if value == "text":
            raise refused('"text" needs a query of texts alone, and a file is none')
        return value
