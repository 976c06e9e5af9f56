"""open_clip is loaded without torch's compiler, which still comes when it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from extractor.encoders import load, quick_import
from extractor.encoders.base import Pace

OWN = """
import sys
import torch
from extractor.encoders import load
encoder = load("starter")
assert encoder.texts(["a red circle"]).shape[0] == 1
import timm
tower = timm.create_model("test_vit", num_classes=0).eval()
assert tower(torch.zeros(1, 3, 160, 160)).shape[0] == 1
assert "torchvision" in sys.modules and "torch._dynamo" not in sys.modules, "it is loaded"
from torchvision.ops.roi_align import is_compile_supported
assert isinstance(is_compile_supported("cpu"), bool)
assert "torch._dynamo" in sys.modules, "it is not loaded when it is called"
assert int(torch.compile(lambda x: x + 1, backend="eager")(torch.tensor(3))) == 4
"""
# As the real one, which has towers for texts: it needs the compiler at once.
TRANSFORMERS = "import torch._dynamo.utils\nAutoModel = AutoTokenizer = AutoConfig = PretrainedConfig = 3\n"
BASE = "BaseModelOutput = BaseModelOutputWithPooling = BaseModelOutputWithPoolingAndCrossAttentions = 4\n"


def test_an_encoder_is_loaded_and_used_without_it() -> None:
    subprocess.run([sys.executable, "-c", OWN], check=True)


def test_a_library_that_needs_it_at_once_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "transformers"
    folder.mkdir()
    (folder / "__init__.py").write_text(TRANSFORMERS)
    (folder / "modeling_outputs.py").write_text(BASE)
    code = "from extractor.encoders.quick_import import open_clip; print(open_clip().hf_model.AutoModel)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert told.stdout == "3\n"


def test_what_is_absent_is_loaded_by_the_first_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "absent_here.py").write_text("def is_compile_supported(device): return device == 'cpu'\n")
    monkeypatch.syspath_prepend(tmp_path)
    absent = quick_import._Absent("absent_here")
    ask = absent.is_compile_supported
    assert not hasattr(absent, "config") and not hasattr(absent, "__path__")
    assert "absent_here" not in sys.modules
    assert ask("cpu") and not ask("tpu")
    del sys.modules["absent_here"]


def test_what_is_marked_for_the_compiler_stays_as_it_is() -> None:
    assert quick_import._unchanged(len) is quick_import._unchanged(recursive=False)(len) is len


def test_whoever_compiles_has_the_compiler_before_the_family_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[str] = []

    def family(variant: str, device: str, weights: object, pace: Pace) -> None:
        loaded.append("the family")

    monkeypatch.setattr(quick_import, "import_module", loaded.append)
    monkeypatch.setattr("extractor.encoders._loader", lambda name: family)
    load("made:up", pace=Pace(compiled_for=2))
    load("made:up", pace=Pace())
    assert loaded == ["torch._dynamo", "the family", "the family"]
