"""What is said of a stored video: what was written when it was embedded, or anew from its file."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from core.stop import require_wanted
from core.types import EncoderSpec, Float64Array, IntArray, Line, Sampling
from index.captions import captions
from index.timeline import Timeline
from server.errors import ApiError
from server.opened import Opened, opened
from server.searcher import Searcher
from server.stored import Named

if TYPE_CHECKING:
    from extractor.encoders.base import Captioner
    from extractor.encoders.rows import Tokens

MOST_CLIPS = 16  # that are written about in one request
MOST_PICTURES = 16  # of each
_AT_ONCE = 4  # pictures
_FEW = 8  # of a clip of which nobody knows which pictures made it
_WITHIN_S = 1e-4  # a row's picture is shown from its start on, which floats may lie a little before


@dataclass(frozen=True, slots=True)
class Planned:
    """Lines that are stored, or clips that are to be written about: at which seconds their pictures are, and
    which of these each has."""

    encoder: EncoderSpec
    called: str  # what requests call it
    stored: tuple[Line, ...] = ()
    clips: tuple[tuple[float, float], ...] = ()
    times: tuple[float, ...] = ()
    index: tuple[IntArray, ...] = ()
    opened: Opened | None = None


def planned(searcher: Searcher, named: Named, *, anew: bool) -> Planned:
    """anew: whatever is stored. Or the ApiError that says what is wrong."""
    view, spec = searcher.view, searcher.encoder.spec
    _, rows = named.rows(view, "clip", "frame")
    start = -np.inf if named.start is None else named.start
    end = np.inf if named.end is None else named.end
    if not anew and (stored := captions(view, named.source, start, end)):
        return Planned(spec, searcher.name, tuple(stored))
    if not hasattr(searcher.encoder, "caption"):
        message = f"encoder: {spec.name} cannot write captions; name one that can, as videococa."
        raise ApiError(409, message, "encoder")
    if len(rows) > MOST_CLIPS:
        message = (
            f"video_id: the video has {len(rows)} clips there, and {MOST_CLIPS} at most are written about "
            "at once; start and end take fewer."
        )
        raise ApiError(400, message, "video_id")
    clips = tuple(zip(rows.start.tolist(), rows.end.tolist(), strict=True))
    frames = Timeline.of(view, named.source, "frame", rows.start.min(), rows.end.max())
    each = [_times(clip, frames.start, view.store.sampling) for clip in clips]
    times = np.unique(np.concatenate(each))
    index = tuple(np.searchsorted(times, mine) for mine in each)
    file = opened(searcher, named.source)
    return Planned(spec, searcher.name, (), clips, tuple(times.tolist()), index, file)


def _times(clip: tuple[float, float], frames: Float64Array, sampling: Sampling) -> Float64Array:
    """Seconds at which the clip's own pictures are shown, as far as that is known; few enough."""
    start, end = clip
    found = frames[(frames >= start) & (frames < end)]
    if not len(found) and sampling.points == "fps" and not sampling.preset:
        found = np.arange(start, end, 1 / sampling.fps)
    elif not len(found):
        found = start + (end - start) * (np.arange(_FEW) + 0.5) / _FEW
    if len(found) > MOST_PICTURES:
        found = found[np.linspace(0, len(found) - 1, MOST_PICTURES).round().astype(np.int64)]
    moved: Float64Array = found + _WITHIN_S
    return moved


@dataclass
class Writing:
    """A request's captions, as far as they are written."""

    plan: Planned
    pixels: NDArray[np.uint8]  # of the plan's times
    beams: int
    lines: list[Line] = field(default_factory=list)
    _seen: int = 0
    _tokens: list[Tokens] = field(default_factory=list)

    def advance(self, searcher: Searcher, seconds: float) -> bool:
        """Write for about so long, at least a little; whether all is written."""
        if searcher.encoder.spec != self.plan.encoder:
            raise ApiError(
                503, f"The encoder {self.plan.encoder.name} was changed while it wrote; ask again."
            )
        writer, until = cast("Captioner", searcher.encoder), time.monotonic() + seconds
        while len(self.lines) < len(self.plan.clips):
            self._go_on(writer)
            if time.monotonic() >= until:
                break
        return len(self.lines) == len(self.plan.clips)

    def _go_on(self, writer: Captioner) -> None:
        from extractor.encoders.rows import caption_of, tokens_of  # bring torch

        require_wanted()
        if self._seen < len(self.pixels):
            some = self.pixels[self._seen : self._seen + _AT_ONCE]
            self._tokens.append(tokens_of(writer, some))
            self._seen += len(some)
        else:
            clip = len(self.lines)
            text = caption_of(writer, self._tokens, self.plan.index[clip], self.beams)
            name = self.plan.encoder.name
            self.lines.append(Line(*self.plan.clips[clip], text, written_by=name))
