"""Traces: what happened within a request and the jobs that it began, as spans for an OpenTelemetry collector.

The only place that knows the packages of OpenTelemetry. Without an address of a collector nothing of them is
imported, and a span is one shared object that does nothing. Nothing is global: each service has its own provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mien.errors import MienError, OptionError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as OtelSpan

    from mien.service.settings import ServiceSettings

Role: TypeAlias = Literal["internal", "server", "client", "consumer"]
Value: TypeAlias = "str | bool | int | float | tuple[str, ...] | None"

PARENT: Final = "traceparent"
"""Header of a request, and where a job's ``request`` keeps the span of the request that it came with."""
PATH: Final = "/v1/traces"
"""Below the address of a collector."""
PATIENCE: Final = 5.0
"""Seconds for which a collector is waited for; also at the end of the process."""


class Span:
    """What lasts from the beginning of a ``with`` block to its end. This one is told to nobody."""

    def note(self, **values: Value) -> None:
        """Add what is known only now; ``job_id=…`` is the attribute ``mien.job_id``. None is left out."""

    def note_http(self, method: str, route: str, status: int) -> None:
        """Add the answer to a request."""


class Tracing:
    """Traces nothing."""

    is_on = False

    def span(
        self, name: str, *, parent: str | None = None, role: Role = "internal", **values: Value
    ) -> AbstractContextManager[Span]:
        """A span, within the one that is open in this thread or task.

        ``parent`` is a ``traceparent`` of elsewhere, in whose place it goes; one that is none is ignored. What is
        raised in the block is noted as its failure, by its code.
        """
        return _NOTHING

    def carried(self) -> str | None:
        """The ``traceparent`` of the span that is open, for work that others do later; None when none is."""
        return None

    def close(self) -> None:
        """Send what has not been sent yet, for a few seconds at most."""


class _Nothing(AbstractContextManager[Span]):
    _span = Span()

    def __enter__(self) -> Span:
        return self._span

    def __exit__(self, *error: object) -> None:
        return None


_NOTHING: Final = _Nothing()
OFF: Final = Tracing()


class _OpenSpan(Span):
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def note(self, **values: Value) -> None:
        self._span.set_attributes(_named(values))

    def note_http(self, method: str, route: str, status: int) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.request.method", method)
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))

    def fail(self, error: BaseException) -> None:
        """Note what was raised, without its sentence, which may name people's files."""
        from opentelemetry.trace import Status, StatusCode

        code = error.code if isinstance(error, MienError) else type(error).__name__
        self._span.set_attribute("error.type", code)
        self._span.set_status(Status(StatusCode.ERROR, code))


class Traces(Tracing):
    """Traces to an exporter."""

    is_on = True

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        from mien._version import __version__

        self._provider = provider
        self._tracer = provider.get_tracer("mien", __version__)
        self._words = TraceContextTextMapPropagator()

    def span(
        self, name: str, *, parent: str | None = None, role: Role = "internal", **values: Value
    ) -> AbstractContextManager[Span]:
        """A span that is exported when its block ends."""
        return self._open(name, parent, role, values)

    def carried(self) -> str | None:
        """The ``traceparent`` of the span that is open."""
        found: dict[str, str] = {}
        self._words.inject(found)
        return found.get(PARENT)

    def close(self) -> None:
        """Send what has not been sent yet."""
        self._provider.shutdown()

    @contextmanager
    def _open(self, name: str, parent: str | None, role: Role, values: Mapping[str, Value]) -> Iterator[Span]:
        from opentelemetry.trace import SpanKind

        with self._tracer.start_as_current_span(
            name,
            context=self._words.extract({PARENT: parent}) if parent else None,
            kind=SpanKind[role.upper()],
            attributes=_named(values),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            opened = _OpenSpan(span)
            try:
                yield opened
            except BaseException as error:
                opened.fail(error)
                raise


def open_tracing(settings: ServiceSettings, exporter: SpanExporter | None = None) -> Tracing:
    """The traces that settings ask for; ``exporter`` stands in for the collector.

    Headers for the collector and the share of traces that are kept come from the ``OTEL_…`` variables of
    OpenTelemetry. Raises OptionError when there is an address of a collector, and no packages to speak to it.
    """
    if settings.otlp_endpoint is None:
        return OFF
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = exporter or _exporter(settings.otlp_endpoint)
    except ImportError:
        raise OptionError(
            "MIEN_OTLP_ENDPOINT is set, but the packages that send traces are not installed: "
            "run pip install 'mien[otel]', or unset it."
        ) from None
    from mien._version import __version__

    about = {"service.name": "mien", "service.version": __version__, "mien.role": settings.role}
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider)


def _exporter(endpoint: str) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    endpoint = endpoint.rstrip("/")
    return OTLPSpanExporter(endpoint if endpoint.endswith(PATH) else endpoint + PATH, timeout=PATIENCE)


def _named(values: Mapping[str, Value]) -> dict[str, Any]:
    return {f"mien.{name}": value for name, value in values.items() if value is not None}
