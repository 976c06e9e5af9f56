"""S3D of HowTo100M (MIL-NCE), by the names of its authors' file: a second of video in, and words, as vectors.

A net of 3-d convolutions, each a plane's and then a line's in time, whose channels are gated by their means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool3d, pad, relu

from core.errors import EncoderError
from extractor.encoders.seeded import seeded
from extractor.encoders.tensors import State, insist, length_of, require_all
from extractor.encoders.unfilled import unfilled

PICTURES = 30  # a feature: those of a second
WORDS = 16  # of a text; what is shorter is filled up with zeros, which count as any word
_COLOURS, _BLOCK = 3, 2  # a picture's values are regrouped by blocks of two pictures, lines and columns
_TINY = 1e-5  # in the root of the norms

M = TypeVar("M", bound=nn.Module)
Branches = tuple[int, int, int, int, int, int]  # channels: b0, b1_a, b1_b, b2_a, b2_b, b3_b

_BLOCKS: dict[str, Branches] = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
_TEXTS = "text_module."  # before what is of the tower of texts
_PARTS = ("conv_b0", "conv_b1_a", "conv_b1_b", "conv_b2_a", "conv_b2_b", "conv_b3_b")


@dataclass(frozen=True, slots=True)
class Sizes:
    """All that a model is beside its numbers; the defaults are the authors'."""

    first: int = 64  # channels of conv1
    second: int = 64  # of conv_2b
    third: int = 192  # of conv_2c
    blocks: dict[str, Branches] = field(default_factory=lambda: dict(_BLOCKS))
    dim: int = 512
    words: int = 66_250  # known ones, and the one that stands for none
    word: int = 300
    hidden: int = 2048


@dataclass(frozen=True, slots=True)
class Model:
    """Both towers."""

    video: Video
    texts: Texts

    def state_dict(self) -> dict[str, Tensor]:
        """By the names of the authors' file."""
        of_texts = {f"{_TEXTS}{key}": tensor for key, tensor in self.texts.state_dict().items()}
        return self.video.state_dict() | of_texts


class Video(nn.Module):
    """The tower of pictures."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.conv1 = First(_COLOURS * _BLOCK**3, sizes.first)
        self.maxpool_2a = Pool((1, 3, 3), (1, 2, 2))
        self.conv_2b = Conv(sizes.first, sizes.second)
        self.conv_2c = Separable(sizes.second, sizes.third)
        self.gating = Gating(sizes.third)
        width = sizes.third
        for name, branches in sizes.blocks.items():
            if name in _BEFORE:
                self.add_module(*_BEFORE[name])
            self.add_module(name, Inception(width, branches))
            width = made_by(branches)
        self.fc = nn.Linear(width, sizes.dim)

    def forward(self, clips: Tensor) -> Tensor:
        """[clips, dim] of [clips, 3, pictures, height, width], 0 to 1; of an even number of pictures."""
        found: Tensor = self.fc(self.pooled(clips))
        return found

    def pooled(self, clips: Tensor) -> Tensor:
        """The means of what comes before the last layer."""
        values = regrouped(clips)
        for _, stage in self.stages():
            values = stage(values)
        return values.mean(dim=(2, 3, 4))

    def stages(self) -> Iterator[tuple[str, nn.Module]]:
        """All before the means, in order."""
        return ((name, stage) for name, stage in self.named_children() if name != "fc")


class Texts(nn.Module):
    """Of words' numbers: the greatest of each hidden value, over all places."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.word_embd = nn.Embedding(sizes.words, sizes.word)
        self.fc1 = nn.Linear(sizes.word, sizes.hidden)
        self.fc2 = nn.Linear(sizes.hidden, sizes.dim)

    def forward(self, ids: Tensor) -> Tensor:
        """[texts, dim] of [texts, words]; 0 is padding."""
        hidden = relu(self.fc1(self.word_embd(ids))).amax(dim=1)
        found: Tensor = self.fc2(hidden)
        return found


