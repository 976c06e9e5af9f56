"""Texts or pictures → vectors."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from server.asked import Strict, refused
from server.schemas.answered import Answered
from server.schemas.fields import Photo, Text

MOST = 64


class EmbedAsked(Strict):
    """Exactly one of texts and images."""

    texts: list[Text] | None = Field(None, fail_fast=True, min_length=1, max_length=MOST, description="texts")
    images: list[Photo] | None = Field(
        None,
        fail_fast=True,
        min_length=1,
        max_length=MOST,
        description="pictures: each base64 of a JPEG, PNG or WebP",
    )
    collection: str | None = Field(None, max_length=200, description="null: `default`, else the first")
    encoder: str | None = Field(None, max_length=200, description="by its whole name; null: the first")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.texts is None) == (self.images is None):
            raise refused("must have exactly one of texts and images")
        return self


class EmbedAnswer(Answered):
    """A vector each, in order."""

    vectors: list[list[float]]
    truncated: list[bool] = Field(description="which texts are longer than the encoder reads, and were cut")
