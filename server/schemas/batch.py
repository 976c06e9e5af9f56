"""What POST /search/batch is sent, and what it answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema

from server.asked import Strict
from server.schemas.errors import ErrorBody
from server.schemas.search import SearchAnswer

MAX_REQUESTS = 64
MAX_PICTURES = 128  # in all; as many as one body can have
# Each is held to it by itself: a wrong one does not spoil the others.
AnyBody = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/SearchAsked"})]


class BatchAsked(Strict):
    """Several searches at once."""

    requests: list[AnyBody] = Field(
        min_length=1, max_length=MAX_REQUESTS, description="bodies of /search, answered in order"
    )


class Refused(BaseModel):
    """In place of an answer, where there is none."""

    error: ErrorBody


class BatchAnswer(BaseModel):
    """What POST /search/batch answers."""

    answers: list[SearchAnswer | Refused]
