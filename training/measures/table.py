"""All measures by name, in their order."""

from __future__ import annotations

from collections.abc import Callable

from training.measures.captions import captioned
from training.measures.films import moments
from training.measures.galleries import hard, retrieved, worded
from training.measures.line import Line
from training.measures.motion import directions, motions, reversal
from training.measures.outside import outside
from training.measures.service import service
from training.measures.sight import Sight
from training.measures.speed import speed
from training.measures.zero_shot import pairs, zero_shot

TABLE: dict[str, Callable[[Sight], list[Line]]] = {
    "retrieval": retrieved,
    "hard": hard,
    "zero-shot": zero_shot,
    "pairs": pairs,
    "direction": directions,
    "motions": motions,
    "reversal": reversal,
    "films": moments,
    "outside": outside,
    "words": worded,
    "captions": captioned,
    "service": service,
    "speed": speed,
}