class Conv(nn.Module):
    """A convolution, its norm, and what is above 0 of that."""

    def __init__(
        self,
        taken: int,
        made: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        padding: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(taken, made, kernel, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm3d(made, eps=_TINY)

    def forward(self, values: Tensor) -> Tensor:
        """Of as many places."""
        return relu(self.bn1(self.conv1(values)), inplace=True)


class First(Conv):
    """Of the regrouped values; the first of each axis is left out, which padding made."""

    def __init__(self, taken: int, made: int) -> None:
        super().__init__(taken, made, (2, 4, 4), (1, 2, 2))

    def forward(self, values: Tensor) -> Tensor:
        """Of as many places."""
        return super().forward(values)[:, :, 1:, 1:, 1:]


class Separable(Conv):
    """Within each picture first, then through time."""

    def __init__(self, taken: int, made: int) -> None:
        super().__init__(taken, made, (1, 3, 3), (0, 1, 1))
        self.conv2 = nn.Conv3d(made, made, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.bn2 = nn.BatchNorm3d(made, eps=_TINY)

    def forward(self, values: Tensor) -> Tensor:
        """Of as many places."""
        return relu(self.bn2(self.conv2(super().forward(values))), inplace=True)


class Gating(nn.Module):
    """Each channel by a share that the means of all of them tell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, values: Tensor) -> Tensor:
        """Of as many places."""
        shares = torch.sigmoid(self.fc(values.mean(dim=(2, 3, 4))))
        return values * shares[:, :, None, None, None]


class Pool(nn.Module):
    """The greatest of each few places. Behind the last of them lie zeros, which is as if nothing lay there:
    nothing is below 0 here."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self._kernel, self._stride = kernel, stride
        beyond = [max(0, size - step) for size, step in zip(kernel, stride, strict=True)]
        self._padding = [side for total in reversed(beyond) for side in (total // 2, total - total // 2)]

    def forward(self, values: Tensor) -> Tensor:
        """Of fewer places."""
        return max_pool3d(pad(values, self._padding), self._kernel, self._stride, ceil_mode=True)


_BEFORE = {  # the pools between the blocks
    "mixed_3b": ("maxpool_3a", Pool((1, 3, 3), (1, 2, 2))),
    "mixed_4b": ("maxpool_4a", Pool((3, 3, 3), (2, 2, 2))),
    "mixed_5b": ("maxpool_5a", Pool((2, 2, 2), (2, 2, 2))),
}


class Inception(nn.Module):
    """Four branches side by side, each gated."""

    def __init__(self, taken: int, branches: Branches) -> None:
        super().__init__()
        b0, b1_a, b1_b, b2_a, b2_b, b3_b = branches
        self.conv_b0 = Conv(taken, b0)
        self.conv_b1_a, self.conv_b1_b = Conv(taken, b1_a), Separable(b1_a, b1_b)
        self.conv_b2_a, self.conv_b2_b = Conv(taken, b2_a), Separable(b2_a, b2_b)
        self.conv_b3_b = Conv(taken, b3_b)
        self.gating_b0, self.gating_b1 = Gating(b0), Gating(b1_b)
        self.gating_b2, self.gating_b3 = Gating(b2_b), Gating(b3_b)

    def forward(self, values: Tensor) -> Tensor:
        """Of as many places."""
        around = max_pool3d(values, 3, 1, 1)
        return torch.cat(
            [
                self.gating_b0(self.conv_b0(values)),
                self.gating_b1(self.conv_b1_b(self.conv_b1_a(values))),
                self.gating_b2(self.conv_b2_b(self.conv_b2_a(values))),
                self.gating_b3(self.conv_b3_b(around)),
            ],
            dim=1,
        )


def made_by(branches: Branches) -> int:
    """How many channels come out of a block."""
    return branches[0] + branches[2] + branches[4] + branches[5]


def regrouped(clips: Tensor) -> Tensor:
    """[clips, 3, t, h, w] → [clips, 24, t/2, h/2, w/2]: of each block of two by two by two its values as
    channels, colours innermost."""
    count, colours, t, h, w = clips.shape
    blocks = clips.reshape(count, colours, t // _BLOCK, _BLOCK, h // _BLOCK, _BLOCK, w // _BLOCK, _BLOCK)
    return blocks.permute(0, 3, 5, 7, 1, 2, 4, 6).flatten(1, 4)


def drawn(sizes: Sizes, seed: int) -> Model:
    """As it comes out after `torch.manual_seed(seed)`."""
    with seeded(seed):
        return Model(_still(Video(sizes)), _still(Texts(sizes)))


def filled(state: State, *, file: str, name: str) -> Model:
    """With a file's tensors, off which all sizes are read; what it is to hold is seen before memory is taken
    for it."""
    with unfilled():
        usual = Model(Video(Sizes()), Texts(Sizes()))
    require_all(state, [*usual.state_dict()], file=file, name=name)  # which sizes do not change
    sizes = sizes_of(state, file=file, name=name)
    with unfilled():
        model = Model(Video(sizes), Texts(sizes))
    wanted = {key: tensor.shape for key, tensor in model.state_dict().items()}
    held = insist(state, wanted, file=file, name=name)
    of_texts = {key.removeprefix(_TEXTS): held.pop(key) for key in wanted if key.startswith(_TEXTS)}
    model.texts.load_state_dict(of_texts, assign=True)
    model.video.load_state_dict(held, assign=True)
    return Model(_still(model.video), _still(model.texts))


def _still(module: M) -> M:
    return module.eval().requires_grad_(False)


def sizes_of(state: State, *, file: str, name: str) -> Sizes:
    """Where a tensor that tells is missing, an EncoderError names it."""

    def length(key: str, axis: int = 0) -> int:
        found = length_of(state, f"{key}.weight", axis, file=file, name=name)
        if found < 1:
            raise EncoderError(f"{file} does not fit {name}: {key}.weight is empty.")
        return found

    def branches(block: str) -> Branches:
        b0, b1_a, b1_b, b2_a, b2_b, b3_b = (length(f"{block}.{part}.conv1") for part in _PARTS)
        return b0, b1_a, b1_b, b2_a, b2_b, b3_b

    words = f"{_TEXTS}word_embd"
    return Sizes(
        first=length("conv1.conv1"),
        second=length("conv_2b.conv1"),
        third=length("conv_2c.conv1"),
        blocks={block: branches(block) for block in _BLOCKS},
        dim=length("fc"),
        words=length(words),
        word=length(words, 1),
        hidden=length(f"{_TEXTS}fc1"),
    )
