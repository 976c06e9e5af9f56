"""What was decoded and waits is bounded."""

from __future__ import annotations

import pytest

from core.types import Look
from server import decoding
from server.decoding import Decoding, How, Sent
from server.errors import ApiError
from server.limits import Slots
from server.settings import ServeSettings
from server.spent import Spent
from tests.server.sent import picture


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
