"""Workflows through a whole service, while instances and workers die."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mien.errors import ConsentMissing
from mien.jobs.rows import JobRow
from mien.service.callers import Caller
from mien.service.comfy_steps import submission_of, weights_of
from mien.service.service import Service
from mien.service.tasks import Wish
from mien.testing import FakeComfyUI
from tests.service.comfy_places import Counts, comfy_settings, fakes, make_service, worker

ALL = frozenset({"submit", "read", "admin", "work"})


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def comfy(counts: Counts) -> Iterator[FakeComfyUI]:
    with fakes(1, counts.node()) as (found,):
        yield found


def create(service: Service, workflow: str, seed: str, **data: Any) -> str:
    caller = Caller("", None, ALL)
    return service.gateway.tasks.create(Wish(workflow, data), caller, seed).id


def wait(service: Service, id: str, *wanted: str, seconds: float = 90) -> JobRow:
    deadline = time.monotonic() + seconds
    while True:
        row = service.store.row(id)
        if row.status in wanted or (not wanted and row.has_ended):
            return row
        assert time.monotonic() < deadline, (row.status, row.job.failure)
        time.sleep(0.05)


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def remembered(comfy: FakeComfyUI) -> Any:
    """The history of an instance."""
    return httpx2.get(f"{comfy.url}/history", trust_env=False).json()


def test_a_hundred_tasks_end_once_each_although_an_instance_dies(tmp_path: Path, counts: Counts) -> None:
    with fakes(2, counts.node()) as (dying, lasting):
        settings = comfy_settings(
            tmp_path, dying.url, lasting.url, reconnect_seconds=0.5, fault_seconds=600.0, depth=4
        )
        with make_service(tmp_path, settings) as service:
            service.start("all")
            ids = [
                create(service, "counted", f"{number:026}", key=f"k{number}", color=number)
                for number in range(100)
            ]
            until(lambda: len(counts.begun) >= 25)
            dying.crash()
            rows = [wait(service, id) for id in ids]
            assert {row.status for row in rows} == {"completed"}
            assert len({row.results[0]["asset"] for row in rows}) == 100
            assert set(counts.begun) == {f"k{number}" for number in range(100)}
            # Only what the dead one had can have been begun again.
            assert sum(counts.begun.values()) <= 100 + settings.depth
            states = {found["url"]: found["state"] for found in service.gateway.instances()}
            assert states == {dying.url: "faulty", lasting.url: states[lasting.url]}
            assert states[lasting.url] in ("ready", "busy")
            (fault,) = [found["fault"] for found in service.gateway.instances() if found["fault"]]
            assert "cannot be reached" in fault or "answer" in fault


def test_a_prompt_goes_on_while_its_worker_is_killed_and_is_not_run_again(
    tmp_path: Path, comfy: FakeComfyUI, counts: Counts
) -> None:
    counts.gate.clear()
    times = {"heartbeat_seconds": 0.3, "dead_after_seconds": 2.0}
    settings = comfy_settings(tmp_path, comfy.url)
    with make_service(tmp_path, settings, role="api", **times) as service:
        service.start("api")
        first = worker(tmp_path, [comfy.url], **times)
        id = create(service, "counted", "killed", key="once")
        until(lambda: counts.begun["once"])
        sent = submission_of(service.store.row(id), 0)
        first.kill()
        service.stop(0)
        service.start("all")
        until(lambda: service.store.row(id).fence == 2)
        counts.gate.set()
        row = wait(service, id)
        assert (row.status, counts.begun["once"]) == ("completed", 1)
        assert submission_of(row, 0) == sent


def test_a_worker_that_ends_leaves_the_prompt_to_the_next_one(
    tmp_path: Path, comfy: FakeComfyUI, counts: Counts
) -> None:
    counts.gate.clear()
    settings = comfy_settings(tmp_path, comfy.url)
    with make_service(tmp_path, settings, shutdown_seconds=0) as service:
        service.start("all")
        id = create(service, "counted", "ended", key="once")
        until(lambda: counts.begun["once"])
        assert service.stop(0)
        assert service.store.row(id).status == "queued"
        assert comfy.life.prompts.running is not None
        counts.gate.set()
        service.start("all")
        row = wait(service, id)
        assert (row.status, row.tries, counts.begun["once"]) == ("completed", 1, 1)


def test_a_result_that_could_not_be_stored_is_fetched_again(
    tmp_path: Path, comfy: FakeComfyUI, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.errors import StorageError
    from mien.service import retrying

    monkeypatch.setitem(retrying._PAUSES, StorageError.code, 0.1)
    with make_service(tmp_path, comfy_settings(tmp_path, comfy.url)) as service:
        failures = [StorageError("away"), StorageError("away")]
        store = service.assets.store_file

        def failing(*given: Any, **more: Any) -> Any:
            if failures:
                raise failures.pop()
            return store(*given, **more)

        monkeypatch.setattr(service.assets, "store_file", failing)
        service.start("all")
        row = wait(service, create(service, "counted", "stored", key="once"))
        assert (row.status, row.fence, counts.begun["once"]) == ("completed", 3, 1)
        until(lambda: not remembered(comfy))


def test_memory_is_freed_once_and_then_it_is_a_failure(tmp_path: Path, comfy: FakeComfyUI) -> None:
    with make_service(tmp_path, comfy_settings(tmp_path, comfy.url), max_attempts=1) as service:
        service.start("all")
        comfy.faults.out_of_memory = 1
        assert wait(service, create(service, "stepped", "a")).status == "completed"
        comfy.faults.out_of_memory = 2
        row = wait(service, create(service, "stepped", "b"))
        assert (row.status, row.job.failure and row.job.failure.kind) == ("failed", "out_of_memory")
        failed = wait(service, create(service, "stepped", "c", fail_at=1))
        assert failed.job.failure is not None
        assert failed.job.failure.code == "comfyui_node_failed"
        assert "ProbeSteps (node 2)" in failed.job.failure.message
        # What is over is forgotten, so that a retry begins anew.
        assert submission_of(failed, 0) is None


def test_a_task_that_no_worker_serves_waits_and_the_status_says_so(
    tmp_path: Path, comfy: FakeComfyUI, counts: Counts
) -> None:
    from mien.comfyui import ComfySettings

    with make_service(tmp_path, comfy_settings(tmp_path, comfy.url), role="api") as service:
        service.start("api")
        id = create(service, "counted", "waits", key="a")
        until(lambda: service.gateway.unserved(None))
        assert service.gateway.unserved(None) == [{"environment": "comfyui:comfyui", "waiting": 1}]
        assert service.gateway.unserved("somebody") == []
        with make_service(tmp_path, ComfySettings()) as other:
            other.start("worker")
            time.sleep(1)
            assert service.store.row(id).status == "queued"
            assert len(service.gateway.unserved(None)) == 1
    assert not counts.begun


def test_an_instance_that_is_away_at_first_is_waited_for(
    tmp_path: Path, comfy: FakeComfyUI, counts: Counts
) -> None:
    url = comfy.url
    comfy.crash()
    with make_service(tmp_path, comfy_settings(tmp_path, url, fault_seconds=0.3)) as service:
        service.start("all")
        id = create(service, "counted", "later", key="a")
        until(lambda: service.environments.status()[0].instances[0].state == "faulty")
        comfy.restart()
        assert wait(service, id).status == "completed"
    assert counts.begun["a"] == 1


def test_what_the_policy_refuses_is_kept_nowhere(
    tmp_path: Path, comfy: FakeComfyUI, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.errors import UnsafeInput

    with make_service(tmp_path, comfy_settings(tmp_path, comfy.url)) as service:

        def refuse(*given: Any, **more: Any) -> Any:
            raise UnsafeInput("The result shows sexual content, which the content policy refuses.")

        monkeypatch.setattr(service.engine, "adopt_result", refuse)
        service.start("all")
        row = wait(service, create(service, "counted", "unsafe", key="a"))
        assert (row.status, row.job.failure and row.job.failure.code) == ("failed", "unsafe_input")
        assert (row.results, counts.begun["a"]) == ((), 1)
        assert not remembered(comfy)
        assert not [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]


def test_without_the_consent_that_is_asked_for_nothing_is_taken(tmp_path: Path, comfy: FakeComfyUI) -> None:
    settings = comfy_settings(tmp_path, comfy.url)
    with make_service(tmp_path, settings, require_consent=True) as service:
        with pytest.raises(ConsentMissing):
            create(service, "counted", "a", key="a")
        wish = Wish("counted", {"key": "a"}, consent_ref="form 12")
        service.start("all")
        id = service.gateway.tasks.create(wish, Caller("", None, ALL), "b").id
        assert wait(service, id).status == "completed"


def test_models_are_told_by_their_files() -> None:
    graph = {
        "1": {"inputs": {"ckpt_name": "sd/base.safetensors", "seed": 3}},
        "2": {"inputs": {"lora_name": "a.SAFETENSORS", "model": ["1", 0], "text": "a cat.pth"}},
        "3": {"inputs": {"ckpt_name": "sd/base.safetensors"}},
        "4": {},
    }
    assert weights_of(graph) == ("sd/base.safetensors", "a.SAFETENSORS", "a cat.pth")
