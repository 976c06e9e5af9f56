"""A picture tower: bytes of pictures in, what it makes of them out, as exactly and as fast as was asked."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from core.types import EncoderSpec
from extractor.encoders.base import EXACT, Pace
from extractor.encoders.compiled import Encode, compiled
from extractor.encoders.devices import moved
from extractor.encoders.precision import Precision, settle, wanted

Compared = Callable[[Tensor], Tensor]


class Tower:
    """`encode` computes with the weights of `module`. By the rows that `compared` makes of its output a
    precision is tried: they must not come too far from their fp32."""

    def __init__(
        self, spec: EncoderSpec, module: torch.nn.Module, encode: Encode, compared: Compared
    ) -> None:
        self.precision = Precision()
        self._spec, self._module, self._encode, self._compared = spec, module, encode, compared
        self._device = next(module.parameters()).device
        self._asked = EXACT.precision
        self._mean = torch.tensor(spec.look.mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(spec.look.std, device=self._device).view(1, 3, 1, 1)

    def __call__(self, pictures: Tensor) -> Tensor:
        """Of uint8 [n, size, size, 3]."""
        if not self.precision.is_settled:
            self._settle()
        return self._encode(self._input(pictures))

    def blank(self) -> Tensor:
        """What it makes of one picture that is no picture: of values of 0."""
        if not self.precision.is_settled:
            self._settle()
        size, weight = self._spec.look.size, next(self._module.parameters())
        return self._encode(torch.zeros(1, 3, size, size, device=self._device, dtype=weight.dtype))

    def begin(self, pace: Pace) -> None:
        """Bring it to a precision, and perhaps compile it. Texts stay fp32: they are few, and queries meet
        rows of any precision. What is asked by name may be refused, so it is tried now; the rest when a
        picture comes, if one does."""
        self._asked = pace.precision
        if pace.precision == "auto" and not pace.compiled_for:
            is_settled = wanted("auto", self._device) == "fp32"
            self.precision = Precision(is_settled=is_settled)
            return
        self._settle()
        if pace.compiled_for:
            shape = (pace.compiled_for, self._spec.look.size, self._spec.look.size, 3)
            with torch.inference_mode():  # as in a run: what is compiled holds for nothing else
                self._encode = compiled(self._encode, self._input(torch.zeros(shape, dtype=torch.uint8)))

    @torch.inference_mode(False)  # what is made in it is of no use outside
    def _settle(self) -> None:
        self.precision = settle(self._module, self._rows, self._spec, self._asked, self._device)

    def _rows(self, pictures: Tensor) -> Tensor:
        return self._compared(self._encode(self._input(pictures)))

    def _input(self, pictures: Tensor) -> Tensor:
        return self.prepared(pictures).to(next(self._module.parameters()).dtype)

    def prepared(self, pictures: Tensor) -> Tensor:
        """float32 [n, 3, size, size]: what open_clip's own preprocessing gives the model, bit by bit."""
        values = moved(pictures, self._device).permute(0, 3, 1, 2).contiguous().float().div_(255)
        return values.sub_(self._mean).div_(self._std)
