from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mien.errors import DatabaseUnavailable
from mien.jobs import states
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import NewJob
from mien.server.metrics import ServiceCollector
from tests.server.services import Served, served


def _samples(made: Served) -> dict[tuple[str, ...], float]:
    text = made.client.get("/metrics").text
    return {
        (sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_jobs_requests_and_processes_are_counted(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        job = states.submit(Job("job_1", now(), steps=(JobStep({}),)))
        made.service.store.insert([NewJob(job)])
        begin = made.service.jobs.executors.begin
        begin("w1", "worker", {"memory": {"process": 5000}})
        begin("a1", "api", {"memory": {"process": 7000}})
        begin("w2", "worker", {})
        made.client.get("/api/v1/usage")
        made.client.get("/api/v1/nowhere")
        found = _samples(made)
    assert found["mien_database_up",] == 1
    assert found["mien_jobs", "queue=undecided", "status=queued"] == 1
    assert found["mien_queue_oldest_seconds", "queue=undecided"] >= 0
    assert found["mien_processes", "role=worker"] == 2
    memory = {key: value for key, value in found.items() if key[0] == "mien_worker_memory_bytes"}
    assert memory == {("mien_worker_memory_bytes", "worker=w1"): 5000}
    assert found["mien_http_requests_total", "method=GET", "route=/api/v1/usage", "status=200"] == 1
    assert found["mien_http_requests_total", "method=GET", "route=other", "status=404"] == 1
    assert found["process_resident_memory_bytes",] > 0


def test_times_are_histograms(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        for seconds in (0.2, 0.2, 7.0):
            made.service.counters.observe("step_seconds", seconds, processors="face_swapper")
        made.service.counters.add("job_failures", kind="no_face", code="no_face")
        found = _samples(made)
    step = ("processors=face_swapper",)
    assert found["mien_step_seconds_bucket", "le=0.1", *step] == 0
    assert found["mien_step_seconds_bucket", "le=0.25", *step] == 2
    assert found["mien_step_seconds_bucket", "le=+Inf", *step] == found["mien_step_seconds_count", *step] == 3
    assert found["mien_step_seconds_sum", *step] == 7.4
    assert found["mien_job_failures_total", "code=no_face", "kind=no_face"] == 1


def test_without_a_database_that_is_what_is_told(tmp_path: Path) -> None:
    with served(tmp_path) as made:

        def away() -> None:
            raise DatabaseUnavailable("The database is away.")

        made.service.system.queues = away  # type: ignore[assignment]
        metrics = list(ServiceCollector(made.service).collect())
    assert [(metric.name, metric.samples[0].value) for metric in metrics] == [("mien_database_up", 0.0)]


def test_numbers_are_for_those_who_may_read(tmp_path: Path) -> None:
    with served(tmp_path, auth="on") as made:
        assert made.client.get("/metrics").status_code == 401
        token = made.service.keys.create("scraper", ["read"]).token
        assert made.client.get("/metrics", headers={"X-Api-Key": token}).status_code == 200


def test_models_that_were_loaded_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as made:
        assert not any(key[0] == "mien_model_loads_total" for key in _samples(made))
        runtime = made.service.engine.runtime
        model = tmp_path / "eyes.onnx"
        model.write_bytes(b"model")
        monkeypatch.setattr(
            runtime, "_open", lambda path, options: SimpleNamespace(inputs=(), outputs=(), runs=0)
        )
        for _ in range(2):
            runtime.load(model)
        runtime.release()
        runtime.load(model)
        made.service._count()
        assert _samples(made)["mien_model_loads_total", "model=eyes"] == 2
