"""What is made ahead in tests: of a module that is soon imported."""

from __future__ import annotations

import os


def told(number: int) -> tuple[int, int]:
    """Itself, and who told it."""
    if number == 13:
        raise ValueError("not that one")
    return number, os.getpid()
