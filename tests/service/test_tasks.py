from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.comfyui import ComfySettings
from mien.errors import (
    AssetMissing,
    ConsentMissing,
    InputError,
    JobBusy,
    JobError,
    JobMissing,
    MienError,
    OptionError,
    UnsafeInput,
)
from mien.jobs import states
from mien.jobs.rows import JobRow, NewJob
from mien.service.callers import Caller
from mien.service.leases import Lent
from mien.service.service import Service
from mien.service.tasks import (
    COMM,
    FACE_SWAP,
    RESOLUTION,
    SERVED,
    Report,
    Tasks,
    Wish,
    environment_of,
    port_of,
    status_of,
    view,
)
from tests.databases import emptied
from tests.jobs.test_database import new
from tests.server.served import face_png
from tests.service.comfy_places import make_service

ANN, ADMIN = Caller("ann"), Caller("admin")
SWAP = {"source_url": "https://example.org/a.png", "target_url": "https://example.org/b.png"}
PAINT = {"prompt": "a cat", "resolution": "64x96", "seed": 7}
OUT = "https://store.example.org/out.png"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with make_service(tmp_path_factory.mktemp("tasks"), ComfySettings(), None) as service:
        yield service


@pytest.fixture
def real(one: Service) -> Service:
    """A service whose processors are the real ones, and whose workflows are done by consumers."""
    emptied(one.database)
    return one


@pytest.fixture
def tasks(real: Service) -> Tasks:
    return real.gateway.tasks


def paint(tasks: Tasks, seed: str = "x", **more: Any) -> JobRow:
    return tasks.create(Wish("basic_generation", PAINT, **more), ANN, seed)


def take(tasks: Tasks, *places: str) -> Lent:
    lent = tasks.leases.take(places or SERVED[COMM], "worker", None)
    assert lent is not None
    return lent


def wrong_with(tasks: Tasks, wish: Wish) -> tuple[set[str], str]:
    with pytest.raises(MienError) as caught:
        tasks.create(wish, ANN, "x")
    return {field for field, _ in caught.value.details}, str(caught.value)


def test_a_task_is_a_job_that_waits_for_who_does_it(tasks: Tasks) -> None:
    row = paint(tasks, priority=2, consent_ref="form 12")
    assert (row.id, row.owner, row.workflow, row.environment) == (
        "job_x",
        "ann",
        "basic_generation",
        SERVED[COMM][0],
    )
    assert (row.priority, row.request["task_data"], row.request["consent_ref"]) == (2, PAINT, "form 12")
    assert (environment_of(row), status_of(row)) == (COMM, "PENDING")
    swap = tasks.create(Wish(FACE_SWAP, {**SWAP, "resolution": "640x480", "model": None}), ANN, "y")
    assert (swap.environment, environment_of(swap)) == ("local", FACE_SWAP)
    assert swap.job.steps[0].args["resolution"] == "640x480"
    assert tasks.queue_length("ann") == 2
    assert tasks.queue_length("bob") == 0


def test_given_twice_with_one_seed_it_is_one_task(tasks: Tasks) -> None:
    assert paint(tasks).seq == paint(tasks).seq
    assert tasks.queue_length(None) == 1


def test_swaps_go_to_the_other_engine_where_it_can_do_them(tasks: Tasks) -> None:
    remote = replace(tasks, remote=True)
    assert remote.create(Wish(FACE_SWAP, SWAP), ANN, "x").job.steps[0].args["environment"] == "remote"
    assert "environment" not in tasks.create(Wish(FACE_SWAP, SWAP), ANN, "y").job.steps[0].args
    assert paint(remote, "z").environment == SERVED[COMM][0]


