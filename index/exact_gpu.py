"""Exact search on a GPU by torch: rows lie there as the store holds them, in half floats.

A product in half floats picks, with room for its rounding, every row that may be among the best; float32
narrows them down, and what is left is scored as on the processor. torch's own "cpu" does all of it as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.errors import SnapshotError, UsageError
from core.types import Float32Array, IntArray
from index import merge
from index.live import LivePart
from index.merge import Found
from index.ranked import Rows
from index.scoring import scores_of_pairs

_QUERIES = 64  # at a time, and so many rows: 32 MiB of scores
_STEP_ROWS = 1 << 18
_READ_ROWS = 1 << 14
_SPARE_BYTES = 1 << 29  # for scores, masks and torch itself
_HALF_ROUNDING = 8 * 2.0**-11  # of query, sums and score, each relative to the lengths of both vectors
_SINGLE_ROUNDING = 1e-5
_LARGEST = 2.0**14  # score in half floats, which end at 65,504
_GIB = 1 << 30
_SEED = 1
_CELLS = 1 << 26  # scores of rows with centres at a time
_NUDGE = 0.01  # of its length


def device_of(asked: str) -> str:
    """ "cpu", or "cuda" where torch has a GPU that it can compute on; UsageError where that was asked for."""
    if asked == "cpu":
        return asked
    why = trouble()
    if why and asked == "cuda":
        raise UsageError(f"device 'cuda' is not on this machine; {why}.")
    return "cpu" if why else "cuda"


def trouble() -> str:
    """Why nothing can be computed on a GPU, or "". It is tried: a build may lack code for a card."""
    if not torch.cuda.is_available():
        return "no GPU is found"
    try:
        ones = torch.ones(64, 64, dtype=torch.float16, device="cuda")
        good = bool(((ones @ ones.T).topk(4).values == 64).all())
    except RuntimeError as error:
        return f"torch {torch.__version__} cannot compute on its GPU: {str(error).splitlines()[0]}"
    return "" if good else f"torch {torch.__version__} computes wrongly on its GPU"


@dataclass(frozen=True)
class Block:
    """The rows of a part on the device."""

    vectors: Tensor  # float16 [rows, dim]
    longest: float  # length of any


@dataclass(frozen=True)
class Card:
    """Parts on a device, by name."""

    device: torch.device
    blocks: Mapping[str, Block]

    @classmethod
    def holding(cls, parts: Sequence[LivePart], device: str, before: Card | None = None) -> Card:
        """Parts never change: those that a card held before are not copied again. SnapshotError: no room."""
        where = torch.device(device)
        held = dict(before.blocks) if before is not None and before.device == where else {}
        require_room([part for part in parts if part.about.name not in held], where)
        blocks = {part.about.name: held.get(part.about.name) or _block(part, where) for part in parts}
        return cls(where, blocks)

    def best_rows(self, parts: Sequence[LivePart], queries: Float32Array, k: int) -> list[Rows]:
        """The same as `merge.best_rows` of exact parts."""
        live = [number for number, part in enumerate(parts) if part.live]
        if not live:
            return [Rows.none()] * len(queries)
        masks = {number: _mask(parts[number], self.device) for number in live}
        found: list[Rows] = []
        for first in range(0, len(queries), _QUERIES):
            block = queries[first : first + _QUERIES]
            asked = torch.from_numpy(np.array(block)).to(self.device)
            search = _Search(
                [(number, self.blocks[parts[number].about.name], masks[number]) for number in live],
                asked,
                min(k, sum(parts[number].live for number in live)),
            )
            query, part, position = search.candidates()
            score = scores_of_pairs(parts, block, query, part, position)
            found += merge.best_of(parts, Found(query, part, position, score), len(block), k)
        return found


@dataclass(frozen=True)
class _Search:
    """Some queries and the blocks that they are asked of."""

    blocks: Sequence[tuple[int, Block, Tensor | None]]  # a part's number, its rows, and which of them count
    asked: Tensor  # float32 [queries, dim]
    wanted: int  # rows; so many count at least

    def candidates(self) -> tuple[IntArray, IntArray, IntArray]:
        """Query, part and position of all rows that may be among those wanted, or be as good as the last."""
        lengths = self.asked.norm(dim=1)
        longest = max(block.longest for _, block, _ in self.blocks)
        scale = _LARGEST / (lengths * max(longest, 1.0)).clamp(min=1e-30)
        scale = torch.where(lengths > 0, scale, torch.ones_like(scale))
        half = (self.asked * scale[:, None]).half()
        slack = 2 * _HALF_ROUNDING * lengths * scale * longest
        pieces, left, width = [], torch.arange(len(half), device=half.device), 4 * self.wanted + _QUERIES
        while len(left):
            scores, rows = self._top(half[left], width)
            last = scores[:, self.wanted - 1].float() - slack[left]
            done = (scores[:, -1].float() < last) | torch.tensor(scores.shape[1] < width, device=left.device)
            may = (scores.float() >= last[:, None]) & torch.isfinite(scores)
            pieces.append(self._narrowed(left[done], rows[done], may[done], lengths * longest))
            left, width = left[~done], 8 * width
        query, row = (torch.cat(each).cpu().numpy() for each in zip(*pieces, strict=True))
        order = np.argsort(query, kind="stable")
        part = np.searchsorted(self._ends, row, side="right")
        position = row - np.append(0, self._ends)[part]
        numbers = np.array([number for number, _, _ in self.blocks])
        return query[order], numbers[part][order], position[order]

    @property
    def _ends(self) -> IntArray:
        """Behind the last row of each block, where all rows are numbered on."""
        return np.cumsum([len(block.vectors) for _, block, _ in self.blocks])

    def _top(self, half: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """The best rows by half floats, best first: scores, and rows numbered through all blocks."""
        scores = half.new_empty(len(half), 0)
        rows = torch.empty(len(half), 0, dtype=torch.int64, device=half.device)
        before = 0
        for _, block, mask in self.blocks:
            for first in range(0, len(block.vectors), _STEP_ROWS):
                found = half @ block.vectors[first : first + _STEP_ROWS].T
                if mask is not None:
                    found = found.masked_fill(~mask[first : first + _STEP_ROWS], float("-inf"))
                best, at = found.topk(min(width, found.shape[1]))
                scores, rows = torch.cat([scores, best], 1), torch.cat([rows, at + (before + first)], 1)
                scores, which = scores.topk(min(width, scores.shape[1]))
                rows = rows.gather(1, which)
            before += len(block.vectors)
        return scores, rows

    def _narrowed(self, query: Tensor, rows: Tensor, may: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Those of these rows of each query that float32 cannot rule out either."""
        which, column = may.nonzero(as_tuple=True)
        row = rows[which, column]
        single = torch.full(may.shape, float("-inf"), device=rows.device)
        for first in range(0, len(row), _STEP_ROWS >> 3):
            piece = slice(first, first + (_STEP_ROWS >> 3))
            of_query = self.asked[query[which[piece]]]
            single[which[piece], column[piece]] = (self._vectors(row[piece]) * of_query).sum(1)
        if not len(single):
            return query, row
        last = single.topk(self.wanted).values[:, -1] - 2 * _SINGLE_ROUNDING * lengths[query]
        kept = single[which, column] >= last[which]
        return query[which[kept]], row[kept]

    def _vectors(self, rows: Tensor) -> Tensor:
        """float32 [rows, dim]"""
        found = torch.empty(len(rows), self.asked.shape[1], device=rows.device)
        before = 0
        for _, block, _ in self.blocks:
            mine = (rows >= before) & (rows < before + len(block.vectors))
            found[mine] = block.vectors[rows[mine] - before].float()
            before += len(block.vectors)
        return found


