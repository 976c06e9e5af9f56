"""What clip-retrieval's back-end is asked and answers, field by field as it has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from server.asked import Strict, refused
from server.schemas.fields import Numbers, Photo, Text, Url

MAX_NEIGHBOURS = 10_000
GIVEN = ("text", "image", "image_url", "embedding_input")
_NOT_APPLIED = ("use_safety_model", "use_violence_detector", "aesthetic_score", "aesthetic_weight")


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


class KnnAsked(Strict):
    """What POST /knn-service is sent: exactly one of text, image, image_url, embedding_input."""

    text: Annotated[Text | None, BeforeValidator(_empty_is_none)] = Field(None, description="a text")
    image: Photo | None = Field(None, description="a picture: base64 of a JPEG, PNG or WebP")
    image_url: Url | None = Field(None, description="the same from a host that the operator allows")
    embedding_input: Numbers | None = Field(None, description="a vector of the collection's encoder")
    modality: Literal["image", "text"] = Field("image", description="image: videos; text: library texts")
    num_images: int = Field(100, ge=1, le=MAX_NEIGHBOURS, description="results that come with metadata")
    num_result_ids: int | None = Field(
        None, ge=1, le=MAX_NEIGHBOURS, description="rows that are looked for; null: num_images"
    )
    indice_name: str | None = Field(None, max_length=401, description="of /indices-list; null: the first")
    use_mclip: bool = Field(False, description="true is refused: the collection's encoder reads the text")
    deduplicate: bool = Field(False, description="rows of one video that touch are one result")
    use_safety_model: bool = Field(False, description="not applied: there is no such model here")
    use_violence_detector: bool = Field(False, description="not applied, likewise")
    aesthetic_score: float | str | None = Field(None, description="not applied, likewise")
    aesthetic_weight: float | str | None = Field(None, description="not applied, likewise")

    @field_validator("use_mclip")
    @classmethod
    def _is_not_there(cls, value: bool) -> bool:
        if value:
            raise refused("must be false: texts are read by the collection's own encoder")
        return value

    @property
    def not_applied(self) -> list[str]:
        """What was asked for and makes no difference here, as in a back-end without these models."""
        return [name for name in _NOT_APPLIED if getattr(self, name) not in (None, "", False)]


class KnnShown(BaseModel):
    """A row: its number and its score, and of the first ones what is known of it."""

    model_config = ConfigDict(extra="allow")

    id: int
    similarity: float


class MetadataAsked(Strict):
    """What POST /metadata is sent."""

    ids: list[int] = Field(
        max_length=MAX_NEIGHBOURS, fail_fast=True, description="of answers of /knn-service"
    )
    indice_name: str | None = Field(None, max_length=401, description="of /indices-list; null: the first")


class MetadataShown(BaseModel):
    """What is known of a row."""

    id: int
    metadata: dict[str, Any]
