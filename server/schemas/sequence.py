"""Steps of a sequence, and what does not go with one."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from server.asked import Strict, wrong_at
from server.schemas.query import QueryAsked

_OF_A_SEQUENCE = ("within_s", "min_gap_s")
_OF_MOMENTS = ("merge_gap_s", "group_size", "weigh_frames", "diversity")


class StepAsked(Strict):
    """One step of a sequence."""

    query: QueryAsked
    absent: bool = Field(False, description="it is not to happen: A without B")


def require_fitting(sent: Mapping[str, object]) -> None:
    """Refuse what a search has no use for: its values, but for those that were sent as the defaults are."""
    steps = sent.get("sequence")
    if not isinstance(steps, list):
        for name in _OF_A_SEQUENCE:
            if name in sent:
                raise wrong_at(name, "needs a sequence beside it")
        return
    if all(step.absent for step in steps):
        raise wrong_at("sequence", "at least one step must not be absent")
    if sent.get("target") == "texts":
        raise wrong_at("target", 'a sequence is of moments: "videos"')
    if sent.get("mode", "visual") != "visual":
        raise wrong_at("mode", 'a sequence goes by vectors alone: "visual"')
    for name in _OF_MOMENTS:
        if name in sent and sent[name] != 0.0:
            raise wrong_at(name, "does not go with a sequence, whose steps are single rows")
