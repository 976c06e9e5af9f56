"""Packets come to an end, whatever PyAV does at it."""

from __future__ import annotations

from typing import Any

from extractor.media.packets import MAX_READ_ERRORS, Losses, read


class Stumbling:
    """A container at whose end PyAV stumbles each time."""

    tries = 0

    def demux(self, *streams: object) -> Any:
        self.tries += 1
        raise IndexError


class Nothing:
    """Is beside the pictures."""

    streams = ()

    def take(self, packet: object) -> None:
        raise AssertionError("nobody asked for it")


def test_who_stumbles_again_and_again_is_at_the_end() -> None:
    container: Any = Stumbling()
    stream: Any = object()
    losses = Losses()
    assert list(read(container, stream, losses, Nothing())) == []
    assert (container.tries, losses.packets) == (MAX_READ_ERRORS, 0)
