"""CoCa's generative decoder, a word at a time: what the words before have left is kept as keys and values.

Greedy and beam search choose as open_clip's own `generate` does, which adds up logits as they are. Its
default, 6 beams in 3 groups, is thrice the same 2 beams, since groups never look at each other: `beams=2`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

LEAST = 5  # tokens of a caption, with that which marks its start
MOST = 30  # with that which marks its end
_NEVER = -1e9


@dataclass(frozen=True, slots=True)
class Marks:
    """Ids that are no words."""

    start: int
    end: int
    padding: int = 0


@dataclass
class _Attended:
    """Keys and values of all positions so far, [rows, heads, positions, width of a head]."""

    keys: Tensor | None = None
    values: Tensor | None = None

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        self.keys = keys if self.keys is None else torch.cat([self.keys, keys], dim=2)
        self.values = values if self.values is None else torch.cat([self.values, values], dim=2)
        return self.keys, self.values

    def choose(self, rows: Tensor) -> None:
        assert self.keys is not None and self.values is not None
        self.keys, self.values = self.keys[rows], self.values[rows]


@dataclass
class Sentences:
    """Sentences that are being written, some about each clip."""

    seen: list[tuple[Tensor, Tensor]]  # of each layer, keys and values of the clips' caption tokens
    text: list[_Attended]
    decoder: list[_Attended]
    position: int = 0
    heard: Tensor | None = None  # bool [rows, positions]: which positions the text tower looks at
    ids: Tensor | None = None  # the latest

    def choose(self, rows: Tensor) -> None:
        """Go on with these rows, some perhaps twice."""
        for held in (*self.text, *self.decoder):
            held.choose(rows)
        assert self.heard is not None and self.ids is not None
        self.heard, self.ids = self.heard[rows], self.ids[rows]


class Decoder:
    """The tower of texts and the decoder above it."""

    def __init__(self, model: Any) -> None:
        self._text, self._decoder = model.text, model.text_decoder
        self._padding = model.pad_id
        self.longest = min(model.text_decoder.context_length, model.text.context_length)

    def begin(self, seen: Tensor) -> Sentences:
        """About clips, by their caption tokens [clips, tokens, dim]."""
        crossed = []
        for block in self._decoder.cross_attn:
            keys, values = _projected(block.attn, block.ln_1_kv(seen), 1, 3)
            crossed.append((keys, values))
        text = [_Attended() for _ in self._text.transformer.resblocks]
        return Sentences(crossed, text, [_Attended() for _ in self._decoder.resblocks])

    def step(self, sentences: Sentences, ids: Tensor) -> Tensor:
        """The next token of each, int64 [clips, sentences] → logits [clips, sentences, words]."""
        clips, rows = len(ids), ids.reshape(-1)
        at, sentences.position = sentences.position, sentences.position + 1
        x = (self._text.token_embedding(rows) + self._text.positional_embedding[at])[:, None]
        mask = self._heard(sentences, rows)[:, None, None]
        for block, held in zip(self._text.transformer.resblocks, sentences.text, strict=True):
            x = _self_attended(block, x, held, mask)
        layers = zip(
            self._decoder.resblocks,
            self._decoder.cross_attn,
            sentences.decoder,
            sentences.seen,
            strict=True,
        )
        for block, cross, held, seen in layers:
            x = _self_attended(block, x, held, None)
            x = _cross_attended(cross, x.view(clips, -1, x.shape[-1]), seen).view_as(x)
        logits: Tensor = self._decoder.ln_final(x[:, 0]) @ self._decoder.text_projection
        return logits.view(clips, ids.shape[1], -1)

    def _heard(self, sentences: Sentences, rows: Tensor) -> Tensor:
        """A position is not looked at whose token *before* it is padding: so these weights were trained."""
        before = sentences.ids
        here = torch.ones_like(rows, dtype=torch.bool) if before is None else before != self._padding
        held = sentences.heard
        sentences.heard = here[:, None] if held is None else torch.cat([held, here[:, None]], dim=1)
        sentences.ids = rows
        return sentences.heard

    # --- which words ---------------------------------------------------------------------------------

    def greedy(self, seen: Tensor, marks: Marks, most: int = MOST) -> Tensor:
        """Always the likeliest: int64 [clips, at most `most`]; behind the end is padding."""
        most = min(most, self.longest)
        ids = torch.full((len(seen), 1), marks.start, device=seen.device)
        sentences, is_done = self.begin(seen), torch.zeros(len(seen), dtype=torch.bool, device=seen.device)
        while ids.shape[1] < most and not bool(is_done.all()):
            logits = self._barred(self.step(sentences, ids[:, -1:]), ids.shape[1], marks)[:, 0]
            words = logits.argmax(dim=-1)
            if ids.shape[1] + 1 == most:
                words = torch.full_like(words, marks.end)
            words = torch.where(is_done, marks.padding, words)
            ids = torch.cat([ids, words[:, None]], dim=1)
            is_done |= (words == marks.end) | (words == marks.padding)
        return ids

    def beamed(self, seen: Tensor, beams: int, marks: Marks, most: int = MOST) -> list[list[int]]:
        """Of so many sentences a clip the one with the highest mean of logits."""
        most, clips = min(most, self.longest), len(seen)
        ids = torch.full((clips, beams, 1), marks.start, device=seen.device)
        scores = torch.full((clips, beams), _NEVER, device=seen.device)
        scores[:, 0] = 0  # else all beams would begin with the same word
        firsts = torch.arange(clips, device=seen.device)[:, None] * beams
        sentences, found = self.begin(seen), [_Finished(beams) for _ in range(clips)]
        while ids.shape[2] < most and not all(each.is_done for each in found):
            logits = self._barred(self.step(sentences, ids[..., -1]), ids.shape[2], marks)
            best, at = (logits + scores[..., None]).flatten(1).topk(2 * beams, dim=1)
            words, beam = at % logits.shape[-1], at // logits.shape[-1]
            columns = zip(found, best.tolist(), words.tolist(), beam.tolist(), ids.tolist(), strict=True)
            kept = torch.tensor([_kept(*mine, end=marks.end) for mine in columns], device=seen.device)
            likeliest = best[:, 0].tolist()
            scores, words, beam = (each.gather(1, kept) for each in (best, words, beam))
            ids = torch.cat([ids.gather(1, beam[..., None].expand_as(ids)), words[..., None]], dim=2)
            sentences.choose((firsts + beam).reshape(-1))
            for each, score in zip(found, likeliest, strict=True):
                each.settle(score, ids.shape[2])
        for each, mine, theirs in zip(found, ids.tolist(), scores.tolist(), strict=True):
            if not each.is_done:
                for sentence, score in zip(mine, theirs, strict=True):
                    each.add(sentence, score, len(sentence))
        return [each.best() for each in found]

    def _barred(self, logits: Tensor, length: int, marks: Marks) -> Tensor:
        """No caption ends before it is long enough."""
        if length < LEAST:
            logits[..., marks.end] = -torch.inf
        return logits


class _Finished:
    """The best sentences about a clip that have come to their end."""

    def __init__(self, most: int) -> None:
        self._most, self.is_done = most, False
        self._held: list[tuple[float, list[int]]] = []

    def add(self, ids: list[int], score: float, length: int) -> None:
        """With the sum of its logits, which counts by its length."""
        if not self.is_done:
            self._held = sorted([*self._held, (score / length, ids)], key=lambda held: -held[0])[: self._most]

    def settle(self, likeliest: float, length: int) -> None:
        """Done, where no sentence that goes on can become better than those."""
        is_full = len(self._held) == self._most
        self.is_done |= is_full and self._held[-1][0] >= likeliest / length

    def best(self) -> list[int]:
        return self._held[0][1]


def _kept(
    finished: _Finished,
    scores: list[float],
    words: list[int],
    beams: list[int],
    ids: list[list[int]],
    end: int,
) -> list[int]:
    """Of the likeliest continuations of a clip's sentences those that go on; what ends is finished."""
    kept = []
    for rank, (score, word, beam) in enumerate(zip(scores, words, beams, strict=True)):
        if word != end:
            kept.append(rank)
        elif rank < len(ids):
            finished.add([*ids[beam], end], score, len(ids[beam]) + 1)
    return kept[: len(ids)]


