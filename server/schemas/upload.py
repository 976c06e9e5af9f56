"""What is sent beside a file."""

from __future__ import annotations

from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from server.asked import refused, wrong_at
from server.schemas.query import BesideAsked
from server.schemas.search import SearchAsked
from server.schemas.sequence import require_fitting


class UploadAsked(SearchAsked):
    """What the part `request` of POST /search/upload is: as POST /search, but that `query` may be missing."""

    query: BesideAsked | None = Field(
        None, description="what is looked for beside the file: a text, or parts with weights"
    )

    @field_validator("mode")
    @classmethod
    def _has_words(cls, value: str, info: ValidationInfo) -> str:
        if value == "text":
            raise refused('"text" needs a query of texts alone, and a file is none')
        return value

    @model_validator(mode="after")
    def _is_one_search(self) -> Self:
        if self.sequence is not None:
            raise wrong_at("sequence", "excludes a file beside it")
        require_fitting({name: getattr(self, name) for name in self.model_fields_set})
        return self
