"""What the hits of a query are worth, and which of them are left out for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from core.query import Query
from core.types import Kind
from index.calibration import Judge, Level
from index.moments import Moment
from index.snapshot import Snapshot
from server.compose import Sought
from server.errors import ApiError

_DECIMALS = 6


def rounded(score: float) -> float:
    """As answers show it, and so as it is compared with what is asked for."""
    return round(score, _DECIMALS) + 0.0  # no -0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """The judge of a query's hits, None where nothing is calibrated, and the least that is asked for."""

    judge: Judge | None
    min_score: float | None = None
    min_confidence: float | None = None

    @classmethod
    def of(cls, query: Query, view: Snapshot, kind: Kind, asked: Sought) -> Judged:
        judge = view.calibrated.judge(kind, asked.asking, asked.vector)
        least = query.min_confidence
        if least is not None and judge is None and view.rows.get(kind):
            message = f"min_confidence: snapshot {view.number} is not calibrated for such a query."
            raise ApiError(409, message, "min_confidence")
        if judge is None or least is None:
            return cls(judge, query.min_score)
        return cls(judge, query.min_score, judge.scale.least(least) if isinstance(least, str) else least)

    def kept(self, moments: Sequence[Moment]) -> Sequence[Moment]:
        """Those that are good enough, of moments that come best first."""
        if self.min_score is None and self.min_confidence is None:
            return moments
        return [*takewhile(lambda moment: self._is_enough(moment.score), moments)]

    def _is_enough(self, score: float) -> bool:
        if self.min_score is not None and rounded(score) < self.min_score:
            return False
        return self.judge is None or self.judge.confidence(score) >= (self.min_confidence or 0.0)

    def confidence(self, score: float) -> float | None:
        return self.judge.confidence(score) if self.judge else None

    def level(self, score: float) -> Level | None:
        return self.judge.level(score) if self.judge else None

    def worth(self, moment: Moment) -> tuple[float | None, Level | None]:
        """How sure it is; nothing is known of what was found by words alone."""
        return (self.confidence(moment.score), self.level(moment.score)) if moment.is_seen else (None, None)

    def is_confident(self, best: float | None, is_told: bool) -> bool | None:
        """Whether the query finds anything, by the score of its best row or by its words; None where there
        is no judge."""
        if self.judge is None:
            return None
        return is_told or (best is not None and self.judge.level(best) in ("high", "medium"))
