"""BERT's transformer, by the names of its checkpoints: what it makes of a run of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

HEAD = 64  # numbers of one head in every BERT of Google's, whatever the width
_TINY = 1e-12  # in the root of its norms


@dataclass(frozen=True, slots=True)
class Sizes:
    """What differs between two; the defaults are those of bert-base-uncased."""

    width: int = 768
    inner: int = 3072
    layers: int = 12
    words: int = 30_522
    places: int = 512
    kinds: int = 2
    head: int = HEAD


class Bert(nn.Module):
    """Embeddings, some layers, and a pooler that nobody asks here, but which is in every file."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embeddings = Embeddings(sizes)
        self.encoder = Layers(sizes)
        self.pooler = nn.ModuleDict({"dense": nn.Linear(sizes.width, sizes.width)})

    def forward(self, tokens: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """The last hidden states, [runs, tokens, width], of what stands for each token in words, where each
        is, and which of them are looked at: bool [runs, tokens]."""
        states: Tensor = self.embeddings(tokens, places)
        for layer in self.encoder.layer:
            states = layer(states, mask[:, None, None, :])
        return states


class Embeddings(nn.Module):
    """Tables of words, of places, and of kinds of texts, of which the first alone is used."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.words, sizes.width)
        self.position_embeddings = nn.Embedding(sizes.places, sizes.width)
        self.token_type_embeddings = nn.Embedding(sizes.kinds, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=_TINY)

    def forward(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Of tokens that are vectors already, each where it is."""
        at, kind = self.position_embeddings.weight[places], self.token_type_embeddings.weight[0]
        found: Tensor = self.LayerNorm(tokens + at + kind)
        return found


class Layers(nn.Module):
    """Only a name between."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))


class Layer(nn.Module):
    """Attention, then a wide middle; a norm behind each."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.attention = nn.ModuleDict({"self": Attention(width, sizes.head), "output": Joined(width, width)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, sizes.inner)})
        self.output = Joined(sizes.inner, width)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """`mask`, [runs, 1, 1, tokens]: which are looked at."""
        states = self.attention["output"](self.attention["self"](states, mask), states)
        found: Tensor = self.output(gelu(self.intermediate["dense"](states)), states)
        return found


class Attention(nn.Module):
    """Of every token to those that are looked at."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self._head = head
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """The authors add -10,000 to the scores of the others; the softmax of that is nought in float32."""
        query, key, value = (
            part(states).unflatten(-1, (-1, self._head)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        seen: Tensor = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return seen.transpose(1, 2).flatten(2)


class Joined(nn.Module):
    """A matrix, what was there before, and a norm."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, width)
        self.LayerNorm = nn.LayerNorm(width, eps=_TINY)

    def forward(self, values: Tensor, states: Tensor) -> Tensor:
        """Of values within a layer, and the states that it began with."""
        found: Tensor = self.LayerNorm(self.dense(values) + states)
        return found


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """[runs, width]: the mean of each run's states that are counted."""
    counted = mask[..., None].to(states.dtype)
    return torch.sum(states * counted, dim=1) / counted.sum(dim=1)
