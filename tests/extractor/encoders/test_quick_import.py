"""open_clip is loaded without torch's compiler, which still comes when it is called."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from extractor.encoders import load, quick_import
from extractor.encoders.base import Pace

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


def test_what_is_marked_for_the_compiler_stays_as_it_is() -> None:
    assert quick_import._unchanged(len) is quick_import._unchanged(recursive=False)(len) is len


def test_whoever_compiles_has_the_compiler_before_the_family_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []

    def family(variant: str, device: str, weights: object, pace: Pace) -> None:
        loaded.append("the family")

    monkeypatch.setattr("extractor.encoders.import_module", loaded.append)
    monkeypatch.setattr("extractor.encoders._loader", lambda name: family)
    load("made:up", pace=Pace(compiled_for=2))
    load("made:up", pace=Pace())
    assert loaded == ["torch._dynamo", "the family", "the family"]
