"""CoCa's attentional pooler over the tokens of many pictures, as sums of which each picture has its own.

The vector is what the first query sees: of each head a mean of all tokens' values, weighted by a softmax over
all of them. Numerator and denominator are sums over pictures: a few numbers tell a picture, whatever clips it
will be in, and its tokens, which are a hundred times as many, need not be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.types import IntArray
from extractor.encoders.base import unit

_AT_ONCE = 64  # pictures whose tokens are looked at together
_MOST_POINTS = 4_096  # of clips that are made together


class Pooler:
    """What open_clip's `visual` does behind its last block, in fp32."""

    def __init__(self, visual: Any) -> None:
        self._visual = visual
        attention = visual.attn_pool.attn
        self._heads = attention.num_heads
        queries, keys, self._values = _projections(attention)
        bias, _, self._bias = attention.in_proj_bias.chunk(3)
        asked = functional.linear(visual.attn_pool.ln_q(visual.attn_pool.query[:1]), queries, bias)
        each = asked.view(self._heads, -1) * (asked.shape[1] // self._heads) ** -0.5
        # What each head looks for in a token. The keys' bias is the same for all, and so changes nothing.
        self._sought = torch.einsum("hd,hdw->hw", each, keys.view(self._heads, -1, keys.shape[1]))

    def sums(self, tokens: Tensor) -> Tensor:
        """[n, tokens, width] → float32 [n, 2 · heads + dim]: of each head the greatest logit, the sum of all
        weights, and the values' sum by these weights, both as seen from that logit."""
        return torch.cat([self._sums(part) for part in torch.split(tokens, _AT_ONCE)])

    def _sums(self, tokens: Tensor) -> Tensor:
        seen = self._visual.attn_pool.ln_k(tokens.float())
        logits = seen @ self._sought.T
        greatest = logits.amax(dim=1)
        weights = torch.exp(logits - greatest[:, None])
        tokens_seen = torch.einsum("nth,ntw->nhw", weights, seen)
        values = self._values.view(self._heads, -1, self._values.shape[1])
        by_head = torch.einsum("nhw,hdw->nhd", tokens_seen, values)
        return torch.cat([greatest, weights.sum(dim=1), by_head.flatten(1)], dim=1)

    def vectors(self, sums: Tensor, index: Sequence[IntArray]) -> Tensor:
        """Of each clip of some pictures a unit vector."""
        return unit(self.projected(self.gathered(sums, index)))

    def gathered(self, sums: Tensor, index: Sequence[IntArray]) -> Tensor:
        """What the first query gathers of each clip: the mean of its tokens' values, float32 [clips, dim]."""
        rows = [self._gathered(sums, part) for part in _parts(index)]
        return torch.cat(rows) if rows else self._bias.new_empty(0, len(self._bias))

    def _gathered(self, sums: Tensor, index: Sequence[IntArray]) -> Tensor:
        heads, count = self._heads, len(index)
        held = sums[torch.from_numpy(np.concatenate(index)).to(sums.device)].double()
        clip = torch.from_numpy(np.repeat(np.arange(count), [len(rows) for rows in index])).to(sums.device)
        greatest, weights, values = held[:, :heads], held[:, heads : 2 * heads], held[:, 2 * heads :]
        most = greatest.new_full((count, heads), -torch.inf)
        most = most.scatter_reduce(0, clip[:, None].expand_as(greatest), greatest, "amax")
        share = torch.exp(greatest - most[clip])
        total = weights.new_zeros(count, heads).index_add_(0, clip, share * weights)
        by_head = values.view(len(values), heads, -1) * share[..., None]
        summed = by_head.new_zeros(count, *by_head.shape[1:]).index_add_(0, clip, by_head)
        found: Tensor = (summed / total[..., None]).flatten(1).float() + self._bias
        return found

    def projected(self, attended: Tensor) -> Tensor:
        """What the first query has gathered → vectors, of any length."""
        found = self._visual.ln_post(self._visual.attn_pool.attn.out_proj(attended))
        projected: Tensor = found @ self._visual.proj
        return projected

    def caption_tokens(self, tokens: Tensor) -> Tensor:
        """[clips, all tokens, width] → what all other queries see of each clip, by open_clip's own module."""
        found: Tensor = self._visual.ln_post(self._visual.attn_pool(tokens.float()))[:, 1:]
        return found


def _projections(attention: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Of queries, keys and values; they lie together where all are as wide."""
    if attention.in_proj_weight is not None:
        together: tuple[Tensor, Tensor, Tensor] = attention.in_proj_weight.chunk(3)
        return together
    return attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight


def _parts(index: Sequence[IntArray]) -> Iterator[Sequence[IntArray]]:
    """The same clips, few enough at a time."""
    first, points = 0, 0
    for last, rows in enumerate(index):
        if last > first and points + len(rows) > _MOST_POINTS:
            yield index[first:last]
            first, points = last, 0
        points += len(rows)
    if first < len(index):
        yield index[first:]
