from __future__ import annotations

import builtins
import http.server
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mien.errors import NoFace, OptionError
from mien.service.settings import ServiceSettings
from mien.service.tracing import OFF, Tracing, open_tracing

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

NOWHERE = ServiceSettings(otlp_endpoint="http://127.0.0.1:9")


class Kept(SpanExporter):
    """Keeps spans, also after the end."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def named(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def tracing(kept: Kept) -> Iterator[Tracing]:
    found = open_tracing(NOWHERE, kept)
    yield found
    found.close()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_spans_lie_within_each_other_and_say_what_is_noted(tracing: Tracing, kept: Kept) -> None:
    with tracing.span("job", role="consumer", job_id="job_1", host=None), tracing.span("step") as step:
        step.note(models=("a", "b"), frames=3)
    tracing.close()
    job, inner = kept.named("job"), kept.named("step")
    assert attributes(job) == {"mien.job_id": "job_1"}
    assert attributes(inner) == {"mien.models": ("a", "b"), "mien.frames": 3}
    assert inner.parent is not None
    assert inner.parent.span_id == job.get_span_context().span_id  # type: ignore[union-attr]
    assert job.kind.name == "CONSUMER"
    assert job.resource.attributes["service.name"] == "mien"


def test_what_is_carried_makes_one_trace_of_work_in_two_processes(kept: Kept) -> None:
    here, there = open_tracing(NOWHERE, kept), open_tracing(NOWHERE, kept)
    assert here.carried() is None
    with here.span("request"):
        carried = here.carried()
    with there.span("job", parent=carried):
        pass
    with there.span("other", parent="no traceparent"):
        pass
    here.close()
    there.close()
    request, job, other = (kept.named(name) for name in ("request", "job", "other"))
    assert job.parent is not None
    assert job.parent.span_id == request.get_span_context().span_id  # type: ignore[union-attr]
    assert other.parent is None


def test_a_failure_is_told_by_its_code_and_not_by_its_sentence(tracing: Tracing, kept: Kept) -> None:
    with pytest.raises(NoFace), tracing.span("step"):
        raise NoFace("There is no face in /home/ann/secret.png.")
    tracing.close()
    span = kept.named("step")
    assert attributes(span) == {"error.type": "no_face"}
    assert (span.status.is_ok, span.status.description) == (False, "no_face")
    assert "secret" not in span.to_json()


def test_a_request_is_named_by_its_route(tracing: Tracing, kept: Kept) -> None:
    with tracing.span("GET", role="server") as span:
        span.note_http("GET", "/api/v1/jobs/{id}", 503)
    tracing.close()
    found = kept.named("GET /api/v1/jobs/{id}")
    assert attributes(found) == {
        "http.request.method": "GET",
        "http.route": "/api/v1/jobs/{id}",
        "http.response.status_code": 503,
    }
    assert not found.status.is_ok


def test_without_a_collector_no_package_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_packages(monkeypatch)
    tracing = open_tracing(ServiceSettings())
    assert tracing is OFF
    with tracing.span("job", job_id="job_1") as span:
        span.note(outcome="completed")
        assert tracing.carried() is None


def test_a_collector_without_packages_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_packages(monkeypatch)
    with pytest.raises(OptionError, match=r"MIEN_OTLP_ENDPOINT is set, but .* pip install 'mien\[otel\]'"):
        open_tracing(NOWHERE)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="MIEN_OTLP_ENDPOINT"):
        ServiceSettings.from_environment({"MIEN_OTLP_ENDPOINT": "localhost:4318"})


@pytest.mark.parametrize("ending", ["", "/", "/v1/traces"])
def test_a_collector_gets_the_spans_over_http(ending: str) -> None:
    got: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = ServiceSettings(otlp_endpoint=f"http://127.0.0.1:{server.server_port}{ending}")
        tracing = open_tracing(settings)
        with tracing.span("job", job_id="job_1"):
            pass
        tracing.close()
        server.shutdown()
    ((path, body),) = got
    assert path == "/v1/traces"
    assert b"job_1" in body


def _without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = builtins.__import__

    def find(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return genuine(name, *rest)

    monkeypatch.setattr(builtins, "__import__", find)
