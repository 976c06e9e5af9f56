"""What a large body costs the event loop, on which it is read."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

import pytest
from pydantic_core import PydanticCustomError

from server.asked import is_unicode
from server.schemas.search import SearchAsked
from server.shown import body_of


def cpu_s(work: Callable[[], object]) -> float:
    """The least of five times."""
    found = []
    for _ in range(5):
        began = time.thread_time()
        work()
        found.append(time.thread_time() - began)
    return min(found)


def test_unicode_is_told_as_quickly_as_it_is_encoded() -> None:
    text = "é" * 2_000_000
    assert cpu_s(lambda: is_unicode(text)) < 10 * cpu_s(text.encode)
    with pytest.raises(PydanticCustomError):
        is_unicode(text + "\udc80")


def test_a_picture_or_a_vector_is_hashed_for_a_cursor_and_not_written_out() -> None:
    data = bytes(4 << 20)
    sent = base64.b64encode(data).decode()
    photo = SearchAsked.model_validate({"query": [{"image": sent}]})
    assert cpu_s(lambda: body_of(photo)) < cpu_s(lambda: base64.b64decode(sent, validate=True))
    vector = [0.1] * 65_536
    numbers = SearchAsked.model_validate({"query": [{"vector": vector}]})
    assert 2 * cpu_s(lambda: body_of(numbers)) < cpu_s(lambda: json.dumps(vector))


def test_a_picture_may_come_in_lines() -> None:
    data = bytes(range(256)) * 40
    one = base64.b64encode(data).decode()
    lines = base64.encodebytes(data).decode().replace("\n", "\r\n\t ")
    both = [SearchAsked.model_validate({"query": [{"image": sent}]}) for sent in (one, lines)]
    assert both[0] == both[1]
