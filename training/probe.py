"""Figures that show early what a training misses: by attribute, not by its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from torch.nn import functional as F

from evaluation.retrieval import retrieval
from extractor.world.chance import Chance
from extractor.world.colours import COLOURS
from extractor.world.drawn import scene
from extractor.world.grammar import sentence
from extractor.world.grounds import Pixels
from extractor.world.lexicon import NUMBER_WORDS
from extractor.world.render import render
from extractor.world.scene import Scene, still
from extractor.world.shapes import SHAPES
from training.gallery import still_gallery
from training.groups import Attribute, group
from training.labels import Numbers, labels
from training.model import Heads, device_of, input_of, texts

Vectors = NDArray[np.float32]
See = Callable[[Tensor], tuple[Tensor, Tensor]]  # pictures to vectors, and the map of places under them
_MANY = 500
_GROUPS = 25
_COUNTS = (1, 2, 3, 4)


def probed(model: CLIP, tokenizer: SimpleTokenizer, side: int, seed: int) -> dict[str, float]:
    """Zero-shot shape, colour and count; texts that look for one picture in a thousand; where things are."""
    single = [still(scene("validation", seed, n, count=1), 0.5) for n in range(_MANY)]
    several = [still(scene("validation", seed, n, count=1 + n % 4), 0.5) for n in range(_MANY)]
    shown = still_gallery("validation", seed)
    seen, crowd = pictures_of(model, single, side), pictures_of(model, several, side)
    found = retrieval(texts_of(model, tokenizer, [s.text for s in shown]) @ _of(model, shown, side).T)
    shapes = texts_of(model, tokenizer, [f"a {shape}" for shape in SHAPES])
    colours = texts_of(model, tokenizer, [f"a {colour} shape" for colour in COLOURS])
    counts = texts_of(model, tokenizer, [_counted(count) for count in _COUNTS])
    return {
        "shape": _share(seen @ shapes.T, [list(SHAPES).index(each.things[0].shape) for each in single]),
        "colour": _share(seen @ colours.T, [list(COLOURS).index(each.things[0].colour) for each in single]),
        "count": _share(crowd @ counts.T, [len(each.things) - 1 for each in several]),
        "relation": _inside(model, tokenizer, "relation", side, seed),
        "swapped_colours": _inside(model, tokenizer, "swapped colours", side, seed),
        "place_r2": place_r2(seen, single),
        "text_to_frame_r1": found.text_to_video.r1 / 100,
        "text_to_frame_r10": found.text_to_video.r10 / 100,
    }


def _inside(model: CLIP, tokenizer: SimpleTokenizer, attribute: Attribute, side: int, seed: int) -> float:
    """How many claims find their picture among the eight of a group."""
    chance, found = Chance("validation", seed, "inside", attribute), list[bool]()
    for number in range(_GROUPS):
        held = group(attribute, "validation", seed, number, moving=False)
        said = texts_of(model, tokenizer, [sentence(claim, chance) for claim in held.claims])
        best = (said @ pictures_of(model, held.scenes, side).T).argmax(axis=1)
        found += list(best == np.arange(len(best)))
    return float(np.mean(found))


@torch.inference_mode()
def known(see: See, heads: Heads, side: int, seed: int) -> dict[str, float]:
    """What heads tell of scenes before texts have their turn: of the vectors of one thing alone its shape and
    colour, of several how many there are, and of places what lies in them."""
    single = [still(scene("validation", seed, n, count=1), 0.5) for n in range(_MANY)]
    several = [still(scene("validation", seed, n, count=1 + n % 4), 0.5) for n in range(_MANY)]
    (seen, _), (crowd, places) = (_seen(see, heads, scenes, side) for scenes in (single, several))
    one, many = labels(single).things, labels(several)
    placed = heads.told(places, many.things)
    return {
        "head_shape": _share(heads.shapes(seen).cpu().numpy(), one.shapes),
        "head_colour": _share(heads.colours(seen).cpu().numpy(), one.colours),
        "head_count": _share(heads.counts(crowd).cpu().numpy(), many.counts),
        "place_shape": _share(placed[0].cpu().numpy(), many.things.shapes),
    }


def _seen(see: See, heads: Heads, scenes: Sequence[Scene], side: int) -> tuple[Tensor, Tensor]:
    rows = np.concatenate([render(each, [0.5], side) for each in scenes])
    parts = [see(input_of(rows[i : i + 128], device_of(heads))) for i in range(0, len(rows), 128)]
    vectors, places = zip(*parts, strict=True)
    return torch.cat(vectors).float(), torch.cat(places).float()


def _counted(count: int) -> str:
    return f"{NUMBER_WORDS[count]} {'shape' if count == 1 else 'shapes'}"


def _of(model: CLIP, shown: Sequence[object], side: int) -> Vectors:
    return pictures_of(model, [each.scene for each in shown], side)  # type: ignore[attr-defined]


@torch.inference_mode()
def pictures_of(model: CLIP, scenes: Sequence[Scene], side: int) -> Vectors:
    """[n, dim], of length 1."""
    rows: list[Pixels] = [render(each, [0.5], side)[0] for each in scenes]
    found = [
        F.normalize(model.encode_image(input_of(np.stack(rows[i : i + 128]), device_of(model))), dim=1)
        for i in range(0, len(rows), 128)
    ]
    return torch.cat(found).cpu().numpy()


@torch.inference_mode()
def texts_of(model: CLIP, tokenizer: SimpleTokenizer, said: Sequence[str]) -> Vectors:
    """[n, dim], of length 1."""
    found = [
        F.normalize(texts(model, tokenizer(list(said[i : i + 128]))), dim=1) for i in range(0, len(said), 128)
    ]
    return torch.cat(found).cpu().numpy()


def _share(scores: Vectors, right: Sequence[int] | Numbers) -> float:
    return float((scores.argmax(axis=1) == np.array(right)).mean())


def place_r2(vectors: Vectors, scenes: Sequence[Scene]) -> float:
    """How well a plane through half of the vectors tells where things are in the other half."""
    at = np.array([(each.things[0].x, each.things[0].y) for each in scenes])
    x = np.column_stack([vectors, np.ones(len(vectors))])
    half = len(x) // 2
    fitted = np.linalg.solve(x[:half].T @ x[:half] + 0.1 * np.eye(x.shape[1]), x[:half].T @ at[:half])
    left = ((x[half:] @ fitted - at[half:]) ** 2).sum()
    return float(1 - left / ((at[half:] - at[half:].mean(axis=0)) ** 2).sum())
