"""The whole of extraction in one process, whoever feeds it: pictures, features in batches, windows, rows."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core.store import Store
from core.types import Facts, Float32Array, Line, Look, Segment, Source, Thumbs
from core.writer import KindRows, Writer
from extractor.ahead import Begun, Claims, Decoders, Ended, MakeDecoder, Message, Seen, Settled, Unread
from extractor.around import require_seen
from extractor.captions import Captions, captions_of
from extractor.cores import Cores, allowed
from extractor.encoders import load
from extractor.encoders.base import Encoder, Pace, around_of
from extractor.encoders.devices import choose_device, use
from extractor.encoders.precision import Precision
from extractor.encoders.thresholds import calibration_of
from extractor.encoding import Encoding, Video, features_at_once
from extractor.media import children, fork
from extractor.media.reading import Here, Order, Trouble
from extractor.media.runs import require_grid
from extractor.probes import probes_of
from extractor.shortcut import ShortCut, View
from extractor.teller import Beside, Teller
from extractor.usage import kept_loaded
from extractor.work import Committed, Encoded, Job, Loaded, Outcome, Report, Stalled, Work

Told = Loaded | Report | Encoded | Committed | Stalled
BEAT_S = 0.5
MINDING_S = 60.0  # until a child is there, or gone


def work(job: Job, device: str, feed: Iterator[Work], stop: threading.Event) -> Iterator[Told]:
    """Everything the feed gives, into the job's store; until it is dry, `stop` is set, or a file stalls."""
    if job.workers:
        fork.prepare()
    job = replace(job, cores=allowed(job.cores))
    with closing(Cores(job.cores)) as cores:
        cores.leave(0)  # there are no decoders yet
        encoder, device, captions = load_for(job, device)
        if stop.is_set():  # loading may take a while, and nothing is begun
            return
        writer = Writer(open_store(job, encoder), max_seconds=job.commit_s)
        if device.startswith("cuda") and job.decoder == "cuda":
            job = replace(job, decoder=device)  # its own, where there are several
        with kept_loaded():
            run = encoder.spec.look.run
            loaded = Loaded(device, batch_pictures=features_at_once(job.batch, run) * run)
            yield from _telling(loaded, encoder, _extracted(job, feed, encoder, writer, stop, captions))


def _extracted(
    job: Job,
    feed: Iterator[Work],
    encoder: Encoder,
    writer: Writer,
    stop: threading.Event,
    captions: Captions | None,
) -> Iterator[Told]:
    if not job.careful:
        yield from extract(job, feed, encoder, writer, stop, captions)
        return
    for one in feed:
        for event in extract(replace(job, decoders=1), iter((one,)), encoder, writer, stop, captions):
            yield event
            if isinstance(event, Stalled):
                return
        if stop.is_set():
            return


def _telling(loaded: Loaded, encoder: Encoder, events: Iterator[Told]) -> Iterator[Told]:
    """Say once what the encoder computes in: as soon as it is settled, at the latest when all is done."""
    is_told = False
    while True:
        precision = _precision_of(encoder)
        if not is_told and (precision is None or precision.is_settled):
            yield _with(loaded, precision)
            is_told = True
        event = next(events, None)
        if event is None:
            break
        yield event
    if not is_told:  # no picture came
        yield loaded


def _precision_of(encoder: Encoder) -> Precision | None:
    found = getattr(encoder, "precision", None)
    return found if isinstance(found, Precision) else None  # a stranger's may be anything


def _with(loaded: Loaded, precision: Precision | None) -> Loaded:
    return replace(loaded, precision=precision.name, cosine=precision.cosine) if precision else loaded


def load_for(job: Job, device: str) -> tuple[Encoder, str, Captions | None]:
    """The job's encoder, where it is, and who writes captions."""
    device = choose_device(device)
    use(device)
    pace = Pace(job.precision, job.batch if job.compile else 0)
    encoder = load(job.encoder, device=device, pace=pace, **job.options)
    return encoder, device, captions_of(job.captions, encoder, device, pace)


def open_store(job: Job, encoder: Encoder) -> Store:
    """The job's store, made if there is none; StoreError if it is another encoder's or sampling's."""
    if (job.store / "store.json").exists():
        store = Store.open(job.store)
        store.require(encoder.spec, store.sampling.but(job.sampling))
        return store
    sampling = encoder.spec.sampling.but(job.sampling)
    if encoder.spec.look.run > 1:
        require_grid(sampling)
    require_seen(encoder, sampling)
    return Store.create(job.store, encoder.spec, sampling, probes_of(encoder), calibration_of(encoder))


def make_decoder(job: Job, look: Look) -> MakeDecoder:
    """Children of a worker; without workers, nothing is started."""
    if not job.workers:
        return lambda beat, is_left: Here(beat)
    # CUDA maps far more than it uses: no limit that it lives with tells anything of a file.
    memory_bytes = job.memory_bytes if job.decoder == "cpu" else 0
    limits = children.Limits(job.stall_s, memory_bytes, log_format=job.log_format, log_level=job.log_level)
    return lambda beat, is_left: children.Child(limits, look.size, beat, is_left, look.run)


