"""What is served, and whether it can be searched."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class EncoderShown(BaseModel):
    """One encoder of a collection as it is served now."""

    name: str
    fingerprint: str
    dim: int
    default: bool
    ready: bool
    reason: str | None
    snapshot: int | None
    rows: dict[str, int] | None
    notice: str | None


class CollectionShown(BaseModel):
    """A collection and its encoders, the default one first."""

    name: str
    default: bool
    encoders: list[EncoderShown]


class CollectionsAnswer(BaseModel):
    """What GET /collections answers."""

    collections: list[CollectionShown]


class ReadyAnswer(BaseModel):
    """What GET /readyz answers, with 200 and with 503."""

    ready: bool
    collections: list[CollectionShown]


class HealthAnswer(BaseModel):
    """What GET /healthz answers."""

    status: Literal["ok"] = "ok"
