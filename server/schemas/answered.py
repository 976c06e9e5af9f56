"""What answers of an encoder's have in common."""

from __future__ import annotations

from pydantic import BaseModel, computed_field

from extractor.encoders import notice_of

UNKNOWN = "texts of no word that the encoder knows: what their vectors find says nothing"


class Answered(BaseModel):
    """By which encoder, and what that must not be taken for."""

    encoder: str

    @computed_field(description="what the encoder does not know, where it must not be taken for more")  # type: ignore[prop-decorator]
    @property
    def encoder_notice(self) -> str | None:
        return notice_of(self.encoder)