@pytest.mark.parametrize(
    ("wish", "fields", "said"),
    [
        (Wish(FACE_SWAP, {}), {"task_data.source_url", "task_data.target_url"}, "A face swap needs source_url."),
        (Wish(FACE_SWAP, {**SWAP, "extra": 1}), {"task_data.extra"}, "A face swap has no extra."),
        (Wish(FACE_SWAP, {**SWAP, "resolution": 640}), {"task_data.resolution"}, "WIDTHxHEIGHT"),
        (Wish(FACE_SWAP, {**SWAP, "source_url": "nobody"}), {"task_data.source_url"}, "neither the id of an asset"),
        (Wish(FACE_SWAP, {**SWAP, "target_url": "https://[::1]/x"}), {"task_data.target_url"}, ""),
        (Wish("image_upscale", {"image_url": "https://127.0.0.1/x"}), {"task_data.image_url"}, ""),
        (Wish("basic_generation", {"prompt": "a", "resolution": "1x1"}), {"task_data.resolution"}, ""),
        (Wish("basic_generation", PAINT, FACE_SWAP), {"environment"},
         "The workflow basic_generation runs in comm, not in face_swap; auto chooses."),
        (Wish(FACE_SWAP, SWAP, COMM), {"environment"}, "runs in face_swap, not in comm"),
        (Wish("none", {}), {"workflow"}, "There is no workflow none"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_the_words_of_the_client(
    tasks: Tasks, wish: Wish, fields: set[str], said: str
) -> None:
    found, sentence = wrong_with(tasks, wish)
    assert found == fields
    assert said in sentence
    assert tasks.queue_length(None) == 0


def test_the_environment_that_is_the_workflows_own_may_be_named(tasks: Tasks) -> None:
    assert paint(tasks, environment=COMM).workflow == "basic_generation"
    assert tasks.create(Wish(FACE_SWAP, SWAP, FACE_SWAP), ANN, "y").workflow == FACE_SWAP


def test_a_consent_is_asked_for_as_of_all_jobs(tmp_path: Path) -> None:
    with make_service(tmp_path, ComfySettings(), None, require_consent=True) as strict:
        for wish in (Wish(FACE_SWAP, SWAP), Wish("basic_generation", PAINT)):
            with pytest.raises(ConsentMissing):
                strict.gateway.tasks.create(wish, ANN, "x")
            assert strict.gateway.tasks.create(replace(wish, consent_ref="form"), ANN, f"y{wish.workflow}")


@settings(deadline=None, max_examples=40)
@given(st.from_regex(r"\A[0-9x]{0,11}\Z"))
def test_a_resolution_has_two_sides_of_three_or_four_digits(text: str) -> None:
    sides = text.split("x")
    right = len(sides) == 2 and all(len(side) in (3, 4) for side in sides)
    assert bool(RESOLUTION.fullmatch(text)) is right


def test_only_tasks_are_tasks_and_only_ones_own(tasks: Tasks, real: Service) -> None:
    real.store.insert([new("plain", owner="ann")])
    paint(tasks)
    assert tasks.get("job_x", "ann").id == tasks.get("job_x", None).id
    for id, owner in (("plain", "ann"), ("job_x", "bob"), ("none", None)):
        with pytest.raises(JobMissing):
            tasks.get(id, owner)


def test_addresses_are_the_result_each_once(tasks: Tasks) -> None:
    paint(tasks)
    lent = take(tasks)
    report = Report(urls=(OUT, f"{OUT}?2"), notices=("small",))
    row = tasks.complete(lent.row.id, lent.token, report, ADMIN)
    assert (row.status, row.external["output_url"], row.external["output_urls"]) == (
        "completed", OUT, [OUT, f"{OUT}?2"],
    )  # fmt: skip
    # After a lost answer, whatever is said then.
    again = tasks.complete(lent.row.id, lent.token, Report(urls=("https://127.0.0.1/",)), ADMIN)
    assert again.external["output_url"] == OUT


def test_assets_become_the_owners(tasks: Tasks, real: Service) -> None:
    paint(tasks)
    lent = take(tasks)
    asset = real.assets.add_stream([face_png(1)], "admin", "out.png")
    row = tasks.complete(lent.row.id, lent.token, Report((asset.id,), notices=("small",)), ADMIN)
    (record,) = row.results
    assert (record["asset"], record["step"], record["index"], record["notices"]) == (
        asset.id,
        0,
        0,
        ["small"],
    )
    assert (record["width"], record["height"], record["kind"]) == (32, 24, "image")
    assert real.assets.get(asset.id, "ann").name == "out.png"


def test_a_report_with_somebody_elses_file_gives_nothing_away_and_keeps_the_lease(
    tasks: Tasks, real: Service
) -> None:
    paint(tasks)
    lent = take(tasks)
    own, theirs = (
        real.assets.add_stream([face_png(shade)], owner, "out.png").id
        for shade, owner in ((1, "admin"), (2, "bob"))
    )
    for files in ((theirs,), (own, theirs)):
        with pytest.raises(AssetMissing):
            tasks.complete(lent.row.id, lent.token, Report(files), ADMIN)
        for id in (own, theirs):
            with pytest.raises(AssetMissing):
                real.assets.get(id, "ann")
    assert status_of(tasks.get(lent.row.id, None)) == "FETCHED"
    assert tasks.complete(lent.row.id, lent.token, Report((own,)), ADMIN).status == "completed"


def test_who_has_lost_the_lease_gives_nothing_to_the_owner(tasks: Tasks, real: Service) -> None:
    paint(tasks)
    lent = take(tasks)
    tasks.set_status(lent.row.id, "FAILED", ADMIN)
    own = real.assets.add_stream([face_png(1)], "admin", "out.png").id
    with pytest.raises(JobBusy):
        tasks.complete(lent.row.id, lent.token, Report((own,)), ADMIN)
    with pytest.raises(AssetMissing):
        real.assets.get(own, "ann")


@pytest.mark.parametrize(
    ("report", "error"),
    [
        (Report(("0" * 64,)), AssetMissing),
        (Report(urls=("https://10.0.0.1/x",)), UnsafeInput),
        (Report(urls=("a" * 64,)), InputError),
        (Report(urls=("nowhere",)), InputError),
    ],
)
def test_a_report_that_cannot_be_ends_nothing(tasks: Tasks, report: Report, error: type[MienError]) -> None:
    paint(tasks)
    lent = take(tasks)
    with pytest.raises(error):
        tasks.complete(lent.row.id, lent.token, report, ADMIN)
    assert status_of(tasks.get(lent.row.id, None)) == "FETCHED"
    with pytest.raises(JobBusy):
        tasks.complete(lent.row.id, "another", Report(urls=(OUT,)), ADMIN)


def test_the_stages_of_a_task_need_assets_between_them(tasks: Tasks, real: Service) -> None:
    source, target = (real.assets.add_stream([face_png(shade)], "ann", "a.png").id for shade in (1, 2))
    data = {"source_url": source, "target_url": target}
    row = tasks.create(Wish("face_swap_upscale", data), ANN, "x")
    assert (row.environment, environment_of(row)) == ("local", COMM)
    lent = take(tasks, "local")
    with pytest.raises(OptionError, match="The next stage of this task works on this result"):
        tasks.complete(row.id, lent.token, Report(urls=(OUT,)), ADMIN)
    assert tasks.lent_input(row.id, lent.token, source).id == source
    with pytest.raises(AssetMissing, match="has no input"):
        tasks.lent_input(row.id, lent.token, "0" * 64)
    swapped = real.assets.add_stream([face_png(3)], "admin", "swapped.png")
    assert tasks.complete(row.id, lent.token, Report((swapped.id,)), ADMIN).status == "queued"
    second = take(tasks)
    # The second stage needs what the first one made, and nothing else.
    assert tasks.lent_input(row.id, second.token, swapped.id).owner == "ann"
    with pytest.raises(AssetMissing):
        tasks.lent_input(row.id, second.token, source)
    with pytest.raises(JobBusy):
        tasks.lent_input(row.id, lent.token, source)
    assert tasks.complete(row.id, second.token, Report(urls=(OUT,)), ADMIN).status == "completed"


def test_states_that_are_set_by_hand_take_the_task_from_its_worker(tasks: Tasks) -> None:
    paint(tasks)
    lent = take(tasks)
    assert tasks.set_status("job_x", "FAILED", ADMIN).status == "failed"
    with pytest.raises(JobBusy):
        tasks.complete("job_x", lent.token, Report(urls=(OUT,)), ADMIN)
    with pytest.raises(JobError, match="has ended already"):
        tasks.set_status("job_x", "COMPLETED", ADMIN, OUT)
    assert tasks.set_status("job_x", "PENDING", ADMIN).status == "queued"
    with pytest.raises(OptionError, match=r"output_data\.url"):
        tasks.set_status("job_x", "COMPLETED", ADMIN)
    with pytest.raises(UnsafeInput):
        tasks.set_status("job_x", "COMPLETED", ADMIN, "https://127.0.0.1/x")
    with pytest.raises(OptionError, match="'FETCHED' is no state"):
        tasks.set_status("job_x", "FETCHED", ADMIN)
    done = tasks.set_status("job_x", "COMPLETED", ADMIN, OUT)
    assert (done.status, done.owner, done.external["output_url"]) == ("completed", "ann", OUT)
    paint(tasks, "y")
    assert tasks.set_status("job_y", "CANCELLED", ADMIN).status == "canceled"
    with pytest.raises(JobMissing):
        tasks.set_status("none", "FAILED", ADMIN)


def test_all_tasks_are_cleared_and_jobs_are_left_alone(tasks: Tasks, real: Service) -> None:
    for seed in ("x", "y", "z"):
        paint(tasks, seed)
    lent = take(tasks)
    tasks.complete(lent.row.id, lent.token, Report(urls=(OUT,)), ADMIN)
    real.store.insert([new("plain")])
    assert tasks.clear(ADMIN) == (2, 1)
    assert real.store.row("plain").status == "queued"
    assert tasks.clear(ADMIN) == (0, 2)


def test_what_runs_in_comfyui_is_stopped_and_nothing_else(tasks: Tasks, real: Service) -> None:
    tasks.create(Wish(FACE_SWAP, SWAP), ANN, "swap")
    for seed in ("x", "waiting"):
        paint(tasks, seed)
    for id in ("job_swap", "job_x"):
        real.store.change(id, lambda job: states.begin(job, "worker"))
    assert tasks.cancel_running_workflows(ADMIN) == ["job_x"]
    asked = [id for id in ("job_swap", "job_x", "job_waiting") if real.store.row(id).cancel_requested]
    assert asked == ["job_x"]


def test_a_task_is_shown_without_what_there_is_not(tasks: Tasks, real: Service) -> None:
    row = paint(tasks)
    ports = {FACE_SWAP: 80, COMM: 8188}
    shown = view(row, lambda row: pytest.fail("it has no result yet"), ports, {"wf_json": {}})
    assert shown["params"] == {"input_data": {**PAINT, "wf_json": {}}}
    assert (shown["environment"], shown["target_port"], shown["status"]) == (COMM, 8188, "PENDING")
    assert not {"output_data", "error"} & set(shown)
    lent = take(tasks)
    done = tasks.complete(row.id, lent.token, Report(urls=(OUT,)), ADMIN)
    assert view(done, lambda row: [OUT], ports, {})["output_data"] == {"url": OUT}
    assert view(done, lambda row: [OUT, "b"], ports, {})["output_data"] == {"url": OUT, "urls": [OUT, "b"]}
    assert "output_data" not in view(done, lambda row: [], ports, {})
    paint(tasks, "y")
    failed = tasks.set_status("job_y", "FAILED", ADMIN)
    assert view(failed, lambda row: [], ports, {})["error"] == "The task was set to this state by hand."


def test_the_states_of_a_task_are_those_of_its_job(real: Service) -> None:
    draft = replace(new("x").job, status="drafted")
    assert status_of(real.store.insert([NewJob(draft)])[0]) == "PENDING"
    row = real.store.change("x", states.submit)
    assert status_of(row) == "PENDING"
    row = real.store.change("x", lambda job: states.begin(job, "worker"))
    assert status_of(row) == "PROCESSING"
    assert status_of(replace(row, lease_until=1.0)) == "FETCHED"
    assert status_of(replace(row, lease_until=1.0, progress={})) == "PROCESSING"
    ends = {"completed": "COMPLETED", "failed": "FAILED", "canceled": "CANCELLED"}
    assert {status: status_of(replace(row, status=status)) for status in ends} == ends  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://host:8001/x", 8001),
        ("http://host/x", 80),
        ("https://host", 443),
        ("https://[::1]:7/", 7),
        ("host", 5),
    ],
)
def test_an_address_has_a_port(url: str, port: int) -> None:
    assert port_of(url, 5) == port
