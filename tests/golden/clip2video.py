"""CLIP2Video's frames, texts, differences, both halves and their score."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.types import EncoderSpec, Look
from extractor.encoders.base import unit
from extractor.encoders.clip2video import Clip2Video, joined
from extractor.encoders.clip2video_model import Model, Read, filled
from extractor.encoders.temporal import between
from tests.golden import recipe
from tests.golden.recipe import Array, Manifest

NAME = "clip2video"


def made(manifest: Manifest) -> Model:
    """The model with the golden's weights, its sizes read off them."""
    state = {key: torch.from_numpy(weight) for key, weight in recipe.weights(manifest).items()}
    return filled(state, Read(state, NAME, NAME).shape(), file=NAME, name=NAME)


def left_out(manifest: Manifest) -> dict[str, str]:
    """What the authors' code does to padded videos that share a batch."""
    return {"batched_": "the authors' batches mix up the masks of their videos"}


@torch.inference_mode()
def outputs(manifest: Manifest, expected: dict[str, Array]) -> dict[str, Array]:
    """Every array."""
    model = made(manifest)
    given = {name: torch.from_numpy(each) for name, each in recipe.inputs(manifest, expected).items()}
    videos = given["video"]
    frames = model.clip.encode_image(videos.flatten(0, 1)).unflatten(0, videos.shape[:2])
    found = _of_videos(model, frames, given["video_mask"].float())
    found |= {"frame_features": frames, "image_hidden_frame0": _hidden(model, videos[0, :1])}
    found |= _of_texts(model, given["input_ids"], given["text_mask"].float())
    scale = model.clip.logit_scale.exp()
    found["logit_scale_exp"] = scale
    found["similarity"] = scale * torch.from_numpy(_scores(model, found, manifest["config"]["center_weight"]))
    return {name: np.asarray(each) for name, each in found.items()}


def _of_videos(model: Model, frames: Tensor, mask: Tensor) -> dict[str, Tensor]:
    count = frames.shape[1]
    tokens = model.tokens(frames, mask)
    around = between(mask, tokens.shape[1])
    whole, aligned = model.halves(frames, mask)
    shared, among = model.shared(frames, mask)
    at, kinds = model.frame_position_embeddings.weight[:count], model.type_position_embeddings.weight
    places = model.places(count)
    position = at.repeat_interleave(2, dim=0)[None, :-1]
    assert torch.equal(places[0, 1], at[0] + kinds[0])
    return {
        "tdb_tokens": tokens,
        "tdb_position": position,
        "tdb_type": places - position,
        "tdb_mask": around,
        "tdb_transformer_out": model.transformerClip(tokens + places, around),
        "tab_frames": shared,
        "tab_mask": among,
        "video_global": whole,
        "video_tab": aligned,
    }


def _of_texts(model: Model, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    hidden = model.words(ids)
    whole, aligned = model.text_halves(ids, mask)
    ends = hidden[torch.arange(len(ids)), ids.argmax(dim=1)]
    assert torch.equal(unit(ends), whole)
    return {"text_hidden": hidden, "text_eot": ends, "text_global": whole, "text_tab": aligned}


def _hidden(model: Model, picture: Tensor) -> Tensor:
    """All tokens of a picture as its vector is made of the first."""
    visual = model.clip.visual
    found: Tensor = visual.ln_post(visual.transformer(visual._embeds(picture))) @ visual.proj
    return found


def _scores(model: Model, found: dict[str, Tensor], w: float) -> Array:
    """By rows as a store has them, and a query for another weight."""
    texts = joined(found["text_global"], found["text_tab"])
    videos = joined(found["video_global"], found["video_tab"])
    spec = EncoderSpec(NAME, texts.shape[1], Look(model.clip.visual.image_size[0]))
    queries = Clip2Video(spec, model, "cpu").adjusted(texts.numpy(), {"w": w})
    return np.asarray(queries @ videos.numpy().T)