def require_room(parts: Sequence[LivePart], device: torch.device) -> None:
    """Refuse before anything is copied what the device has no room for."""
    if device.type != "cuda":
        return
    free, _ = torch.cuda.mem_get_info(device)
    rows = sum(part.about.rows for part in parts)
    needed = sum(2 * part.about.rows * part.about.dim for part in parts) + _SPARE_BYTES
    if parts and needed > free:
        raise SnapshotError(
            f"{rows} rows need {needed / _GIB:.1f} GiB on {torch.cuda.get_device_name(device)}, "
            f"of which {free / _GIB:.1f} GiB are free; `--device cpu` needs none."
        )


def _block(part: LivePart, device: torch.device) -> Block:
    rows, dim = part.about.rows, part.about.dim
    vectors = torch.empty(rows, dim, dtype=torch.float16, device=device)
    longest = 0.0
    for first in range(0, rows, _READ_ROWS):
        single = part.part.vectors(np.arange(first, min(first + _READ_ROWS, rows)))
        longest = max(longest, float(np.linalg.norm(single, axis=1).max()))
        vectors[first : first + len(single)] = torch.from_numpy(single.astype(np.float16))
    return Block(vectors, longest)


def _mask(part: LivePart, device: torch.device) -> Tensor | None:
    """Which rows count; None: all."""
    if part.live == part.about.rows:
        return None
    packed = torch.from_numpy(np.array(part.bits)).to(device)
    bits = (packed[:, None] >> torch.arange(8, dtype=torch.uint8, device=device)) & 1
    return bits.flatten()[: part.about.rows].bool()


class Nearest:
    """Which of some centres each row scores best with."""

    def __init__(self, centres: Float32Array, device: str) -> None:
        self._centres = torch.from_numpy(np.array(centres)).to(device)

    def of(self, rows: Float32Array) -> IntArray:
        """The number of one for each row."""
        found: IntArray = (
            _nearest(torch.from_numpy(rows).to(self._centres.device), self._centres).cpu().numpy()
        )
        return found


def centres(sample: Float32Array, count: int, rounds: int, device: str) -> Float32Array:
    """So many directions that rows lie around: k-means by inner product, as FAISS trains its lists."""
    rows = torch.from_numpy(sample).to(device)
    chance = torch.Generator().manual_seed(_SEED)
    found = _unit(rows[torch.randperm(len(rows), generator=chance)[:count].to(device)])
    for _ in range(rounds):
        mine = _nearest(rows, found)
        sums = torch.zeros_like(found).index_add_(0, mine, rows)
        counts = torch.bincount(mine, minlength=count)
        # What nobody is nearest to is put beside what most are: they share those from now on.
        empty = (counts == 0).nonzero()[:, 0]
        crowded = counts.argsort(descending=True)[: len(empty)]
        sums[empty] = _unit(sums[crowded]) + _NUDGE * torch.randn(
            len(empty), sums.shape[1], generator=chance
        ).to(device)
        found = _unit(sums)
    single: Float32Array = found.cpu().numpy()
    return single


def _nearest(rows: Tensor, centres: Tensor) -> Tensor:
    step = max(_CELLS // len(centres), 1)
    blocks = (rows[first : first + step] for first in range(0, len(rows), step))
    return torch.cat([(block @ centres.T).argmax(1) for block in blocks])


def _unit(rows: Tensor) -> Tensor:
    lengths: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / lengths.clamp(min=1e-30)
