"""What searches and builds: the processor, or a GPU that is there."""

from __future__ import annotations


def chosen_device(asked: str) -> str:
    """ "cpu" or "cuda"; a UsageError where a GPU is asked for and none can be used. torch takes a while."""
    if asked == "cpu":
        return asked
    from index.exact_gpu import device_of

    return device_of(asked)
