from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mien.comfyui import ComfySettings
from mien.errors import WorkflowInvalid
from mien.jobs.rows import JobRow
from mien.server.gateway.showing import (
    lent,
    output_data,
    output_url,
    output_urls,
    shown,
    state,
    task,
)
from mien.service.callers import Caller
from mien.service.leases import Lent
from mien.service.service import Service
from mien.service.tasks import Report, Wish
from mien.storage import Chain
from tests.databases import emptied
from tests.server.gateway.clients import PAINT, SWAP
from tests.server.served import face_png
from tests.service.comfy_places import make_service

ANN, ADMIN = Caller("ann"), Caller("admin")
HERE = "http://gateway.example.org:8080"
REQUEST: Any = SimpleNamespace(url=SimpleNamespace(scheme="http", netloc="gateway.example.org:8080"))
OUT = "https://store.example.org/out.png"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with make_service(tmp_path_factory.mktemp("tasks"), ComfySettings(), None) as found:
        yield found


@pytest.fixture
def service(one: Service) -> Service:
    emptied(one.database)
    return one


def create(service: Service, workflow: str, data: dict[str, Any], **more: Any) -> JobRow:
    return service.gateway.tasks.create(Wish(workflow, data, **more), ANN, "x")


def take(service: Service, place: str = "pull:comm") -> Lent:
    found = service.gateway.leases.take([place], "worker", None)
    assert found is not None
    return found


def picture(service: Service, shade: int = 0, owner: str = "ann") -> str:
    return str(service.assets.add_stream([face_png(shade)], owner, f"{shade}.png").id)


def signing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chain, "sign", lambda self, url, seconds: f"https://signed.example.org/{seconds}")


def test_a_graph_comes_with_its_task(service: Service) -> None:
    found = shown(service, create(service, "basic_generation", PAINT), REQUEST)
    data = found["params"]["input_data"]
    assert {name: data[name] for name in PAINT} == PAINT
    assert data["wf_json"]["3"]["inputs"]["seed"] == 7
    assert (data["wf_images"], data["wf_operation"]) == ([], "generated")
    assert (found["status"], found["environment"]) == ("PENDING", "comm")
    assert task(service, service.store.row("job_x"), REQUEST).taskId == "job_x"


