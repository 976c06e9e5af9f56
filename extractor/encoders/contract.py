"""What every encoder must keep, whoever wrote it. A test of your own calls `check`; it needs no test runner.

from extractor.encoders import load
from extractor.encoders.contract import check

def test_it_keeps_the_contract() -> None:
    check(lambda: load("mine:variant"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.errors import NoTextsError
from core.types import Float32Array, IntArray
from extractor.encoders.base import Around, Encoder, around_of

TEXTS = ["red", "a green thing", "ein Hund läuft über die Wiese", "", "word " * 500, "🐈", "white"]
SINGLE = [1, 2, 3, 5, 8]  # features a clip
RELATIVE = 1e-5  # in fp32
COSINE = 0.999  # in less


class ContractError(AssertionError):
    """What an encoder does not keep, in a sentence."""


@dataclass(frozen=True, slots=True)
class Same:
    """When two rows count as equal: bit by bit, 1e-5 relative in fp32, cosine 0.999 in bf16 and fp16."""

    bit_equal: bool = False
    precision: str = "fp32"

    def require(self, found: Tensor, expected: Tensor, what: str) -> None:
        if self.bit_equal:
            off, holds = "some bits", torch.equal(found, expected)
        elif self.precision == "fp32":
            relative = float((found - expected).norm() / expected.norm())
            off, holds = f"{relative:.1e} of its length", relative <= RELATIVE
        else:
            cosine = float(torch.cosine_similarity(found.double(), expected.double(), dim=-1).min())
            off, holds = f"a cosine of {cosine:.5f}", cosine >= COSINE
        _require(holds, f"{what}: it differs by {off}.")


def check(make: Callable[[], Encoder], *, bit_equal: bool = False, precision: str = "fp32") -> None:
    """All of the contract over one encoder, or a ContractError; `make` loads it, and is called twice."""
    encoder, same = make(), Same(bit_equal, precision)
    check_rows(encoder)
    check_batches(encoder, same)
    check_optional(encoder, same)
    check_reload(encoder, make(), same)


def pictures(encoder: Encoder, count: int, seed: int = 0) -> Tensor:
    """uint8 [count, size, size, 3]: noise around one colour each."""
    size = encoder.spec.look.size
    random = np.random.default_rng(seed)
    flat = random.integers(0, 256, (count, 1, 1, 3)) + random.integers(-60, 60, (count, size, size, 3))
    return torch.from_numpy(np.clip(flat, 0, 255).astype(np.uint8))


def features(encoder: Encoder, count: int) -> Tensor:
    """So many, of as many pictures as that takes."""
    return encoder.features(pictures(encoder, count * encoder.spec.pictures_per_feature))


def reads_texts(encoder: Encoder) -> bool:
    """Whether it does, here; one that does not has to say why."""
    try:
        encoder.texts(TEXTS[:1])
    except NoTextsError as error:
        _require(bool(str(error)), "texts raises a NoTextsError without a reason.")
        return False
    return True


def check_rows(encoder: Encoder) -> None:
    """Shape, dtype, finite, comparable."""
    dim, held = encoder.spec.dim, features(encoder, 8)
    _require(len(held) == 8, f"features gives {len(held)} of 8 × spec.pictures_per_feature pictures, not 8.")
    _require_rows("clips", encoder.clips(held, [np.arange(n) for n in SINGLE]), len(SINGLE), dim)
    _require_none("clips", encoder.clips(held, []), dim)
    if not reads_texts(encoder):
        return
    _require_rows("texts", encoder.texts(TEXTS), len(TEXTS), dim)
    _require_none("texts", encoder.texts([]), dim)
    too_long = encoder.too_long(TEXTS)
    _require(len(too_long) == len(TEXTS), f"too_long says {len(too_long)} of {len(TEXTS)} texts.")
    _require(not too_long[0], f"too_long says that {TEXTS[0]!r} is cut.")
    if (known := getattr(encoder, "known", None)) is not None:
        count = len(known(TEXTS))
        _require(count == len(TEXTS), f"known says {count} of {len(TEXTS)} texts.")


def _require_none(what: str, none: Tensor, dim: int) -> None:
    _require(tuple(none.shape) == (0, dim), f"{what} of none is {tuple(none.shape)}, not (0, {dim}).")


def _require_rows(what: str, rows: Tensor, count: int, dim: int) -> None:
    shape = tuple(rows.shape)
    _require(shape == (count, dim), f"{what} is {shape}, not ({count}, {dim}), with dim of the spec.")
    _require(rows.dtype == torch.float32, f"{what} is {rows.dtype}, not float32.")
    _require(bool(torch.isfinite(rows).all()), f"{what} has numbers that are not finite.")
    _require(bool((rows.norm(dim=-1) > 0).all()), f"{what} has a row of zeros, which is like nothing.")


def check_batches(encoder: Encoder, same: Same) -> None:
    """A row does not depend on what else is in the batch, nor on the order of its clip's neighbours."""
    per, count = encoder.spec.pictures_per_feature, 8
    held = pictures(encoder, count * per)
    whole = encoder.features(held)
    alone = torch.cat([encoder.features(held[i * per : (i + 1) * per]) for i in range(count)])
    index: list[IntArray] = [np.arange(n) for n in SINGLE] + [np.array([i]) for i in range(count)]
    clips = encoder.clips(whole, index)
    for one, points in zip(clips, index, strict=True):
        where = f"a clip of {len(points)} features alone is not as among others"
        same.require(encoder.clips(alone, [points])[0], one, f"{where}, whose pictures were encoded together")
        same.require(encoder.clips(alone[points], [np.arange(len(points))])[0], one, where)
    if not reads_texts(encoder):
        return
    texts = encoder.texts(TEXTS)
    for text, row in zip(TEXTS, texts, strict=True):
        same.require(encoder.texts([text])[0], row, f"the text {text[:20]!r} alone is not as among others")