# --- attention ---------------------------------------------------------------------------------------


def _self_attended(block: Any, x: Tensor, held: _Attended, mask: Tensor | None) -> Tensor:
    """A block of open_clip's for the next position of each row."""
    queries, keys, values = _projected(block.attn, block.ln_1(x), 0, 3)
    return _through(block, x, queries, *held.add(keys, values), mask)


def _cross_attended(block: Any, x: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
    """The same for [clips, sentences, width], where all sentences about a clip look at the same tokens."""
    (queries,) = _projected(block.attn, block.ln_1(x), 0, 1)
    return _through(block, x, queries, *seen, None)


def _through(
    block: Any, x: Tensor, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
) -> Tensor:
    found = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    x = x + block.ls_1(block.attn.out_proj(found.transpose(1, 2).flatten(2)))
    after: Tensor = x + block.ls_2(block.mlp(block.ln_2(x)))
    return after


def _projected(attention: Any, x: Tensor, first: int, last: int) -> list[Tensor]:
    """Some of queries, keys and values, [rows, heads, positions, width of a head]."""
    part = slice(first * attention.embed_dim, last * attention.embed_dim)
    found = functional.linear(x, attention.in_proj_weight[part], attention.in_proj_bias[part])
    by_head = (
        each.reshape(*each.shape[:2], attention.num_heads, -1) for each in found.chunk(last - first, dim=2)
    )
    return [each.transpose(1, 2) for each in by_head]
