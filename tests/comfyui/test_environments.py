import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mien.comfyui import ComfySettings, Environments, Submission, as_json
from mien.comfyui.sharing import ALL, Fault
from mien.errors import Canceled, OptionError, TimedOut, WorkflowInvalid
from mien.pipeline.progress import Cancel
from mien.testing import FakeComfyUI
from mien.testing.comfyui import Node
from mien.testing.comfyui.nodes import Result
from tests.comfyui.graphs import deaf, empty, node, steps


@contextmanager
def environments(settings: ComfySettings, *fakes: FakeComfyUI, **more: Any) -> Iterator[Environments]:
    values = {"urls": tuple(fake.url for fake in fakes), "probe_seconds": 0.1, **more}
    with Environments(settings.model_copy(update=values)) as found:
        yield found


@pytest.fixture
def two() -> Iterator[tuple[FakeComfyUI, FakeComfyUI]]:
    with FakeComfyUI() as first, FakeComfyUI() as second:
        yield first, second


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def states(found: Environments) -> list[str]:
    return [instance.state for environment in found.status() for instance in environment.instances]


def small(color: int) -> dict[str, Any]:
    return {"1": empty(color), "2": node("SaveImage", images=["1", 0], filename_prefix="x")}


def test_a_hundred_runs_end_once_each_although_an_instance_dies(
    two: tuple[FakeComfyUI, FakeComfyUI], quick: ComfySettings, tmp_path: Path
) -> None:
    dying, lasting = two
    died = threading.Event()

    def die() -> None:
        died.set()
        threading.Thread(target=dying.crash, daemon=True).start()

    dying.when("executed", die, after=15)
    submitted: dict[str, list[Submission]] = {}
    with environments(quick, *two, reconnect_seconds=0.3, fault_seconds=600.0) as found:

        def work(number: int) -> tuple[str, bytes]:
            into = tmp_path / str(number)
            into.mkdir()
            told = submitted.setdefault(str(number), [])
            graph = small(number)
            result = found.run("comfyui", graph, into=into, job_id=f"job-{number}", on_submitted=told.append)
            (output,) = result.outputs
            assert output.path is not None
            assert [output.path] == list(into.iterdir())
            assert result.prompt_id == told[-1].prompt_id
            return result.prompt_id, output.path.read_bytes()

        with ThreadPoolExecutor(16) as pool:
            results = list(pool.map(work, range(100)))
        assert died.is_set()
        assert len({prompt for prompt, _ in results}) == 100
        assert len({data for _, data in results}) == 100
        moved = [told for told in submitted.values() if len({one.url for one in told}) > 1]
        assert moved
        assert all(told[-1].url == lasting.url for told in moved)
        # What a probe counted before the last runs ended is true no longer; the next one tells.
        until(lambda: states(found) == ["faulty", "ready"])
        (status,) = as_json(found.status())
        assert "cannot be reached" in status["instances"][0]["fault"]
        json.dumps(status)
        assert not lasting.life.prompts.history()


def test_no_instance_gets_more_than_it_can_keep_waiting(
    two: tuple[FakeComfyUI, FakeComfyUI], quick: ComfySettings, tmp_path: Path
) -> None:
    deepest = {fake.url: 0 for fake in two}

    def watch() -> None:
        while not ended.wait(0.005):
            for fake in two:
                deepest[fake.url] = max(deepest[fake.url], fake.life.prompts.remaining())

    ended = threading.Event()
    threading.Thread(target=watch, daemon=True).start()
    with environments(quick, *two) as found, ThreadPoolExecutor(10) as pool:
        folders = [tmp_path / str(n) for n in range(10)]
        for folder in folders:
            folder.mkdir()
        runs = [
            pool.submit(found.run, "comfyui", steps(3, 0.02, salt=n), into=folder, job_id=f"j{n}")
            for n, folder in enumerate(folders)
        ]
        assert all(run.result().outputs for run in runs)
    ended.set()
    assert all(1 <= count <= 2 for count in deepest.values())


def test_another_clients_prompts_count(comfy: FakeComfyUI, quick: ComfySettings, tmp_path: Path) -> None:
    import httpx2

    for salt in range(2):
        body = {"prompt": deaf(30.0, salt), "client_id": "other"}
        httpx2.post(comfy.url + "/prompt", json=body, trust_env=False)
    with environments(quick, comfy, start_seconds=0.5) as found:
        until(lambda: states(found) == ["busy"])
        with pytest.raises(TimedOut, match="No instance of the ComfyUI environment comfyui"):
            found.run("comfyui", steps(), into=tmp_path, job_id="job")


