"""``/metrics``: what the server measures of requests, and what the service measures of jobs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


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


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET")
