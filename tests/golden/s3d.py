"""S3D's vectors of seconds, what each stage makes on the way, and its texts.

Computed in a process of its own, where matrices are multiplied as where the goldens were made: made-up
gates lie at their edges, and a sum in another order, as right as theirs, ends up 2e-3 away. A processor that
sums otherwise, whatever it is told, leaves out what comes after the first gate.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from core.types import EncoderSpec
from extractor.encoders.s3d import LOOK, Seconds
from extractor.encoders.s3d_model import PICTURES, Model, filled, regrouped
from extractor.encoders.s3d_words import Words
from tests.golden import recipe
from tests.golden.recipe import Array, Manifest

NAME = "s3d"
_AS_THEIRS = {"MKL_CBWR": "COMPATIBLE"}  # must be there before the first product
_THREADS = 2  # with one, convolutions are cut otherwise
_GATED = ("clips", "extract_", "stage_mean_gating", "stage_mean_maxpool_3a", "stage_mean_mixed_",
          "stage_mean_maxpool_4a", "stage_mean_maxpool_5a", "stage_mixed_")  # fmt: skip
_CORNER = {  # what is kept of a stage itself
    "conv1": ("stage_conv1_corner", (slice(None), slice(8), slice(4), slice(8), slice(8))),
    "mixed_5c": ("stage_mixed_5c_corner", (slice(None), slice(32))),
}


def unlike() -> str:
    """Why this processor cannot compute as theirs did, or ""."""
    if torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return ""
    return "S3D's made-up gates magnify rounding, and without AVX-512 and MKL sums are in another order"


def left_out(manifest: Manifest) -> dict[str, str]:
    """What is behind a gate, where sums are in another order."""
    return dict.fromkeys(_GATED, why) if (why := unlike()) else {}


def outputs(manifest: Manifest, expected: dict[str, Array]) -> dict[str, Array]:
    """Every array."""
    return as_theirs("tests.golden.s3d", manifest, expected)


@torch.inference_mode()
def unheld(manifest: Manifest, expected: dict[str, Array]) -> dict[str, Array]:
    """What is behind a gate as extraction makes it: in this process, one second after the other. It is told
    beside the rest and held to nothing, since a sum in another order is as right."""
    model, given = made(manifest), recipe.inputs(manifest, expected)
    found = dict[str, Tensor]()
    if "clips30" in given:
        each = [_of_clips(model, torch.from_numpy(clip[None])) for clip in given["clips30"]]
        found |= {name: torch.cat([mine[name] for mine in each]) for name in each[0]}
    if "video_u8" in given:
        found |= _of_video(model, torch.from_numpy(given["video_u8"]), is_at_once=False)
    return {
        name: held.numpy() for name, held in found.items() if name in expected and name.startswith(_GATED)
    }


def as_theirs(module: str, manifest: Manifest, given: dict[str, Array]) -> dict[str, Array]:
    """What a module computes of this in a process of its own."""
    with TemporaryDirectory() as folder:
        Path(folder, "given.json").write_text(json.dumps(manifest))
        _save(Path(folder, "given.npz"), given)
        words = [sys.executable, "-m", module, folder]
        subprocess.run(words, env=os.environ | _AS_THEIRS, cwd=Path(__file__).parents[2], check=True)
        with np.load(Path(folder, "ours.npz")) as found:
            return dict(found)


def made(manifest: Manifest) -> Model:
    """The model with the golden's weights, its sizes read off them."""
    state = {key: torch.from_numpy(np.asarray(each)) for key, each in recipe.weights(manifest).items()}
    return filled(state, file=NAME, name=NAME)


@torch.inference_mode()
def computed(manifest: Manifest, expected: dict[str, Array]) -> dict[str, Array]:
    """The same, in this process: of what is given."""
    model = made(manifest)
    given = {name: torch.from_numpy(each) for name, each in recipe.inputs(manifest, expected).items()}
    found = dict[str, Tensor]()
    if "clips30" in given:
        found |= _of_clips(model, given["clips30"])
    if "video_u8" in given:
        found |= _of_video(model, given["video_u8"])
    if "clips32" in given:
        # One row alone is multiplied by other code, whose order of sums on the goldens' machine is not known.
        clips = given["clips32"]
        pooled = model.video.pooled(clips.repeat(3, 1, 1, 1, 1))[: len(clips)]
        found |= {"clips32_mixed_5c": pooled, "clips32_video_embedding": model.video.fc(pooled)}
    ids = torch.tensor(_words(model.texts.word_embd.num_embeddings - 1).ids(manifest["config"]["sentences"]))
    found |= {"text_ids": ids, "text_embedding": model.texts(ids)}
    return {name: each.numpy() for name, each in found.items()}


def _words(count: int) -> Words:
    return Words([f"w{number}" for number in range(count)])


def _of_clips(model: Model, clips: Tensor) -> dict[str, Tensor]:
    found, values = {}, regrouped(clips)
    for name, stage in model.video.stages():
        values = stage(values)
        found[f"stage_mean_{name}"] = values.mean(dim=(2, 3, 4))
        if name in _CORNER:
            key, part = _CORNER[name]
            found[key] = values[part].clone()
    pooled = model.video.pooled(clips)
    return found | {"clips30_mixed_5c": pooled, "clips30_video_embedding": model.video.fc(pooled)}


def _of_video(model: Model, pictures: Tensor, *, is_at_once: bool = True) -> dict[str, Tensor]:
    """As the encoder has it, with black behind the end as a reader puts it there; but all at once, as where
    the goldens were made, or one second after the other, as it does."""
    lacking = -len(pictures) % PICTURES
    whole = torch.cat([pictures, pictures.new_zeros(lacking, *pictures.shape[1:])]).permute(0, 2, 3, 1)
    seconds = Seconds(EncoderSpec(NAME, model.video.fc.out_features, LOOK), model.video, "cpu")
    if is_at_once:
        seconds.at_once = len(whole) // PICTURES
    raw, ones = seconds(whole, is_unit=False), seconds(whole, is_unit=True)
    return {"extract_raw": raw, "extract_l2": ones, "extract_l2_fp16": ones.half()}


def _save(path: Path, arrays: dict[str, Array]) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]  # whose other parameter is a bool


def main(folder: Path, compute: Callable[[Manifest, dict[str, Array]], dict[str, Array]]) -> None:
    """What is given there, computed."""
    torch.set_num_threads(_THREADS)
    _save(folder / "ours.npz", compute(*recipe.load(folder / "given.json")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), computed)
