"""Questions that have no answer: how well the best score tells them from those that have one."""

from __future__ import annotations

import numpy as np

from core.types import Float32Array
from extractor.world.claims import least, short
from extractor.world.grammar import sentence
from training.bank import everyday
from training.gallery import Shown
from training.measures.line import Line, held
from training.measures.scores import auc
from training.measures.sight import Sight

_QUESTIONS = 1000


def outside(sight: Sight) -> list[Line]:
    """Everyday sentences, and questions whose answer was taken out: of pictures, and of clips that move."""
    return [
        *_of(sight, "pictures", sight.stills),
        *_of(sight, "clips", sight.moves, sight.objection),
    ]


def _of(sight: Sight, what: str, seen: tuple[list[Shown], Float32Array], objection: str = "") -> list[Line]:
    (shown, rows), chance = seen, sight.chance("outside", what)
    whole = sight.texts([each.text for each in shown]) @ rows.T
    asked = {
        "full": whole.max(axis=1),
        "short": _best(sight, [sentence(short(each.scene, chance), chance) for each in shown], rows),
        "typed": _best(sight, [sentence(least(each.scene, chance), chance) for each in shown], rows),
    }
    strange = _best(sight, everyday(sight.split, sight.seed, sight.many(_QUESTIONS)), rows)
    everything = np.concatenate(list(asked.values()))
    without = whole.copy()
    np.fill_diagonal(without, -np.inf)
    outer, absent = "from outside the world", "whose answer was taken out"
    return [
        held(f"{outer}, AUC over {what}", auc(everything, strange), len(everything), 0.95, objection),
        *(
            Line(f"{outer}, against {kind} questions, AUC over {what}", auc(best, strange), len(best))
            for kind, best in asked.items()
        ),
        Line(f"{absent}, AUC over {what}", auc(whole.max(axis=1), without.max(axis=1)), len(whole)),
    ]


def _best(sight: Sight, texts: list[str], rows: Float32Array) -> Float32Array:
    best: Float32Array = (sight.texts(texts) @ rows.T).max(axis=1)
    return best