def test_a_task_whose_workflow_the_operator_took_away_is_still_there(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = create(service, "basic_generation", PAINT)
    monkeypatch.delitem(service.workflows._found, "basic_generation")
    found = task(service, row, REQUEST)
    assert (found.status, found.workflow, found.params) == (
        "PENDING",
        "basic_generation",
        {"input_data": PAINT},
    )
    with pytest.raises(WorkflowInvalid, match="There is no workflow basic_generation"):
        lent(service, row, REQUEST)


def test_a_swap_is_shown_as_it_was_asked_for(service: Service) -> None:
    asset = picture(service)
    row = create(service, "face_swap", {**SWAP, "target_url": asset})
    assert shown(service, row, REQUEST)["params"] == {"input_data": {**SWAP, "target_url": asset}}


def test_whoever_works_on_a_swap_gets_addresses(service: Service) -> None:
    asset = picture(service)
    row = create(service, "face_swap", {**SWAP, "target_url": asset, "model": "mesh"}, consent_ref="form 12")
    found = lent(service, row, REQUEST)
    assert found["params"]["input_data"] == {
        "source_url": SWAP["source_url"],
        "target_url": f"{HERE}/api/comm/task/job_x/inputs/{asset}",
        "model": "mesh",
    }
    assert (found["consent_ref"], found["stage"], found["stages"]) == ("form 12", 1, 1)


def test_a_storage_that_signs_addresses_is_read_without_the_gateway(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing(service, monkeypatch)
    seconds = service.settings.result_url_seconds
    row = create(service, "face_swap", {**SWAP, "target_url": picture(service)})
    address = lent(service, row, REQUEST)["params"]["input_data"]["target_url"]
    assert address == f"https://signed.example.org/{seconds}"


def test_pictures_of_a_graph_are_told_with_where_they_belong(service: Service) -> None:
    asset = picture(service)
    row = create(service, "image_upscale", {"image_url": asset})
    (image,) = lent(service, row, REQUEST)["params"]["input_data"]["wf_images"]
    address = f"{HERE}/api/comm/task/job_x/inputs/{asset}"
    assert image == {"name": "image", "url": address, "inputs": ["1.image"]}
    # One that has gone meanwhile has no address.
    stranger = replace(row, owner="bob")
    assert lent(service, stranger, REQUEST)["params"]["input_data"]["wf_images"][0]["url"] is None


def test_each_stage_is_lent_in_its_own_words(service: Service) -> None:
    source = picture(service)
    row = create(service, "face_swap_upscale", {"source_url": source, "target_url": source, "scale": 3.0})
    whole = shown(service, row, REQUEST)
    assert (whole["workflow"], whole["environment"]) == ("face_swap_upscale", "comm")
    first = lent(service, row, REQUEST)
    assert (first["workflow"], first["environment"], first["target_port"]) == ("face_swap", "face_swap", 8080)
    assert (first["stage"], first["stages"]) == (1, 2)
    assert set(first["params"]["input_data"]) == {"source_url", "target_url"}
    swapped = picture(service, 1, "admin")
    service.gateway.tasks.complete("job_x", take(service, "local").token, Report((swapped,)), ADMIN)
    second = lent(service, service.store.row("job_x"), REQUEST)
    assert (second["workflow"], second["environment"], second["target_port"]) == (
        "image_upscale",
        "comm",
        8188,
    )
    assert (second["stage"], second["stages"]) == (2, 2)
    data = second["params"]["input_data"]
    assert (data["scale"], data["method"]) == (3.0, "lanczos")
    assert data["wf_images"][0]["url"] == f"{HERE}/api/comm/task/job_x/inputs/{swapped}"
    assert data["wf_json"]["2"]["inputs"]["scale_by"] == 3.0


def test_there_is_no_result_before_the_end(service: Service) -> None:
    row = create(service, "basic_generation", PAINT)
    assert output_urls(service, row, REQUEST) == []
    assert output_url(service, row, REQUEST) is None
    assert output_data(service, row, REQUEST) is None
    assert state(service, row, REQUEST).result is None


def test_a_result_elsewhere_is_where_the_consumer_said(service: Service) -> None:
    create(service, "basic_generation", PAINT)
    row = service.gateway.tasks.complete("job_x", take(service).token, Report(urls=(OUT, f"{OUT}?2")), ADMIN)
    assert output_urls(service, row, REQUEST) == [OUT, f"{OUT}?2"]
    found = state(service, row, REQUEST)
    assert found.result is not None
    assert (found.status, found.result.url, found.result.urls) == ("COMPLETED", OUT, [OUT, f"{OUT}?2"])
    assert found.task.output_data == found.result


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        ({}, HERE),
        ({"root_path": "/mien"}, f"{HERE}/mien"),
        ({"public_url": "https://mien.example.org/"}, "https://mien.example.org"),
    ],
)
def test_a_result_here_is_asked_for_by_its_number(
    service: Service, settings: dict[str, Any], base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(service, "basic_generation", PAINT)
    assets = tuple(picture(service, shade, "admin") for shade in (1, 2))
    row = service.gateway.tasks.complete("job_x", take(service).token, Report(assets), ADMIN)
    changed = service.settings.model_copy(update=settings)
    monkeypatch.setattr(service, "settings", changed)
    expected = [f"{base}/api/v1/jobs/job_x/result?index={number}" for number in (0, 1)]
    assert output_urls(service, row, REQUEST) == expected
    found = output_data(service, row, REQUEST)
    assert found is not None
    assert (found.url, found.urls) == (expected[0], expected)
    signing(service, monkeypatch)
    assert all(url.startswith("https://signed.example.org/") for url in output_urls(service, row, REQUEST))


def test_only_the_last_stage_has_the_result(service: Service) -> None:
    source = picture(service)
    create(service, "face_swap_upscale", {"source_url": source, "target_url": source})
    for place, shade in (("local", 1), ("pull:comm", 2)):
        report = Report((picture(service, shade, "admin"),))
        row = service.gateway.tasks.complete("job_x", take(service, place).token, report, ADMIN)
    assert output_urls(service, row, REQUEST) == [f"{HERE}/api/v1/jobs/job_x/result?index=1"]


def test_the_url_of_a_result_is_that_of_the_picture_not_of_its_signature(
    service: Service, tmp_path: Path
) -> None:
    """Formats without a place for a signature have it in a file beside them."""
    source = picture(service)
    create(service, "face_swap_upscale", {"source_url": source, "target_url": source})
    manifest = tmp_path / "out.bmp.c2pa"
    for place, shade in (("local", 1), ("pull:comm", 2)):
        manifest.write_text(f"manifest of {shade}")
        beside = service.assets.store_file(manifest, "admin", manifest.name, "result").id
        report = Report((picture(service, shade, "admin"), beside))
        row = service.gateway.tasks.complete("job_x", take(service, place).token, report, ADMIN)
    assert [record["name"] for record in row.results] == ["1.png", "out.bmp.c2pa", "2.png", "out.bmp.c2pa"]
    found = state(service, row, REQUEST)
    assert found.result is not None
    urls = [f"{HERE}/api/v1/jobs/job_x/result?index={number}" for number in (2, 3)]
    assert (found.result.url, found.result.urls) == (urls[0], urls)
    assert output_url(service, row, REQUEST) == urls[0]
