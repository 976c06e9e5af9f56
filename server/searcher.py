"""Query → vector → hits → moments → results, on one immutable view."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from core.query import Query
from core.types import Kind, Line
from extractor.encoders.base import Encoder
from index.calibration import Level
from index.moments import Moment
from index.snapshot import Snapshot
from index.sources import SourceInfo
from server import steps
from server.beside import NOTHING, Beside, Seen, beside
from server.compose import Sought, compose, refuse_options, unseen
from server.cursor import FIRST, Beginning, Cursor
from server.earlier import Earlier, gone
from server.errors import ApiError
from server.folders import Folders
from server.judged import Judged
from server.pictures import best_seconds
from server.ranking import Ranking
from server.told import captions_in, mode_of, shown_of, wanted


@dataclass(frozen=True, slots=True)
class Found:
    """A moment with its source and the second to show."""

    moment: Moment
    info: SourceInfo
    best_t: float | None
    confidence: float | None = None
    level: Level | None = None
    beside: Beside = NOTHING
    thumbnail: str | None = None  # the address of a picture
    caption: Line | None = None  # what it tells, if a model wrote that


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by stage."""

    total: float
    encode: float
    search: float

    @property
    def look_up(self) -> float:
        return max(0.0, self.total - self.encode - self.search)


@dataclass(frozen=True, slots=True)
class Answer:
    """Results, best first; each is the moments of one video where the query groups, and of a sequence those
    of its steps."""

    query: Query
    collection: str
    encoder: str  # as requests call it
    snapshot: int
    results: Sequence[Sequence[Found]]
    total: int
    is_all: bool  # no more are to be found
    truncated: bool
    took: Took
    confident: bool | None = None
    seal: str = ""  # of the snapshot
    next: Beginning | None = None  # where the next page begins
    made_by: str = ""  # the encoder's own name, which those of several stores may share
    store: str = ""  # its folder's name
    unknown: tuple[str, ...] = ()  # texts of no word that the encoder knows


