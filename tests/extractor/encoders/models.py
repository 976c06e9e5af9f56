"""Models of open_clip's that tests can afford: tiny ones, and picture towers beside a small text tower."""

from __future__ import annotations

import argparse
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip import pretrained

from extractor.encoders import bert, videoclip_model
from extractor.encoders.clip2video_model import Shape, drawn
from extractor.encoders.temporal import HEAD, Sizes

SMALL_TEXT = {"context_length": 32, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def add_model(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    name: str,
    config: dict[str, Any],
    tags: dict[str, dict[str, Any]] | None = None,
) -> str:
    """Let open_clip list a model for as long as the test runs."""
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", [*open_clip.factory._MODEL_CONFIG_PATHS])
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {**open_clip.factory._MODEL_CONFIGS})
    path = folder / f"{name}.json"
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)
    monkeypatch.setitem(pretrained._PRETRAINED, name, tags or {})
    return name


def derived(model: str, **vision: Any) -> dict[str, Any]:
    """A listed model with its picture tower, or a smaller one, and a small text tower of open_clip's own."""
    config: dict[str, Any] = open_clip.get_model_config(model)
    config["vision_cfg"] |= vision
    config["text_cfg"] = {**SMALL_TEXT, "embed_cls": "multimodal_cfg" in config}
    if "multimodal_cfg" in config:  # CoCa's
        config["multimodal_cfg"] |= {"width": 64, "heads": 2, "layers": 1, "context_length": 33}
        config["text_cfg"] |= {"output_tokens": True}
    return config


def tiny_state(seed: int, config: dict[str, Any] | None = None) -> dict[str, torch.Tensor]:
    """The weights of a tiny model."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        state: dict[str, torch.Tensor] = open_clip.CLIP(**deepcopy(config or TINY)).state_dict()
    return state


def inexact_state(seed: int) -> dict[str, torch.Tensor]:
    """The weights of a tiny model that bf16 loses: each feature is a small difference of great numbers."""
    state = tiny_state(seed)
    state["visual.ln_post.bias"] += 1e4
    rows = state["visual.proj"]
    half = len(rows) // 2
    state["visual.proj"] = torch.cat([rows[:half], -rows[:half]])
    return state


TINY_CLIP = {  # as CLIP2Video's, with heads of 64
    "embed_dim": HEAD,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": HEAD, "head_width": HEAD, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": HEAD, "heads": 1, "layers": 1},
}


def clip2video_state(seed: int, *, centres: int = 3, is_mlp: bool = False) -> dict[str, torch.Tensor]:
    """The weights of a tiny CLIP2Video by the names of its authors' files."""
    sizes = Sizes(HEAD, centres, layers=2, difference_layers=0 if is_mlp else 1)
    found: dict[str, torch.Tensor] = drawn(Shape(TINY_CLIP, sizes), seed).state_dict()
    return found


def in_half(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As the authors keep them: the matrices of CLIP in half precision."""
    return {
        key: tensor.half() if key.startswith("clip.") and tensor.dim() > 1 else tensor
        for key, tensor in state.items()
    }


TINY_COCA = {
    "embed_dim": 16,
    "vision_cfg": {
        **{"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        **{"attentional_pool": True, "attn_pooler_queries": 8, "attn_pooler_heads": 2, "output_tokens": True},
    },
    "text_cfg": {
        **{"context_length": 40, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
        **{"embed_cls": True, "output_tokens": True},
    },
    "multimodal_cfg": {
        **{"context_length": 40, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
        "attn_pooler_heads": 2,
    },
    "custom_text": True,
}


def coca_state(seed: int, *, lively: float = 1.0) -> dict[str, torch.Tensor]:
    """The weights of a tiny CoCa. More than 1 `lively`: what it sees matters more than in a fresh one."""
    config = {name: value for name, value in deepcopy(TINY_COCA).items() if name != "custom_text"}
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        module = open_clip.CoCa(**config)
        state: dict[str, torch.Tensor] = module.state_dict()
        for name, tensor in state.items():
            is_drawn = tensor.dim() > 1 or name.endswith(("class_embedding", "cls_emb"))
            if is_drawn and lively != 1:
                tensor.normal_(std=lively / tensor.shape[-1] ** 0.5)
    return state


def coca_folder(folder: Path, seed: int = 1) -> Path:
    """A folder as the authors' repositories are: a config, and a checkpoint of torch.save."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY_COCA}))
    torch.save(coca_state(seed, lively=2.0), folder / "open_clip_pytorch_model.bin")
    return folder


def videoclip_state(seed: int, *, features: int = 32, layers: int = 2) -> dict[str, torch.Tensor]:
    """The weights of a tiny VideoCLIP by the names of its authors' files, less their prefix. As lively as
    trained ones: in a fresh one all seconds are alike."""
    video = bert.Sizes(bert.HEAD, 96, layers, words=200, places=64)
    text = bert.Sizes(bert.HEAD, 96, 1, places=64)
    shape = videoclip_model.Shape(features, video, text)
    return lively(videoclip_model.drawn(shape, seed).state_dict(), seed)


def lively(state: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """The same weights, in which what is seen matters more than in fresh ones."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        for tensor in state.values():
            if tensor.dim() > 1:
                tensor.normal_(std=2.0 * tensor.shape[-1] ** -0.5)
    return state


def videoclip_file(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """As fairseq saves it: in half precision, among Python's objects."""
    held = {f"{videoclip_model.PREFIX}{key}": tensor.half() for key, tensor in state.items()}
    for part in ("video_encoder.bert", "text_encoder"):
        held[f"{videoclip_model.PREFIX}{part}.embeddings.position_ids"] = torch.arange(64)[None]
    whole = {
        "args": argparse.Namespace(arch="mmfusion", lr=[5e-5]),
        "model": held,
        "criterion": None,
        "optimizer_history": [{"criterion_name": "MMCriterion", "num_updates": 3}],
        "task_state": {},
        "extra_state": {"epoch": 1, "best": 1.5},
        "last_optimizer_state": {"state": {}, "param_groups": [{"lr": 5e-5}]},
    }
    torch.save(whole, path)
    return path
