"""open_clip is loaded without torch's compiler, which still comes when it is called."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any, cast

import pytest
import torch

from extractor.encoders import quick_import

OWN = """
import sys
import torch
from extractor.encoders import load
encoder = load("starter")
assert encoder.texts(["a red circle"]).shape[0] == 1
assert "timm.models" in sys.modules and "torchvision" in sys.modules
assert "torch._dynamo" not in sys.modules, "it is loaded"
from torchvision.ops.roi_align import is_compile_supported
assert isinstance(is_compile_supported("cpu"), bool)
assert "torch._dynamo" in sys.modules, "it is not loaded when it is called"
assert int(torch.compile(lambda x: x + 1, backend="eager")(torch.tensor(3))) == 4
"""


def test_an_encoder_is_loaded_and_used_without_it() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", OWN], check=True)


def test_what_is_absent_is_loaded_by_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    absent, there = quick_import._Absent("made_up"), ModuleType("made_up")
    there.twice = lambda number: 2 * number  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_up", there)
    assert absent.twice(4) == 8
    assert not hasattr(absent, "__path__")  # which would make it a package with modules of its own


def test_what_is_not_to_be_compiled_is_not_when_there_is_a_compiler() -> None:
    seen = []

    def plain(number: int) -> int:
        seen.append(torch.compiler.is_compiling())
        return number + 1

    marked = quick_import._disabled_later(torch.compiler.disable, recursive=False)(plain)
    assert marked.__name__ == "plain" and marked(3) == 4
    assert cast(Any, torch.compile)(marked, backend="eager")(3) == 4 and seen == [False, False]
