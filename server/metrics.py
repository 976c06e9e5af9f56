"""What Prometheus is told. Each server has a registry of its own; workers of one server add up theirs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from core.types import KINDS
from server.library import Offer, ServedLibrary
from server.limits import Slots
from server.searcher import Took
from server.workers import FIGURES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_TEXTS = (1, 2, 4, 8, 16)


class Metrics:
    """Counters that requests move, and gauges read from the library when asked."""

    def __init__(self, library: ServedLibrary, slots: Slots, decoding: Slots) -> None:
        # When each one began: several workers tell none of it, and a single one would as series of their own.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._own = CollectorRegistry()
        self.requests = self._counter("requests", "Requests answered", "method", "route", "status")
        self.seconds = self._histogram("request_seconds", "Seconds a request took", _BUCKETS, "route")
        self.stages = self._histogram("stage_seconds", "Seconds of a search by stage", _BUCKETS, "stage")
        self.in_flight = self._gauge("in_flight", "Requests being answered")
        self.refused = self._counter("refused", "Requests answered with 429")
        self.batch_size = self._histogram("batch_size", "Texts encoded together", _TEXTS)
        self.cache_hits = self._counter("cache_hits", "Texts whose vector was kept")
        self.cache_misses = self._counter("cache_misses", "Texts that had to be encoded, or waited for")
        self._places = self._gauge("places_taken", "Requests worked for, or waiting for a slot or an encoder")
        slots.watch(self._places.inc)
        self._decoding = self._gauge("decoding_places_taken", "Requests decoded for, or waiting for that")
        decoding.watch(self._decoding.inc)
        self._told = CollectorRegistry() if FIGURES in os.environ else self._own
        if FIGURES in os.environ:
            MultiProcessCollector(self._told)  # type: ignore[no-untyped-call]
        self._told.register(_Snapshots(library))

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"cinedex_{name}", what, labels, registry=self._own)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"cinedex_{name}", what, labels, registry=self._own, buckets=buckets)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"cinedex_{name}", what, registry=self._own, multiprocess_mode="livesum")

    def waited(self, seconds: float) -> None:
        """For a free slot."""
        self.stages.labels("wait").observe(seconds)

    def decoded(self, seconds: float) -> None:
        """What a request sent."""
        self.stages.labels("decode").observe(seconds)

    def took(self, took: Took) -> None:
        """By the stages of one search."""
        for stage in ("encode", "search", "look_up"):
            self.stages.labels(stage).observe(getattr(took, stage))

    def batched(self, texts: int) -> None:
        """So many were encoded together."""
        self.batch_size.observe(texts)

    def looked_up(self, is_held: bool) -> None:
        """Whether the cache had a text's vector."""
        (self.cache_hits if is_held else self.cache_misses).inc()

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._told)


class _Snapshots(Collector):
    def __init__(self, library: ServedLibrary) -> None:
        self._library = library

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ("collection", "encoder")
        number = GaugeMetricFamily("cinedex_snapshot_number", "The snapshot served", labels=labels)
        age = GaugeMetricFamily("cinedex_snapshot_age_seconds", "Since it was published", labels=labels)
        rows = GaugeMetricFamily("cinedex_rows", "Live rows served", labels=(*labels, "kind"))
        for offer in self._served():
            seen, names = offer.seen, [offer.collection, offer.encoder]
            if seen.view is None:
                continue
            number.add_metric(names, seen.view.number)
            age.add_metric(names, max(0.0, time.time() - seen.published))
            for kind in KINDS:
                rows.add_metric([*names, kind], seen.view.rows.get(kind, 0))
        yield from (number, age, rows)

    def _served(self) -> Iterator[Offer]:
        return (offer for offers in self._library.offers.values() for offer in offers)