def test_a_dead_worker_is_noticed_and_its_prompts_go_elsewhere(
    two: tuple[FakeComfyUI, FakeComfyUI], quick: ComfySettings, tmp_path: Path
) -> None:
    stalled, lasting = two  # of two with as much to do, the first is asked first
    stalled.faults.worker_dead = True
    told: list[Submission] = []
    with environments(quick, *two, stalled_seconds=1.0, fault_seconds=600.0) as found:
        result = found.run("comfyui", steps(), into=tmp_path, job_id="job", on_submitted=told.append)
        assert len(result.outputs) == 1
        assert [one.url for one in told] == [stalled.url, lasting.url]
        faults = {one.url: one.fault for one in found.status()[0].instances}
        assert "none runs; restart that instance" in (faults[stalled.url] or "")
        assert stalled.life.prompts.remaining() == 0


def test_a_faulty_instance_is_tried_again_and_comes_back(
    comfy: FakeComfyUI, quick: ComfySettings, tmp_path: Path
) -> None:
    with environments(quick, comfy, fault_failures=2, fault_seconds=0.3) as found:
        until(lambda: states(found) == ["ready"])
        comfy.crash()
        until(lambda: states(found) == ["faulty"])
        comfy.restart()
        until(lambda: states(found) == ["ready"])
        assert found.run("comfyui", steps(), into=tmp_path, job_id="job").outputs


def test_a_run_waits_for_an_instance_that_is_away(
    comfy: FakeComfyUI, quick: ComfySettings, tmp_path: Path
) -> None:
    with environments(quick, comfy, fault_seconds=0.2) as found, ThreadPoolExecutor(1) as pool:
        comfy.crash()
        run = pool.submit(found.run, "comfyui", steps(), into=tmp_path, job_id="job")
        until(lambda: states(found) == ["faulty"])
        time.sleep(0.3)
        comfy.restart()
        assert run.result(60).outputs
        comfy.crash()
        waiting = pool.submit(found.run, "comfyui", steps(), into=tmp_path, job_id="late", cancel=Cancel())
        until(lambda: states(found) == ["faulty"])
        assert not waiting.done()
        comfy.restart()
        assert waiting.result(60).outputs


def test_a_drained_instance_gets_nothing_new(
    two: tuple[FakeComfyUI, FakeComfyUI], quick: ComfySettings, tmp_path: Path
) -> None:
    with environments(quick, *two) as found:
        found.drain(two[0].url)
        for number in range(3):
            found.run("comfyui", steps(salt=number), into=tmp_path, job_id=f"job-{number}")
        assert states(found)[0] == "draining"
        assert ("POST", "/prompt") not in two[0].requests
        found.drain(two[0].url, False)
        found.drain(two[1].url)
        found.run("comfyui", steps(), into=tmp_path, job_id="job")
        assert ("POST", "/prompt") in two[0].requests
        with pytest.raises(OptionError, match="There is no ComfyUI instance http://nowhere"):
            found.drain("http://nowhere:1")


def test_a_run_is_resumed_where_it_was_submitted(
    two: tuple[FakeComfyUI, FakeComfyUI], quick: ComfySettings, tmp_path: Path
) -> None:
    import httpx2

    other = two[1]
    resume = Submission(other.url, "33333333-3333-4333-8333-333333333333", "mien-dead", 0)
    body = {"prompt": steps(20, 0.05), "prompt_id": resume.prompt_id, "client_id": resume.client_id}
    httpx2.post(other.url + "/prompt", json=body, trust_env=False)
    with environments(quick, *two) as found:
        result = found.run("comfyui", steps(20, 0.05), into=tmp_path, job_id="job", resume=resume)
    assert result.prompt_id == resume.prompt_id
    assert sum(fake.requests.count(("POST", "/prompt")) for fake in two) == 1


def test_cancel_while_waiting_for_a_place(comfy: FakeComfyUI, quick: ComfySettings, tmp_path: Path) -> None:
    with environments(quick, comfy) as found:
        found.drain(comfy.url)
        cancel = Cancel()
        threading.Timer(0.2, cancel.set).start()
        with pytest.raises(Canceled):
            found.run("comfyui", steps(), into=tmp_path, job_id="job", cancel=cancel)