@dataclass(frozen=True, slots=True)
class _Results:
    """Of one page."""

    found: Sequence[Sequence[Found]]
    total: int
    is_all: bool
    truncated: bool
    encoded: float  # by time.perf_counter()
    search: float
    confident: bool | None
    rows: int = 0  # that were looked at for the first page
    goes_on: bool = False  # a deeper look may find more
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Searcher:
    """An encoder and a view of vectors it made. A request takes it once and keeps it."""

    collection: str
    encoder: Encoder
    view: Snapshot
    earlier: Earlier | None = None  # views of what was published before
    folders: Folders = field(default_factory=Folders)
    encoded_s: float = 0.0  # seconds in which texts of the query were encoded beforehand
    called: str = ""  # what requests call its store's encoder, where that is not the encoder's own name

    @property
    def name(self) -> str:
        """What `encoder` of a request takes, so that this one answers again."""
        return self.called or self.encoder.spec.name

    def at(self, cursor: Cursor) -> Searcher:
        """The same on the snapshot that a cursor names."""
        number, seal = cursor.snapshot, cursor.seal
        if (number, seal) == (self.view.number, self.view.seal):
            return self
        if self.earlier is None:
            raise gone(number)
        return replace(self, view=self.earlier.view(number, seal, self.view))

    def answer(self, query: Query, place: Beginning = FIRST) -> Answer:
        """All of it, in the calling thread."""
        began = time.perf_counter() - self.encoded_s
        refuse_options(query, self.encoder)
        page = self._sequences(query, place) if query.steps else self._moments(query, place)
        behind = place.position + len(page.found)
        goes_on = len(page.found) > 0 and (behind < page.total or page.goes_on)
        return Answer(
            query,
            self.collection,
            self.name,
            self.view.number,
            page.found,
            page.total,
            page.is_all,
            page.truncated,
            Took(time.perf_counter() - began, page.encoded - began, page.search),
            page.confident,
            self.view.seal,
            Beginning(behind, page.rows) if goes_on else None,
            self.encoder.spec.name,
            self.view.store.root.name,
            page.unknown,
        )

    def _moments(self, query: Query, place: Beginning) -> _Results:
        kind, mode = self._kind(query), mode_of(query, self.view)
        by_words = mode == "text"
        own = self._own_kinds(query)
        asked = unseen(self.encoder) if by_words else compose(query, own, self.encoder, self.view)
        encoded = time.perf_counter()
        judged = Judged.of(query, self.view, kind, asked)
        words = wanted(query, mode)
        ranking = Ranking(self.view, query, None if by_words else kind, asked, judged, words)
        looked = ranking.page(place.position, place.rows) if place.rows else ranking.first()
        groups = looked.groups[place.position : place.position + query.limit]
        groups = [group[: query.group_size] for group in groups]
        flat = [moment for group in groups for moment in group]
        found = iter(self._found(query, flat, asked, judged, Seen(looked.hits, words is not None)))
        return _Results(
            [[next(found) for _ in group] for group in groups],
            len(looked.groups),
            looked.is_all,
            asked.truncated,
            encoded,
            ranking.seconds,
            judged.is_confident(looked.best, any(moment.told for moment in flat)),
            looked.rows,
            looked.goes_on,
            asked.unknown,
        )

    def _sequences(self, query: Query, place: Beginning) -> _Results:
        kind, own = self._kind(query), self._own_kinds(query)
        asked = [self._step(query, number, own) for number in range(len(query.steps))]
        encoded = time.perf_counter()
        numbered = [steps.Step.of(query, each, number, self.view, kind) for number, each in enumerate(asked)]
        looked = steps.look(query, numbered, self.view, kind)
        groups = looked.groups[place.position : place.position + query.limit]
        present = [step for step in numbered if not step.absent]
        columns = [
            list(self._found(query, of_step, step.asked, step.judged, Seen(hits)))
            for step, of_step, hits in zip(present, zip(*groups, strict=True), looked.hits, strict=False)
        ]
        return _Results(
            [list(chain) for chain in zip(*columns, strict=True)],
            len(looked.groups),
            looked.is_all,
            any(each.truncated for each in asked),
            encoded,
            looked.seconds,
            looked.confident,
            looked.rows,
            unknown=tuple(dict.fromkeys(text for each in asked for text in each.unknown)),
        )

    def _step(self, query: Query, number: int, own: tuple[Kind, ...]) -> Sought:
        try:
            parts = query.steps[number].parts
            return compose(replace(query, parts=parts), own, self.encoder, self.view)
        except ApiError as error:
            raise error.within(f"sequence[{number}]") from error

    def _kind(self, query: Query) -> Kind:
        if query.target == "texts":
            return "text"
        rows = self.view.rows
        visual: Kind = "clip" if rows.get("clip") else "frame"
        if query.kind and rows.get(visual) and not rows.get(query.kind):
            message = f"level: the collection {self.collection} has {visual} rows and no {query.kind} rows."
            raise ApiError(409, message, "level")
        return query.kind or visual

    def _own_kinds(self, query: Query) -> tuple[Kind, ...]:
        return ("frame", "clip", "text") if query.kind == "frame" else ("clip", "frame", "text")

    def _found(
        self, query: Query, moments: Sequence[Moment], asked: Sought, judged: Judged, looked: Seen
    ) -> Iterator[Found]:
        """All that is known of these moments, in their order."""
        infos = {moment.source: self._info(moment.source) for moment in moments}
        shown = [shown_of(moment, infos[moment.source]) for moment in moments]
        within = [inside for _, inside in shown]
        # By words alone nothing is looked for that a picture could be like.
        is_seen = bool(asked.vector.any())
        seconds = (
            best_seconds(self.view, asked.vector, within)
            if is_seen
            else iter([moment.best_t for moment in within])
        )
        extras = beside(query, self.view, asked, moments, looked)
        written = captions_in([moment for moment, _ in shown], self.view)
        for (moment, _), best_t, extra, caption in zip(shown, seconds, extras, written, strict=True):
            worth = judged.worth(moment)
            info = infos[moment.source]
            if moment.kind == "text" and info.text:
                yield Found(moment, info, None, *worth, extra, caption=caption)
            else:
                padded = _padded(moment, info, query.pad_s)
                yield Found(padded, info, best_t, *worth, extra, caption=caption)

    def _info(self, source: str) -> SourceInfo:
        return self.view.source(source) or SourceInfo(source)


def _padded(moment: Moment, info: SourceInfo, pad_s: float) -> Moment:
    if not pad_s:
        return moment
    end = moment.end + pad_s
    end = min(end, max(info.facts.seconds, moment.end)) if info.facts.seconds else end
    return replace(moment, start=max(min(moment.start, 0.0), moment.start - pad_s), end=end)
