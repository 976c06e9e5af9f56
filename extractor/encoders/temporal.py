"""CLIP2Video's blocks over the pictures of a clip: what changes between them, and what they and a text share.

Modules are called as in the authors' files.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from extractor.encoders.base import unit

HEAD = 64  # of CLIP's attention, whatever the width
_FAR = -1e6  # added to the scores of what is masked. Not infinite: of a clip of one picture all may be
_TINY = 1e-12  # in the root of these blocks' norms


@dataclass(frozen=True, slots=True)
class Sizes:
    """What differs between the authors' files; the defaults are those of MSR-VTT."""

    width: int = 512
    centres: int = 5
    places: int = 77
    layers: int = 4  # over pictures and differences
    difference_layers: int = 1  # over differences alone; 0: the variant with one matrix in their place
    action_layers: int = 1  # over every second picture and their differences


class Temporal(nn.Module):
    """The temporal difference block and the temporal alignment block."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.frame_position_embeddings = nn.Embedding(sizes.places, width)
        self.type_position_embeddings = nn.Embedding(2, width)
        self.transformerClip = Transformer(width, sizes.layers)
        if sizes.difference_layers:
            self.frame2t_attention = Transformer(width, sizes.difference_layers)
        else:
            self.frame2t_projection = nn.Parameter(width**-0.5 * torch.randn(width, width))
        self.actionClip = Transformer(width, sizes.action_layers)
        self.trans_layernorm = nn.LayerNorm(width)
        self.weight_center = nn.Parameter(width**-0.5 * torch.randn(sizes.centres, width))
        self.emb_center = nn.Parameter(torch.randn(sizes.centres, width))

    def halves(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors, global and aligned, [clips, width] each, of [clips, frames, width] and which of those
        are no padding; behind a mask that is shorter all are. A clip's mask is its own in every head: the
        authors' code mixes them up in a batch."""
        seen = unit(self.changed(frames, mask, self.transformerClip))
        mean = (seen * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return unit(mean), self.aligned(*self.shared(frames, mask))

    def shared(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What is aligned of a clip: its frames as they are, every second with what changes, their mask."""
        actions, acting = frames[:, ::2], mask[:, ::2]
        actions = self.changed(actions, acting, self.actionClip)
        return torch.cat([frames[:, : mask.shape[1]], actions], dim=1), torch.cat([mask, acting], dim=1)

    def changed(self, frames: Tensor, mask: Tensor, over: Transformer) -> Tensor:
        """The temporal difference block: each frame that the mask knows, and what the tokens around say of
        it."""
        tokens = self.tokens(frames, mask)
        count = tokens.shape[1]
        placed = tokens + self.places(frames.shape[1])[:, :count]
        found: Tensor = over(placed, between(mask, count), slice(None, None, 2))
        return frames[:, : mask.shape[1]] + found

    def tokens(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Frame, difference, frame, … of the frames that the mask knows, the difference to the padding behind
        them too: [clips, 2 · known, width], or one less where there is no padding."""
        found = self.differences(frames, mask)
        return woven(frames[:, : found.shape[1] + 1], found)[:, : 2 * mask.shape[1]]

    def differences(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Of each frame that the mask knows to the next, between -1 and 1. Nothing sees what is masked; of a
        clip of one picture all are masked, and see each other."""
        count, known = frames.shape[1], mask.shape[1]
        steps, wanted = frames[:, 1:] - frames[:, :-1], slice(known)
        if hasattr(self, "frame2t_projection"):
            steps = steps[:, wanted] @ self.frame2t_projection
        else:
            at = self.frame_position_embeddings.weight[1:count]
            seen = pad(mask, (0, count - known))[:, 1:]
            steps = self.frame2t_attention(steps + at, seen, wanted)
        found: Tensor = 2 * torch.sigmoid(self.trans_layernorm(steps)) - 1
        return found

    def places(self, count: int) -> Tensor:
        """[1, 2 · count - 1, width]: where each token of so many frames is, and what it is."""
        at, kinds = self.frame_position_embeddings.weight, self.type_position_embeddings.weight
        return woven((at[:count] + kinds[1])[None], (at[: count - 1] + kinds[0])[None])

    def aligned(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """The temporal alignment block, of texts as of clips: how far tokens lie from each centre, a unit
        vector of all that."""
        shares = torch.softmax(tokens @ self.weight_center.T, dim=-1) * mask[..., None]
        apart = shares.transpose(1, 2) @ tokens - shares.sum(dim=1)[..., None] * self.emb_center
        return unit(unit(apart).mean(dim=1))


class Transformer(nn.Module):
    """Some blocks."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width) for _ in range(layers))

    def forward(self, tokens: Tensor, mask: Tensor, wanted: slice = slice(None)) -> Tensor:
        """Of [clips, tokens, width] and which of them are looked at; in the end the wanted ones alone."""
        far = (1 - mask.to(tokens.dtype))[:, None, None, :] * _FAR
        *first, last = self.resblocks
        for block in first:
            tokens = block(tokens, far)
        found: Tensor = last(tokens, far, wanted)
        return found


class Block(nn.Module):
    """CLIP's, with norms of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // HEAD, batch_first=True)
        self.ln_1 = nn.LayerNorm(width, eps=_TINY)
        self.mlp = nn.Sequential(
            OrderedDict(c_fc=nn.Linear(width, 4 * width), gelu=Quick(), c_proj=nn.Linear(4 * width, width))
        )
        self.ln_2 = nn.LayerNorm(width, eps=_TINY)

    def forward(self, tokens: Tensor, far: Tensor, wanted: slice = slice(None)) -> Tensor:
        """`far`, [clips, 1, 1, tokens], is added to each head's scores. All tokens are looked at; the
        wanted ones look."""
        tokens = tokens[:, wanted] + self._attended(self.ln_1(tokens), far, wanted)
        found: Tensor = tokens + self.mlp(self.ln_2(tokens))
        return found

    def _attended(self, tokens: Tensor, far: Tensor, wanted: slice) -> Tensor:
        weight, bias, width = self.attn.in_proj_weight, self.attn.in_proj_bias, tokens.shape[-1]
        query = linear(tokens[:, wanted], weight[:width], bias[:width])
        query = query.reshape(*query.shape[:2], -1, HEAD).transpose(1, 2)
        both = linear(tokens, weight[width:], bias[width:])
        key, value = both.reshape(*tokens.shape[:2], 2, -1, HEAD).permute(2, 0, 3, 1, 4)
        scores = query * HEAD**-0.5 @ key.mT + far  # by hand: fused kernels round what is far differently
        seen = torch.softmax(scores, dim=-1) @ value
        found: Tensor = self.attn.out_proj(seen.transpose(1, 2).flatten(2))
        return found


class Quick(nn.Module):
    """OpenAI's approximation of GELU."""

    def forward(self, values: Tensor) -> Tensor:
        """Each."""
        return values * torch.sigmoid(1.702 * values)


def woven(frames: Tensor, differences: Tensor) -> Tensor:
    """The first frame, the first difference, the second frame, …"""
    pairs = torch.stack([frames[:, :-1], differences], dim=2).flatten(1, 2)
    return torch.cat([pairs, frames[:, -1:]], dim=1)


def between(mask: Tensor, most: int) -> Tensor:
    """Of so many tokens at most: a difference is seen where the frame before it is, the last one's to its
    padding too."""
    return mask.repeat_interleave(2, dim=1)[:, :most]
