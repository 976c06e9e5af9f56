"""What an encoder makes of the world: of scenes that were filmed, coded as H.264, decoded and scaled as
`extract` does it, and of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from core.types import Float32Array, IntArray, Sampling
from extractor.encoders.base import Captioner, Encoder
from extractor.media.write import Encoding
from extractor.world.chance import Chance
from extractor.world.drawn import Split
from extractor.world.film import FPS, Film, Shot
from extractor.world.questions import SAME_AGAIN
from extractor.world.scene import Scene
from training import filmed
from training.filmed import Span
from training.gallery import Shown, gallery, still_gallery

FRAMES = 8  # of a clip, evenly over all of its motion
RATE = Fraction(2)  # pictures a second that are seen
QUALITIES = (18, 22, 26, 30)  # x264's, one a film
_AT_ONCE = 64  # pictures of which captions are written
_SHOTS = 512 // FRAMES  # of a film of short shots
_WHOLE = 1000  # scenes of a gallery
_TEXTS = 256
SAMPLING = Sampling(fps=float(RATE), clip_seconds=4.0, stride_seconds=2.0, keep_frames=False)  # of films


@dataclass(eq=False)
class Sight:
    """One encoder's, of the scenes of a split and a seed. `size` shrinks every gallery."""

    encoder: Encoder
    split: Split
    seed: int
    size: float = 1.0
    weights: Path | None = None  # the file that the encoder was given
    _texts: dict[str, Float32Array] = field(default_factory=dict)

    def many(self, count: int) -> int:
        """So many, or as many as the size allows."""
        return max(8, round(count * self.size))

    def chance(self, *key: str | int) -> Chance:
        """Draws of a measure."""
        return Chance(self.split, self.seed, "measure", *key)

    @cached_property
    def stills(self) -> tuple[list[Shown], Float32Array]:
        """A thousand pictures with their texts, and the rows of the pictures."""
        shown = still_gallery(self.split, self.seed, self.many(_WHOLE))
        return shown, self.pictures([each.scene for each in shown])

    @cached_property
    def moves(self) -> tuple[list[Shown], Float32Array]:
        """A thousand clips with their texts, which tell how things move, and their rows."""
        shown = gallery(self.split, self.seed, self.many(_WHOLE))
        return shown, self.clips([each.scene for each in shown])

    def pictures(self, scenes: Sequence[Scene]) -> Float32Array:
        """[n, dim]: one picture each, of scenes that do not move."""
        return self._clips(scenes, 1)

    def clips(self, scenes: Sequence[Scene]) -> Float32Array:
        """[n, dim]: each from the beginning of its motion to its end."""
        return self._clips(scenes, FRAMES)

    def both(self, scenes: Sequence[Scene]) -> tuple[Float32Array, Float32Array]:
        """Clips, and the mean of the rows of their pictures alone, of length 1."""
        clips, means = [], []
        for features in self._shown(scenes, FRAMES):
            clips.append(filmed.vectors(self.encoder, features, _runs(len(features), FRAMES)))
            single = filmed.vectors(self.encoder, features, _runs(len(features), 1))
            mean = single.reshape(-1, FRAMES, single.shape[1]).mean(axis=1)
            means.append(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12))
        return np.concatenate(clips), np.concatenate(means)

    @property
    def writes(self) -> bool:
        """Whether the encoder writes captions."""
        return hasattr(self.encoder, "caption")

    @torch.inference_mode()
    def captions(self, scenes: Sequence[Scene]) -> list[str]:
        """What a writer makes of clips, at each step the likeliest word."""
        writer, found = cast(Captioner, self.encoder), list[str]()
        for first in range(0, len(scenes), _SHOTS):
            made = _short(scenes[first : first + _SHOTS], FRAMES)
            _, pictures = self._pictures(made, RATE, first)
            tokens = torch.cat([writer.tokens(some) for some in torch.split(pictures, _AT_ONCE)])
            found += writer.caption(tokens, _runs(len(tokens), FRAMES), beams=1)
        return found

    def film(self, made: Film, number: int) -> tuple[list[Span], Float32Array]:
        """The clips of a film as `extract` cuts them: their seconds and vectors."""
        times, features = self._coded(made, FPS, number)
        _, clips = filmed.cut(times, SAMPLING)
        return clips.spans, filmed.vectors(self.encoder, features, clips.index)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Float32Array:
        """[n, dim]; each text is read once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        for first in range(0, len(new), _TEXTS):
            some = new[first : first + _TEXTS]
            rows = self.encoder.texts(some).float().cpu().numpy()
            self._texts |= dict(zip(some, rows, strict=True))
        return np.stack([self._texts[text] for text in texts])

    @cached_property
    @torch.inference_mode()
    def knows_order(self) -> bool:
        """Whether the same pictures in another order make another clip."""
        shape = (FRAMES * self.encoder.spec.pictures_per_feature, *self.encoder.spec.look.shape[-3:])
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        features = self.encoder.features(torch.from_numpy(noise))
        there, back = np.arange(FRAMES), np.arange(FRAMES)[::-1].copy()
        rows = self.encoder.clips(features, [there, back]).float()
        return not torch.allclose(rows[0], rows[1], rtol=1e-3, atol=1e-4 * float(rows.abs().max()))

    @property
    def objection(self) -> str:
        """To bars for what only the order of pictures tells."""
        return "" if self.knows_order else "its clips do not know the order of pictures"

    def decoded(self, scenes: Sequence[Scene]) -> Tensor:
        """uint8 [n, …]: pictures as the encoder takes them."""
        return self._pictures(_short(scenes, 1), RATE, 0)[1]

    def _clips(self, scenes: Sequence[Scene], count: int) -> Float32Array:
        parts = [
            filmed.vectors(self.encoder, seen, _runs(len(seen), count)) for seen in self._shown(scenes, count)
        ]
        return np.concatenate(parts)

    def _shown(self, scenes: Sequence[Scene], count: int) -> Iterator[Tensor]:
        """Features of some scenes after the others, `count` each."""
        most = _SHOTS * FRAMES // count
        for first in range(0, len(scenes), most):
            yield self._coded(_short(scenes[first : first + most], count), RATE, first)[1]

    def _coded(self, made: Film, fps: Fraction, number: int) -> tuple[list[Span], Tensor]:
        """The features of a film, and the seconds of each."""
        times, pictures = self._pictures(made, fps, number)
        return times, filmed.features(self.encoder, pictures)

    def _pictures(self, made: Film, fps: Fraction, number: int) -> tuple[list[Span], Tensor]:
        crf = self.chance("quality", number).one(QUALITIES)
        how = Encoding(fps=fps, gop=24, bframes=2, crf=crf, options=SAME_AGAIN)
        return filmed.decoded(made, how, SAMPLING, self.encoder.spec.look)


def _short(scenes: Sequence[Scene], count: int) -> Film:
    """A film that shows each so many pictures long."""
    seconds = count / float(RATE)
    return Film(tuple(Shot(scene, i * seconds, (i + 1) * seconds) for i, scene in enumerate(scenes)))


def _runs(points: int, count: int) -> list[IntArray]:
    return list(np.arange(points).reshape(-1, count))
