"""``/metrics``: what this process measures of requests, and what the database knows of the whole service.

Numbers of the whole service are the same from every process; scrape one of them, or take the maximum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mien.errors import DatabaseUnavailable
from mien.service.counters import SECONDS

if TYPE_CHECKING:
    from mien.service.counters import Count
    from mien.service.service import Service

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET")
_SAID: Final = {
    "jobs_ended": "Jobs that ended, by state.",
    "job_failures": "Jobs that failed, by kind and code of the failure.",
    "policy_refusals": "Jobs that the content policy refused.",
    "jobs_completed_after_retries": "Jobs that were completed by a later attempt than the first.",
    "model_loads": "Model files that were loaded, in all processes.",
    "frames": "Frames that were worked on; rate() of it is frames per second.",
    "job_seconds": "Length of the last attempt of a job.",
    "step_seconds": "Length of a step, by its processors.",
}


class HttpMetrics:
    """Requests by route and status. One for each app, on the app's own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "mien_http_requests_total", "Requests.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "mien_http_request_seconds",
            "Time from the first byte of a request to the last one of its answer.",
            ("route",),
            buckets=BUCKETS,
            registry=registry,
        )

    def seen(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; ``route`` is the template of the path."""
        known = method if method in _METHODS else "other"
        self._count.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class ServiceCollector(Collector):
    """Asks the database when it is asked; without one it says so, and the rest is still told."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        """Nothing: the registry need not look at the database when this is added."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All numbers of the whole service."""
        up = GaugeMetricFamily("mien_database_up", "1 when the database can be used.")
        try:
            found = [*self._queues(), *self._workers(), *self._deliveries(), *self._counts()]
        except DatabaseUnavailable:
            up.add_metric([], 0.0)
            yield up
            return
        up.add_metric([], 1.0)
        yield up
        yield from found

    def _queues(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("mien_jobs", "Jobs, by queue and state.", labels=["queue", "status"])
        oldest = GaugeMetricFamily(
            "mien_queue_oldest_seconds",
            "How long the oldest job of a queue has been waiting.",
            labels=["queue"],
        )
        for item in self._service.system.queues():
            jobs.add_metric([item["queue"], item["status"]], item["count"])
            if "oldest_seconds" in item:
                oldest.add_metric([item["queue"]], item["oldest_seconds"])
        yield jobs
        yield oldest

    def _workers(self) -> Iterator[Metric]:
        live = GaugeMetricFamily("mien_processes", "Processes that live, by role.", labels=["role"])
        executors = self._service.system.executors()
        roles = [executor.role for executor in executors]
        for role in sorted(set(roles)):
            live.add_metric([role], roles.count(role))
        yield live
        memory = GaugeMetricFamily(
            "mien_worker_memory_bytes", "Memory of a worker, as it said last.", labels=["worker"]
        )
        for executor in executors:
            used = executor.info.get("memory", {}).get("process")
            if executor.role != "api" and used is not None:
                memory.add_metric([executor.id], used)
        yield memory

    def _deliveries(self) -> Iterator[Metric]:
        import sqlalchemy as sa

        from mien.db.tables import webhook_deliveries

        status = webhook_deliveries.c.status
        sent = GaugeMetricFamily("mien_webhook_deliveries", "Deliveries, by state.", labels=["status"])
        with self._service.database.read() as connection:
            for name, count in connection.execute(sa.select(status, sa.func.count()).group_by(status)):
                sent.add_metric([name], count)
        yield sent

    def _counts(self) -> Iterator[Metric]:
        counts = self._service.counters.all()
        for name, said in _SAID.items():
            if any(count.name == f"{name}_bucket" for count in counts):
                yield _histogram(name, said, counts)
                continue
            own = [count for count in counts if count.name == name]
            labels = sorted({label for count in own for label in count.labels})
            family = CounterMetricFamily(f"mien_{name}", said, labels=labels)
            for count in own:
                family.add_metric([count.labels.get(label, "") for label in labels], count.value)
            if own:
                yield family


def registry_of(service: Service) -> CollectorRegistry:
    """A registry of its own for one app."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(ServiceCollector(service))
    return registry


def _histogram(name: str, said: str, counts: list[Count]) -> Metric:
    label = next(key for count in counts if count.name == f"{name}_sum" for key in count.labels)
    family = HistogramMetricFamily(f"mien_{name}", said, labels=[label])
    for total in (count for count in counts if count.name == f"{name}_sum"):
        value = total.labels[label]
        own: dict[str, Any] = {
            count.labels["le"]: count.value
            for count in counts
            if count.name == f"{name}_bucket" and count.labels[label] == value
        }
        buckets, sum_so_far = [], 0.0
        for end in (*map(str, SECONDS), "+Inf"):
            sum_so_far += own.get(end, 0.0)
            buckets.append((end, sum_so_far))
        family.add_metric([value], buckets, total.value)
    return family
