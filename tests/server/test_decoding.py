"""What was decoded and waits is bounded."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import anyio
import pytest

from core.types import Look
from server import decoding
from server.decoding import Decoding, How, Sent
from server.errors import ApiError
from server.library import ServedLibrary
from server.limits import Slots
from server.metrics import Metrics
from server.settings import ServeSettings
from server.spent import Spent
from tests.server.conftest import Running
from tests.server.sent import base64_of, picture


def test_only_so_much_that_was_decoded_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "HELD_BYTES", 2 * 32 * 32 * 3)
    decode = Decoding(Slots(1, 0), ServeSettings(), lambda seconds: None)
    sent, how = [Sent("file", picture("red"))], How(Look(32))
    held = [decode.decoded(sent, how) for _ in range(2)]
    with pytest.raises(ApiError) as refused:
        decode.decoded(sent, how)
    assert refused.value.http_status == 429
    assert decode.decoded(sent, how, Spent(is_in=True))
    held.pop()
    assert decode.decoded(sent, how)


def test_what_waits_to_be_decoded_is_told_and_counted() -> None:
    slots = Slots(1, 1)
    metrics = Metrics(ServedLibrary(dict), Slots(1, 1), slots)
    decode = Decoding(slots, ServeSettings(), metrics.decoded, metrics.waited)
    anyio.run(partial(decode.frames, [Sent("file", picture("red"))], How(Look(32))))
    told = metrics.text().decode()
    assert all(f'stage_seconds_count{{stage="{stage}"}} 1.0' in told for stage in ("wait", "decode"))
    assert "cinedex_decoding_places_taken 0.0" in told
    with slots.place():
        assert "cinedex_decoding_places_taken 1.0" in metrics.text().decode()


def test_each_stage_of_the_contract_is_exposed(sample_server: Running) -> None:
    contract = Path(__file__).parents[2] / "docs" / "http-api.md"
    (row,) = re.findall(r"^\| `stage_seconds` \|.*$", contract.read_text(), re.MULTILINE)
    stages = re.findall(r"`(\w+)`", row)[2:]
    assert len(stages) == 5
    asked = {"query": [{"image": base64_of(picture("red"))}, {"text": "red"}]}
    assert sample_server.http.post("/search", json=asked).status_code == 200
    told = sample_server.http.get("/metrics").text
    assert set(re.findall(r'cinedex_stage_seconds_count{stage="(\w+)"}', told)) == set(stages)
