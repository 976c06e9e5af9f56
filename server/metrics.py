"""What Prometheus is told. Each server has a registry of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from core.types import KINDS
from server.library import Offer, ServedLibrary
from server.searcher import Took

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters that requests move, and gauges read from the library when asked."""

    def __init__(self, library: ServedLibrary) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "cinedex_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "cinedex_request_seconds",
            "Seconds a request took",
            ("route",),
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.stages = Histogram(
            "cinedex_stage_seconds",
            "Seconds of a search by stage",
            ("stage",),
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.in_flight = Gauge("cinedex_in_flight", "Requests being answered", registry=self.registry)
        self.refused = Counter("cinedex_refused", "Requests answered with 429", registry=self.registry)
        self.registry.register(_Snapshots(library))

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

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


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
