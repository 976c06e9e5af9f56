"""What an encoder must not be taken for is said wherever it answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extractor.encoders import notice_of
from server.schemas.embed import EmbedAnswer

OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.mark.parametrize(
    "name", ["starter", "starter-2", "starter-motion", "starter-motion-2", "starter-coca", "starter:x"]
)
def test_a_starter_and_a_store_called_after_it_have_one(name: str) -> None:
    notice = notice_of(name)
    assert notice and "know only the rendered world" in notice and "--encoder auto" in notice


@pytest.mark.parametrize("name", ["toy:rgb", "open_clip:ViT-B-32/openai", "starters", "my-starter", ""])
def test_no_other_has(name: str) -> None:
    assert notice_of(name) is None


def test_an_answer_says_it() -> None:
    for name in ("starter", "toy:rgb"):
        answer = EmbedAnswer(vectors=[], encoder=name, truncated=[]).model_dump()
        assert answer["encoder"] == name and answer["encoder_notice"] == notice_of(name)


def test_every_answer_that_names_its_encoder_has_a_place_for_it() -> None:
    schemas = json.loads(OPENAPI.read_text())["components"]["schemas"]
    answers = {name for name, held in schemas.items() if "encoder" in held.get("required", ())}
    assert {"SearchAnswer", "EmbedAnswer", "TagAnswer", "LocateAnswer", "CaptionAnswer"} <= answers
    assert {name for name in answers if "encoder_notice" not in schemas[name]["properties"]} == set()
    assert "notice" in schemas["EncoderShown"]["properties"]