def test_environments_come_from_addresses_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "environments.toml"
    file.write_text(
        '[[environment]]\nname = "upscale"\nurls = ["http://user:secret@gpu:8188/"]\nworkflows = ["image_upscale"]\n'
    )
    settings = ComfySettings(urls=("http://one:8188", "http://two:8188/"), environments_file=file)
    found = Environments(settings)
    assert found.names == ("comfyui", "upscale")
    assert [one.url for one in found.instances("comfyui")] == ["http://one:8188", "http://two:8188"]
    assert found.for_workflow("image_upscale") == "upscale"
    assert found.for_workflow("basic_generation") == "comfyui"
    assert "secret" not in json.dumps(as_json(found.status()))
    assert states(found) == ["unknown"] * 3


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[[environment", "is not a TOML file"),
        ('[[environment]]\nname = "a"\n', "urls"),
        ('[[environment]]\nname = "a"\nurls = ["ftp://x"]\n', "not an address"),
        ('[[environment]]\nname = "comfyui"\nurls = ["http://x"]\n', "two ComfyUI environments comfyui"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, match: str) -> None:
    file = tmp_path / "environments.toml"
    file.write_text(text)
    with pytest.raises(OptionError, match=match):
        Environments(ComfySettings(urls=("http://one",), environments_file=file))


def test_what_there_is_none_of_is_named() -> None:
    found = Environments(ComfySettings())
    with pytest.raises(WorkflowInvalid, match="no ComfyUI environment gpu; there are: none"):
        found.instances("gpu")
    with pytest.raises(WorkflowInvalid, match="No ComfyUI environment runs the workflow x; set COMFYUI_URL"):
        found.for_workflow("x")


def test_a_run_goes_where_its_nodes_are(quick: ComfySettings, tmp_path: Path) -> None:
    extra = Node("Extra", lambda run, image: Result((image,)), {"image": ["IMAGE", {}]}, output=("IMAGE",))
    graph = {
        "1": empty(5),
        "2": node("Extra", image=["1", 0]),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }
    with (
        FakeComfyUI() as plain,
        FakeComfyUI(nodes=[extra]) as able,
        environments(quick, plain, able, fault_seconds=600.0) as found,
    ):
        told: list[Submission] = []
        for number in range(3):
            graph["1"] = empty(number)
            result = found.run("comfyui", graph, into=tmp_path, job_id=f"j{number}", on_submitted=told.append)
            assert result.outputs
        assert [one.url for one in told] == [plain.url, able.url, able.url, able.url]
        (status,) = found.status()
        assert [one.lacks for one in status.instances] == [("Extra",), ()]
        until(lambda: states(found) == ["ready", "ready"])
        # With the able one gone, a run is told what is missing and does not wait for it.
        found.drain(able.url)
        with pytest.raises(WorkflowInvalid, match="node class Extra is not installed"):
            found.run("comfyui", graph, into=tmp_path, job_id="last")


def test_a_run_waits_a_while_for_an_instance_that_is_away_and_may_have_its_nodes(
    quick: ComfySettings, tmp_path: Path
) -> None:
    graph = {"1": empty(5), "2": node("Extra", image=["1", 0])}
    graph["3"] = node("SaveImage", images=["2", 0], filename_prefix="x")
    extra = Node("Extra", lambda run, image: Result((image,)), {"image": ["IMAGE", {}]}, output=("IMAGE",))
    with (
        FakeComfyUI() as plain,
        FakeComfyUI(nodes=[extra]) as able,
        environments(quick, plain, able, fault_seconds=600.0) as found,
        ThreadPoolExecutor(1) as pool,
    ):
        found.hear([Fault(able.url, ALL, "It is away.", 600.0)])
        run = pool.submit(found.run, "comfyui", graph, into=tmp_path, job_id="j")
        until(lambda: found.status()[0].instances[0].lacks == ("Extra",))
        assert not run.done()
        found.hear([])
        assert run.result(60).outputs


def test_a_run_is_refused_when_nobody_comes_back_who_may_have_its_nodes(
    two: tuple[FakeComfyUI, FakeComfyUI], quick: ComfySettings, tmp_path: Path
) -> None:
    graph = {"1": empty(5), "2": node("Extra", image=["1", 0])}
    with environments(quick, *two, fault_seconds=0.2) as found:
        found.hear([Fault(two[1].url, ALL, "It is away.", 600.0)])
        with pytest.raises(WorkflowInvalid, match="node class Extra is not installed"):
            found.run("comfyui", graph, into=tmp_path, job_id="j")


def test_a_run_that_is_too_large_for_one_instance_goes_to_another(
    two: tuple[FakeComfyUI, FakeComfyUI], quick: ComfySettings, tmp_path: Path
) -> None:
    small_one, large_one = two
    small_one.faults.out_of_memory = 2  # the second time after the memory was freed
    with environments(quick, *two) as found:
        told: list[Submission] = []
        graph = {
            "1": empty(5),
            "2": node("ImageInvert", image=["1", 0]),
            "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
        }
        assert found.run("comfyui", graph, into=tmp_path, job_id="j", on_submitted=told.append).outputs
        assert [one.url for one in told] == [small_one.url, small_one.url, large_one.url]
        assert len({one.attempt for one in told}) == 3
        until(lambda: states(found) == ["ready", "ready"])
