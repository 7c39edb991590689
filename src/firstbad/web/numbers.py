"""Numbers for Prometheus: what this process counts, and what is read from the store when somebody asks."""

import time
from collections.abc import Iterable

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from firstbad.store import Store
from firstbad.store.hooks import Hooks
from firstbad.store.tables import workers

_ALIVE = 60.0  # seconds since a worker's last sign of life


class Numbers:
    """What this process counts, and what is read from the store when somebody asks. No project's name is in it."""

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        names = ["method", "route", "status"]
        self.requests = Counter("firstbad_http_requests", "Requests answered", names, registry=self.registry)
        self.seconds = Histogram(
            "firstbad_http_request_seconds", "Time until an answer began", ["route"], registry=self.registry
        )
        self.registry.register(_StoreNumbers(store))

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self.registry)


class _StoreNumbers(Collector):
    def __init__(self, store: Store) -> None:
        self.store = store

    def collect(self) -> Iterable[Metric]:
        counts = GaugeMetricFamily("firstbad_jobs", "Jobs by where they are", labels=["standing"])
        for standing, number in sorted(self.store.counts().items()):
            counts.add_metric([standing], number)
        yield counts
        alive = GaugeMetricFamily("firstbad_workers", "Workers that gave a sign of life lately", labels=["state"])
        seen = sa.select(workers.c.state, sa.func.count()).where(workers.c.seen > time.time() - _ALIVE)
        query = seen.group_by(workers.c.state)
        for state, number in self.store.database.read(lambda connection: connection.execute(query).all()):
            alive.add_metric([state], number)
        yield alive
        waiting = Hooks(self.store.database).waiting()
        yield GaugeMetricFamily("firstbad_webhook_deliveries_waiting", "Deliveries to be tried (again)", value=waiting)
