from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.comfyui import ComfySettings
from mien.errors import InputError, OptionError
from mien.service.benchmarks import BenchmarkRequest
from mien.service.callers import Caller
from mien.service.desk import Desk
from mien.service.requests import JobRequest
from mien.service.service import Service
from tests.server.served import face_png
from tests.service.comfy_places import comfy_settings, make_service
from tests.service.test_workflow_calls import URL

ANN, BOB = Caller("ann", "k1"), Caller("bob", "k2")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with make_service(tmp_path, ComfySettings()) as found:
        yield found


@pytest.fixture
def asset(service: Service) -> str:
    return str(service.assets.add_stream([face_png()], "ann", "face.png").id)


def job(*processors: str, target: str) -> JobRequest:
    return JobRequest.model_validate(
        {"steps": [{"processors": [name], "target": target} for name in processors]}
    )


def test_the_face_engine_is_made_when_something_needs_it(service: Service) -> None:
    desk = service.desk
    for part in (desk.measurements, desk.estimator, desk.ahead):
        assert part is not None
    assert "_made_engine" not in vars(service)
    assert desk.checker.processors is service.engine.processors
    assert "_made_engine" in vars(service)


def test_each_part_is_made_once_and_shared(service: Service) -> None:
    desk = service.desk
    for name in (
        "checker",
        "workflow_steps",
        "capabilities",
        "submissions",
        "shelf",
        "looking",
        "drafts",
        "batches",
    ):
        assert getattr(desk, name) is getattr(desk, name), name
    assert desk.looking.checker is desk.submissions.checker is desk.workflow_steps.checker is desk.checker
    assert desk.drafts.submissions is desk.shelf.submissions is desk.submissions
    # The newest preview of a group is the newest of all requests.
    assert desk.looking.newest is service.desk.looking.newest


def test_an_estimate_is_of_all_steps_and_stores_nothing(service: Service, asset: str) -> None:
    desk: Desk = service.desk
    found = desk.estimate(job("inverter", "marker", target=asset), ANN)
    assert len(found["steps"]) == 2
    assert found["seconds"] == pytest.approx(sum(step["seconds"] for step in found["steps"]), abs=0.02)
    assert found["low"] <= found["seconds"] <= found["high"]
    assert service.store.counts() == {}
    single = desk.estimate(job("inverter", target=asset), ANN)
    assert single["seconds"] < found["seconds"]


def test_an_estimate_is_refused_where_the_job_would_be(service: Service, asset: str) -> None:
    with pytest.raises(InputError, match="There is no asset") as caught:
        service.desk.estimate(job("inverter", target=asset), BOB)
    assert [field for field, _ in caught.value.details] == ["steps.0.target"]
    with pytest.raises(OptionError):
        service.desk.estimate(job("none", target=asset), ANN)


def test_a_benchmark_is_a_job_of_its_caller(service: Service) -> None:
    request = BenchmarkRequest(processors=["inverter"], resolutions=["240p", "360p"], cycles=1)
    row = service.desk.benchmark(request, ANN, "a")
    assert (row.id, row.owner, row.kind, len(row.job.steps)) == ("job_a", "ann", "benchmark", 2)
    with pytest.raises(OptionError):
        service.desk.benchmark(BenchmarkRequest(processors=["none"]), ANN, "b")


def test_steps_may_name_workflows_and_all_are_listed(tmp_path: Path) -> None:
    with make_service(tmp_path, comfy_settings(tmp_path, URL)) as service:
        asset = service.assets.add_stream([face_png()], "ann", "face.png").id
        step = {"workflow": {"name": "marked_upscale"}, "target": asset}
        row = service.desk.submissions.submit(JobRequest.model_validate({"steps": [step]}), ANN, "a")
        assert [found.args.get("environment") for found in row.job.steps] == [None, "comfyui:comfyui"]
        listed = service.desk.workflow_list()
        assert service.desk.capabilities.workflows() == listed
        assert "marked_upscale" in {entry["name"] for entry in listed}
