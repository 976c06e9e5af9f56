"""Questions that have no answer: how well the best score tells them from those that have one."""

from __future__ import annotations

import numpy as np

from core.types import Float32Array
from extractor.world.claims import least, short
from extractor.world.grammar import sentence
from training.bank import everyday
from training.measures.line import Bar, Line
from training.measures.scores import auc
from training.measures.sight import Sight

_QUESTIONS = 1000


def outside(sight: Sight) -> list[Line]:
    """Everyday sentences, and questions whose picture was taken out."""
    (shown, rows), chance = sight.stills, sight.chance("outside")
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
    lines = [Line("questions from outside, AUC", auc(everything, strange), len(everything), Bar(0.95))]
    lines += [
        Line(f"questions from outside against {kind} ones, AUC", auc(best, strange), len(best))
        for kind, best in asked.items()
    ]
    absent = auc(whole.max(axis=1), without.max(axis=1))
    return [*lines, Line("questions whose answer was taken out, AUC", absent, len(whole))]


def _best(sight: Sight, texts: list[str], rows: Float32Array) -> Float32Array:
    return (sight.texts(texts) @ rows.T).max(axis=1)