def extract(
    job: Job,
    feed: Iterator[Work],
    encoder: Encoder,
    writer: Writer,
    stop: threading.Event,
    captions: Captions | None = None,
) -> Iterator[Told]:
    """Decoders ahead, the encoder here, and a commit whenever one is due and at the end."""
    yield from _Extraction(job, encoder, writer, feed, captions).run(stop)


class _Extraction:
    def __init__(
        self, job: Job, encoder: Encoder, writer: Writer, feed: Iterator[Work], captions: Captions | None
    ) -> None:
        self._job, self._encoder, self._writer = job, encoder, writer
        self._teller = Teller(job, encoder, writer, self._vectors)
        self._sampling = writer.store.sampling
        self._view = View(writer.store.log)
        self._claims = Claims(
            self._is_known, (lambda stamp: {}) if job.again else ShortCut(writer.store, self._view).alike
        )
        self._encoding, self._cores = Encoding(encoder, job.batch, captions), Cores(job.cores)
        self._decoders = self._made_decoders(feed)
        self._videos: dict[str, Video] = {}
        self._texts: list[Work] = []
        self._copies: dict[str, list[Work]] = {}  # of contents in hand
        self._troubles: dict[str, Trouble] = {}
        self._done: set[str] = set()  # since the last commit; with --again in this run
        self._seconds = {"encode": 0.0, "write": 0.0}
        self._beat = time.monotonic()

    def _made_decoders(self, feed: Iterator[Work]) -> Decoders:
        job, look = self._job, self._encoder.spec.look
        # A thread that minds a child ends it in time by itself, if it is not stuck.
        stall_s = 2 * job.stall_s + MINDING_S if job.workers else job.stall_s
        make = make_decoder(job, look)
        wanted = Order(self._sampling, look, shots=job.shots, thumbs=job.thumbs, decoder=job.decoder)
        return Decoders(feed, self._claims, wanted, stall_s, make)

    def run(self, stop: threading.Event) -> Iterator[Told]:
        has_stalled = False
        with closing(self._decoders.run(self._job.decoders, stop)) as messages:
            for message in messages:
                if message is not None:
                    yield from self._heard(message)
                else:
                    yield from self._done_with(self._encoding.settle())
                if time.monotonic() - self._beat >= BEAT_S:
                    yield self._encoded()
                    if self._writer.due:
                        yield self._commit()
                    if has_stalled := self._decoders.has_stalled:
                        break
        yield from self._encode()
        yield from self._done_with(self._encoding.settle())
        yield from self._encode_texts()
        yield self._encoded()
        yield self._commit()
        if has_stalled:
            yield Stalled(self._job.stall_s)

    def _is_known(self, source: str) -> bool:
        if self._job.again:
            return False
        known = self._view()
        return known.has_rows(source) or known.is_removed(source)

    def _heard(self, message: Message) -> Iterator[Report]:
        match message:
            case Begun(work, source):
                if source in self._videos:
                    self._videos[source].is_void = True
                self._videos[source] = Video.begun(work, source, self._sampling, around_of(self._encoder))
            case Seen(source, picture):
                self._encoding.add(self._videos[source], picture)
                if self._encoding.is_full:
                    yield from self._encode()
            case Ended(source):
                yield from self._ended(self._videos[source], message)
            case Unread(work, trouble):
                yield self._troubled(work, "", trouble)
            case Settled(work, source, claim):
                if claim == "mine":
                    self._texts.append(work)
                    if len(self._texts) >= self._job.batch:
                        yield from self._encode_texts()
                else:
                    yield from self._copy(work, source, is_known=claim == "known")

    def _encode(self) -> Iterator[Report]:
        self._cores.leave(self._decoders.busy)
        yield from self._done_with(self._encoding.encode())

    @torch.inference_mode()
    def _vectors(self, texts: Sequence[str]) -> Float32Array:
        self._cores.leave(self._decoders.busy)
        return _on_host(self._encoder.texts(texts))

    def _encode_texts(self) -> Iterator[Report]:
        batch, self._texts = self._texts, []
        if not batch:
            return
        started = time.monotonic()
        texts = [work.text or "" for work in batch]
        vectors = self._vectors(texts)
        self._seconds["encode"] += time.monotonic() - started
        too_long = self._encoder.too_long(texts)
        for work, text, vector, is_cut in zip(batch, texts, vectors, too_long, strict=True):
            source = Source(work.place.stamp, text=text)
            rows: KindRows = {"text": ([Segment(source.id, text=text)], vector[None])}
            report = Report(work.place, "done", source.id, cut=text if is_cut else "")
            yield from self._add(work, source, rows, report)

    # --- what becomes of a place ---------------------------------------------------------------------

    def _ended(self, video: Video, ended: Ended) -> Iterator[Report]:
        video.ended = ended
        if ended.trouble is None:
            self._encoding.close(video)
            return
        source, video.is_void = video.source, True
        del self._videos[source]
        self._troubles[source] = ended.trouble
        self._claims.drop((source,))
        for work in (video.work, *self._copies.pop(source, ())):
            yield self._troubled(work, source, ended.trouble)

    def _done_with(self, videos: Iterable[Video]) -> Iterator[Report]:
        """What becomes of those that have all their rows."""
        for video in videos:
            del self._videos[video.source]
            ended, source = video.ended, video.source
            assert ended is not None
            facts, rows = ended.facts, video.all_rows()
            beside = self._beside(video.work, source)
            own = self._teller.embedded(source, ended.lines)
            captions = self._told(source, video.captions)
            report = self._report(
                beside,
                "done",
                source,
                own,
                seconds=facts.seconds,
                header_s=facts.header_s,
                lost_packets=facts.lost_packets,
                still_points=facts.still_points,
                way=ended.way,
                transfer=facts.transfer,
                captions=captions,
            )
            yield from self._add(beside.work, Source(source), rows, report, (facts, ended.thumbs))

    def _told(self, source: str, captions: Sequence[Line]) -> int:
        started = time.monotonic()
        count = self._teller.captions(source, captions)
        self._seconds["encode"] += time.monotonic() - started
        return count

    def _add(
        self,
        work: Work,
        source: Source,
        rows: KindRows,
        report: Report,
        known: tuple[Facts, Thumbs] | None = None,
    ) -> Iterator[Report]:
        facts, thumbs = known or (Facts(size=len(source.text.encode())), Thumbs())
        with self._claims.lock:
            self._writer.add(
                work.task, source, rows, facts, columns=work.columns, again=self._job.again, thumbs=thumbs
            )
            if self._job.again and self._writer.store.log.last().is_removed(source.id):
                self._writer.restored(source.id, work.task.since)
        self._done.add(source.id)
        added = Counter({kind: len(vectors) for kind, (_, vectors) in rows.items()})
        yield replace(report, rows=added + Counter(report.rows))
        for copy in self._copies.pop(source.id, ()):
            yield self._seen(copy, source.id)

    def _copy(self, work: Work, source: str, *, is_known: bool) -> Iterator[Report]:
        if is_known or source in self._done or self._claims.knows(source):
            yield self._seen(work, source)
        elif source in self._troubles and source not in self._videos:
            yield self._troubled(work, source, self._troubles[source])
        else:
            self._copies.setdefault(source, []).append(work)

    def _seen(self, work: Work, source: str) -> Report:
        beside = self._beside(work, source)
        self._writer.seen(beside.work.task, source, columns=work.columns)
        return self._report(beside, "copy", source)

    def _report(
        self,
        beside: Beside,
        outcome: Outcome,
        source: str,
        own_lines: int = 0,
        captions: int = 0,
        **of_video: Any,
    ) -> Report:
        """With all lines, and as many rows if they have vectors; captions always have."""
        lines = beside.lines + own_lines
        with_vectors = captions + (lines if self._job.embed_lines else 0)
        return Report(
            beside.work.place,
            outcome,
            source,
            rows={"text": with_vectors} if with_vectors else {},
            lines=lines,
            captions=captions,
            sidecars=beside.sidecars,
            is_settled=not beside.is_whole,
            **of_video,
        )

    def _beside(self, work: Work, source: str) -> Beside:
        started = time.monotonic()
        found = self._teller.beside(work, source)
        self._seconds["encode"] += time.monotonic() - started
        return found

    def _troubled(self, work: Work, source: str, trouble: Trouble) -> Report:
        if not trouble.is_final:
            return Report(work.place, "failed", source, error=trouble.error)
        if trouble.why and not work.named:
            self._writer.skipped(work.task, trouble.why)
            return Report(work.place, "skipped", source, error=trouble.why)
        self._writer.failed(work.task, trouble.error, source=source)
        return Report(work.place, "failed", source, error=trouble.error)

    def _encoded(self) -> Encoded:
        pictures, self._encoding.pictures = self._encoding.pictures, 0
        self._beat = time.monotonic()
        return Encoded(pictures)

    def _commit(self) -> Committed:
        started = time.monotonic()
        with self._claims.lock:
            entry = self._writer.commit()
            self._view.forget()
        if not self._job.again:
            self._claims.drop(self._done)
            self._done.clear()
        self._seconds["write"] += time.monotonic() - started
        seconds, self._seconds = self._seconds, {"encode": 0.0, "write": 0.0}
        seconds["encode"] += self._encoding.seconds
        self._encoding.seconds = 0.0
        waited_s, rested_s = self._decoders.waits_s()
        return Committed(entry, waited_s, **seconds, wait_encoder=rested_s)


def _on_host(vectors: Tensor) -> Float32Array:
    found: Float32Array = vectors.to("cpu", torch.float32).numpy()
    return found