def check_optional(encoder: Encoder, same: Same) -> None:
    """What an encoder may have beside the rest, where it has it."""
    scale = getattr(encoder, "logit_scale", 1.0)
    _require(scale > 0 and math.isfinite(scale), f"logit_scale is {scale}, not a number above 0.")
    around, has_frames = around_of(encoder), hasattr(encoder, "frames")
    _require(has_frames or around is None, "around is there without frames, which makes the rows of it.")
    _require(around is not None or not has_frames, "frames is there without around, and so never asked.")
    if around is not None:
        _check_frames(encoder, around, same)
    index: list[IntArray] = [np.arange(3), np.array([4])]
    adjusted = getattr(encoder, "adjusted", None)
    if adjusted is not None:
        queries = _queries(encoder)
        _require(np.array_equal(adjusted(queries, {}), queries), "adjusted changes queries unasked.")
        _require(bool(encoder.options), "adjusted has no options to choose.")  # type: ignore[attr-defined]
    if hasattr(encoder, "caption"):
        _check_captions(encoder, index, same)


def _check_frames(encoder: Encoder, around: Around, same: Same) -> None:
    is_run = 1 <= around.step <= around.points
    _require(is_run, f"{around} leaves points out: its step is from 1 to its points.")
    index: list[IntArray] = [np.arange(min(3, around.points)), np.array([4])]
    held, frames = features(encoder, 8), encoder.frames  # type: ignore[attr-defined]
    rows = frames(held, index)
    _require_rows("frames", rows, sum(map(len, index)), encoder.spec.dim)
    same.require(frames(held, index[1:])[0], rows[-1], "a frame of one clip is not as beside another")


def _queries(encoder: Encoder) -> Float32Array:
    rows = (
        encoder.texts(TEXTS) if reads_texts(encoder) else encoder.clips(features(encoder, 1), [np.arange(1)])
    )
    found: Float32Array = rows.numpy(force=True)
    return found


def _check_captions(encoder: Encoder, index: Sequence[IntArray], same: Same) -> None:
    shown = pictures(encoder, 8 * encoder.spec.pictures_per_feature)
    tokens = encoder.tokens(shown)  # type: ignore[attr-defined]
    from_tokens = encoder.clips(tokens, index)
    for row, expected in zip(from_tokens, encoder.clips(encoder.features(shown), index), strict=True):
        same.require(row, expected, "a clip of tokens is not as one of features")
    written = encoder.caption(tokens, index, beams=1)  # type: ignore[attr-defined]
    is_text = len(written) == len(index) and all(isinstance(each, str) for each in written)
    _require(is_text, f"caption writes {written!r}, not a sentence for each of {len(index)} clips.")


def check_reload(encoder: Encoder, again: Encoder, same: Same) -> None:
    """The same when it is loaded again, and so its name for what it makes."""
    _require(again.spec == encoder.spec, "loaded again, it has another spec, and so another store.")
    index = [np.arange(3)]
    clips, others = (each.clips(features(each, 3), index) for each in (encoder, again))
    same.require(others, clips, "loaded again, it makes other clips")
    reads = [reads_texts(each) for each in (encoder, again)]
    _require(reads[0] == reads[1], "loaded again, it reads texts where it did not, or none where it did.")
    if all(reads):
        same.require(again.texts(TEXTS), encoder.texts(TEXTS), "loaded again, it reads texts otherwise")


def _require(holds: bool, says: str) -> None:
    if not holds:
        raise ContractError(says)
