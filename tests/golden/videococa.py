"""A CoCa's tokens of all pictures of a video as one run: vectors, captions, and what leads to them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import open_clip
import torch
from torch import Tensor

from core.types import EncoderSpec, Look
from extractor.encoders.base import unit
from extractor.encoders.decoder import Marks
from extractor.encoders.open_clip import Model
from extractor.encoders.videococa import VideoCoCa
from tests.golden import recipe
from tests.golden.recipe import Array, Manifest

BEAMS = 2  # official: 6 in 3 groups that never look at each other
_PART = re.compile(r"stored part \[(.*)\]")


def made(manifest: Manifest) -> VideoCoCa:
    """The encoder with the golden's weights."""
    config = {name: manifest["config"][name] for name in ("embed_dim", "vision_cfg", "text_cfg")}
    config["multimodal_cfg"] = manifest["config"]["multimodal_cfg"]
    module = open_clip.CoCa(**config).eval().requires_grad_(False)
    wanted = module.state_dict()
    assert set(wanted) == set(manifest["weights"])
    for name, place in wanted.items():  # one at a time: all of them are gigabytes
        weight = recipe.weights(manifest | {"weights": {name: manifest["weights"][name]}})
        place.copy_(torch.from_numpy(weight[name]))
    size = int(config["vision_cfg"]["image_size"])
    spec = EncoderSpec("videococa:golden", int(config["embed_dim"]), Look(size))
    tokenizer = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    return VideoCoCa(Model(spec, module, tokenizer), "cpu")


@torch.inference_mode()
def outputs(manifest: Manifest, expected: dict[str, Array]) -> dict[str, Array]:
    """Every array."""
    encoder, inputs = made(manifest), recipe.inputs(manifest, expected)
    ids = torch.from_numpy(inputs["text_ids"])
    scale = encoder.logit_scale
    found: dict[str, Any] = {"logit_scale_exp": np.float32(scale)} | _of_texts(encoder, manifest, ids)
    videos = [name for name in inputs if name.startswith("video")]
    for video in videos:
        mine = _of_video(encoder, torch.from_numpy(inputs[video]), ids, expected, video)
        found |= {f"{video}_{name}": each for name, each in mine.items()}
    vectors = torch.stack([found[f"{video}_embedding"] for video in videos])
    found["similarity"] = scale * found["text_embedding"] @ vectors.T
    told = manifest["outputs"]
    return {
        name: _part(told[name].get("what", ""), np.asarray(each))
        for name, each in found.items()
        if name in expected
    }


def _of_texts(encoder: VideoCoCa, manifest: Manifest, ids: Tensor) -> dict[str, Tensor]:
    sentences = manifest["config"]["sentences"]
    raw, tokens = encoder.module._encode_text(ids, normalize=False)
    return {
        "text_embedding_raw": raw,
        "text_embedding": encoder.texts(sentences) if sentences else unit(raw),
        "text_tokens": tokens[:2],
    }


def _of_video(
    encoder: VideoCoCa, pictures: Tensor, ids: Tensor, expected: dict[str, Array], video: str
) -> dict[str, Any]:
    whole, alone = [np.arange(len(pictures))], list(np.arange(len(pictures))[:, None])
    tokens = encoder.trunk(pictures)
    sums, pooler = encoder.pooler.sums(tokens), encoder.pooler
    images = pooler.vectors(sums, alone)
    seen = pooler.caption_tokens(tokens.flatten(0, 1)[None])
    found = {
        "frame_tokens": tokens,
        "embedding_raw": pooler.projected(pooler.gathered(sums, whole))[0],
        "embedding": encoder.clips(sums, whole)[0],
        "image_embeddings": images,
        "mean_pool": unit(images.double().mean(dim=0)),
        "caption_tokens": seen[0],
    }
    if f"{video}_teacher_logits" in expected:
        found |= _taught(encoder, seen, ids[:2])
    return found | _written(encoder, seen, ids, expected, video)


def _taught(encoder: VideoCoCa, seen: Tensor, ids: Tensor) -> dict[str, Tensor]:
    """Logits behind each token of two texts, by the steps that write captions."""
    logits = _steps(encoder, seen.expand(len(ids), -1, -1), ids)
    likely = torch.log_softmax(logits[:, :-1].double(), dim=-1).gather(2, ids[:, 1:, None])[..., 0]
    is_word = ids[:, 1:] != 0
    return {"teacher_logits": logits, "caption_loglik": (likely * is_word).sum(dim=1) / is_word.sum(dim=1)}


def _written(
    encoder: VideoCoCa, seen: Tensor, ids: Tensor, expected: dict[str, Array], video: str
) -> dict[str, Any]:
    decoder, marks = encoder.decoder, Marks(int(ids[0, 0]), int(ids.max()))  # no word has a higher number
    greedy = decoder.greedy(seen, marks, len(expected[f"{video}_greedy"]))
    logits = _steps(encoder, seen, greedy[:, :-1])[0]
    logits[:4, marks.end] = -torch.inf
    best = logits.topk(2, dim=-1).values
    found: dict[str, Any] = {"greedy": greedy[0], "greedy_margin": best[:, 0] - best[:, 1]}
    if (beam := f"{video}_beam") in expected:
        found["beam"] = np.array(decoder.beamed(seen, BEAMS, marks, len(expected[beam]))[0])
    return found


def _steps(encoder: VideoCoCa, seen: Tensor, ids: Tensor) -> Tensor:
    sentences = encoder.decoder.begin(seen)
    return torch.cat([encoder.decoder.step(sentences, each[:, None]) for each in ids.T], dim=1)


def _part(what: str, array: Array) -> Array:
    """What of it is stored: "stored part [:, :12, ::97]"."""
    if (said := _PART.search(what)) is None:
        return array
    parts = [
        slice(*(int(number) if number else None for number in part.strip().split(":")))
        for part in said[1].split(",")
    ]
    return array[tuple(parts)]
