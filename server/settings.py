"""How `cinedex serve` can be told what to do."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from core.config import Settings


class ServeSettings(Settings):
    """Answer over HTTP what is in a library."""

    host: str = Field("127.0.0.1", min_length=1, description="the address to bind to")
    port: int = Field(8000, ge=0, le=65_535, description="0: a free one, which is printed")
    published: str | None = Field(
        None, min_length=1, description="the address at which a container's port is reached; else --host"
    )
    published_port: int | None = Field(None, ge=1, le=65_535, description="and its port there; else --port")
    allowed_hosts: list[str] = Field([], description="further names clients may ask for; '*': any")
    insecure: bool = Field(False, description="bind elsewhere than to loopback, even without keys")
    follow_seconds: float = Field(2.0, gt=0, le=86_400, description="between two looks at what has changed")
    max_concurrent: int = Field(0, ge=0, le=1_000, description="requests answered at once; 0: one a CPU")
    max_waiting: int = Field(
        64, ge=0, le=1_000_000, description="requests that may wait; more are told to come again"
    )
    max_body_mb: float = Field(16.0, gt=0, le=1024, description="largest body of a request")
    trust_import: list[str] = Field([], description="encoders whose imported vectors are taken for theirs")
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="what searches; cuda: rows lie on the GPU; auto: there if there is one"
    )
    keys_file: Path | None = Field(
        None, description="API keys, where a secret is mounted; else DATA/keys.json"
    )
    trusted_proxies: list[str] = Field(
        ["127.0.0.1"],
        description="whose X-Forwarded-For and -Proto are believed: addresses, networks; '*': any",
    )
    max_upload_mb: float = Field(256.0, gt=0, le=65_536, description="largest upload to /search/upload")
    max_megapixels: float = Field(64.0, gt=0, le=1_024, description="largest picture that is decoded")
    max_video_s: float = Field(60.0, gt=0, le=86_400, description="longest video that can be asked with")
    image_hosts: list[str] = Field(
        [], description="hosts that an image_url may name, NAME or NAME:PORT; by default none"
    )
    openapi: bool = Field(False, description="print the OpenAPI document and exit")
    workers: int = Field(
        1, ge=0, le=256, description="processes that answer; each holds an encoder; 0 and 1: this one"
    )
    deadline_seconds: float = Field(
        90.0, gt=0, le=86_400, description="within which an answer begins, or what was begun for it is ended"
    )
    cache_mb: float = Field(
        64.0, ge=0, le=1_048_576, description="memory for vectors of texts asked for lately; 0: none are kept"
    )
    max_decoding: int = Field(0, ge=0, le=1_000, description="files decoded at once; 0: one a CPU")
    decode_seconds: float = Field(60.0, gt=0, le=86_400, description="that decoding for one request may take")
    max_clip_seconds: float = Field(120.0, gt=0, le=86_400, description="longest clip that is cut")
    clip_cache_mb: float = Field(512.0, gt=0, le=1_000_000, description="of clips that are kept for a while")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, value: list[str]) -> list[str]:
        for each in value:
            if each != "*":
                ipaddress.ip_network(each)
        return value
