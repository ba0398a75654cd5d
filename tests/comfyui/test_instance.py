"""The driver against every fault that the protocol has."""

import base64
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import numpy as np
import pytest
import websockets.sync.client

from mien.comfyui import ComfyInstance, ComfyProgress, ComfyResult, ComfySettings, Upload
from mien.comfyui.follow import Stuck, Unheeded
from mien.errors import (
    Canceled,
    ComfyError,
    ComfyLost,
    ComfyUnreachable,
    NodeFailed,
    OutOfMemory,
    TimedOut,
    WorkflowInvalid,
)
from mien.pipeline.progress import Cancel
from mien.testing import FakeComfyUI, Node
from mien.testing.comfyui import Result
from tests.comfyui.graphs import deaf, empty, node, steps

Run = Callable[..., ComfyResult]


@pytest.fixture
def run(instance: ComfyInstance, into: Path) -> Run:
    def run(graph: Any = None, **more: Any) -> ComfyResult:
        return instance.run(steps() if graph is None else graph, into=into, **{"job_id": "job-1", **more})

    return run


def picture(result: ComfyResult) -> Any:
    (output,) = result.outputs
    return cv2.imread(str(output.path))


def tuned(settings: ComfySettings, **values: Any) -> ComfySettings:
    return settings.model_copy(update=values)


def ran(comfy: FakeComfyUI) -> list[str]:
    return comfy.life.executor.executed


def in_background(work: Callable[[], object]) -> "threading.Thread":
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def cancel_at(comfy: FakeComfyUI, kind: str, after: int = 0) -> Cancel:
    cancel = Cancel()
    comfy.when(kind, cancel.set, after=after)
    return cancel


# A run that goes well.


def test_a_run_gives_a_file_of_the_right_kind_and_colour(run: Run) -> None:
    result = run()
    (output,) = result.outputs
    assert (output.node, output.kind, output.media, output.format) == ("3", "images", "image", "png")
    assert (output.subfolder, output.type) == ("job-1", "output")
    assert picture(result).shape == (48, 64, 3)
    assert tuple(picture(result)[0, 0]) == (8000 & 255, 8000 >> 8, 0)


def test_progress_rises_names_nodes_carries_previews_and_stays_below_one(run: Run) -> None:
    seen: list[ComfyProgress] = []
    run(steps(20, 0.05), on_progress=seen.append)
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares)
    assert len(set(shares)) > 0
    assert shares[-1] < 1
    assert any(progress.node == "ProbeSteps" for progress in seen)
    previews = [progress for progress in seen if progress.preview]
    assert previews
    assert all(progress.preview_type == "image/jpeg" for progress in previews)
    assert all((progress.preview or b"").startswith(b"\xff\xd8") for progress in previews)


def test_uploads_are_named_by_what_the_instance_answers(run: Run, comfy: FakeComfyUI, tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    cv2.imwrite(str(source), np.full((8, 9, 3), 40, np.uint8))
    graph = {
        "1": node("LoadImage", image="to be replaced"),
        "2": node("ImageInvert", image=["1", 0]),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }
    result = run(graph, inputs=[Upload(source, "source.png", (("1", "image"),))])
    assert picture(result).tolist() == np.full((8, 9, 3), 215).tolist()
    assert (comfy.folders.folder("input") / "job-1/source.png").is_file()
    assert graph["1"]["inputs"]["image"] == "to be replaced"


def test_ids_are_told_before_they_are_sent_and_are_fresh(run: Run, comfy: FakeComfyUI) -> None:
    told: list[tuple[str, str, int]] = []

    def on_submitted(prompt_id: str, client_id: str) -> None:
        told.append((prompt_id, client_id, comfy.requests.count(("POST", "/prompt"))))

    run(job_id="a", on_submitted=on_submitted)
    run(job_id="b", on_submitted=on_submitted)
    assert [count for _, _, count in told] == [0, 1]
    assert len({prompt for prompt, _, _ in told}) == len({client for _, client, _ in told}) == 2
    assert all(str(UUID(prompt)) == prompt and client.startswith("mien-") for prompt, client, _ in told)
    assert [client for _, client, _ in told] == comfy.life.sockets.opened


def test_neither_graph_nor_history_stay_behind(run: Run, comfy: FakeComfyUI) -> None:
    result = run()
    assert comfy.life.prompts.history() == {}
    path = result.outputs[0].path
    assert path is not None
    assert b"ProbeSteps" not in path.read_bytes()
    (written,) = comfy.folders.folder("output").rglob("*.png")
    assert b"ProbeSteps" in written.read_bytes()


# The socket is a hint.


def test_success_is_not_the_end_before_the_history_has_it(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.history_delay = 0.6
    assert len(run().outputs) == 1
    assert len(ran(comfy)) == 1


@pytest.mark.parametrize(
    ("kind", "after"), [("execution_start", 0), ("progress", 1), ("execution_success", 0)]
)
def test_a_socket_may_break_at_any_time(run: Run, comfy: FakeComfyUI, kind: str, after: int) -> None:
    comfy.when(kind, comfy.drop_sockets, after=after)
    assert len(run().outputs) == 1
    assert len(ran(comfy)) == 1


def test_a_socket_may_never_open(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.refused_sockets = True
    assert len(run().outputs) == 1


def test_a_socket_is_opened_again_and_brings_progress_again(run: Run, comfy: FakeComfyUI) -> None:
    comfy.when("progress", comfy.drop_sockets)
    cancel = Cancel()

    def enough(progress: ComfyProgress) -> None:
        if len(comfy.life.sockets.opened) == 2 and progress.done > 1 + 3 / 2000:
            cancel.set()

    with pytest.raises(Canceled):
        run(steps(2000, 0.05), on_progress=enough, cancel=cancel)
    assert cancel.is_set
    assert len(set(comfy.life.sockets.opened)) == 1


def test_a_registration_that_an_older_socket_takes_away_does_not_matter(run: Run, comfy: FakeComfyUI) -> None:
    def steal(prompt_id: str, client_id: str) -> None:
        other = websockets.sync.client.connect(
            f"{comfy.url.replace('http', 'ws')}/ws?clientId={client_id}", proxy=None
        )
        with other:
            other.recv(timeout=30)

    assert len(run(on_submitted=steal).outputs) == 1


def test_foreign_doubled_and_unknown_messages_change_nothing(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.foreign_messages = True
    seen: list[ComfyProgress] = []
    assert len(run(on_progress=seen.append).outputs) == 1
    assert all(progress.total == 3 for progress in seen)


def test_messages_may_come_in_another_order(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.shuffled_messages = True
    seen: list[ComfyProgress] = []
    run(on_progress=seen.append)
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_a_socket_that_nobody_reads_stops_messages_and_not_the_run(run: Run, comfy: FakeComfyUI) -> None:
    address = f"{comfy.url.replace('http', 'ws')}/ws?clientId=stalled"
    with websockets.sync.client.connect(address, proxy=None, max_queue=1, max_size=None, close_timeout=0.1):
        until(lambda: comfy.life.sockets.opened)
        noise = base64.b64encode(os.urandom(1 << 20)).decode()  # which compression does not make small
        for _ in range(40):
            comfy.life.sockets.send("noise", {"text": noise}, None)
        seen: list[ComfyProgress] = []
        assert len(run(on_progress=seen.append).outputs) == 1
        assert [progress.done for progress in seen] == [0.0]


# The instance forgets.


def test_a_restart_during_the_run_begins_it_again_under_a_new_id(run: Run, comfy: FakeComfyUI) -> None:
    comfy.when("progress", lambda: in_background(comfy.restart))
    told: list[str] = []
    result = run(steps(15, 0.05), on_submitted=lambda prompt, client: told.append(prompt))
    assert len(told) == 2
    assert result.prompt_id == told[1]
    assert result.attempt == 1
    assert len(result.outputs) == 1


def test_a_prompt_that_vanishes_from_the_queue_is_submitted_again(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.vanishing_prompts = 1
    result = run()
    assert result.attempt == 1
    assert ran(comfy) == [result.prompt_id]


def test_a_history_that_is_cleared_begins_the_run_again(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.forgotten_histories = 1
    assert run().attempt == 1


def test_what_is_lost_every_time_is_given_up(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.vanishing_prompts = 99
    with pytest.raises(ComfyLost, match="does not know the run any more"):
        run()
    assert comfy.requests.count(("POST", "/prompt")) == 3


def test_an_instance_that_ends_for_good_is_given_up(
    comfy: FakeComfyUI, quick: ComfySettings, into: Path
) -> None:
    comfy.when("progress", lambda: in_background(comfy.crash))
    with (
        ComfyInstance(comfy.url, tuned(quick, reconnect_seconds=0.5)) as instance,
        pytest.raises(ComfyUnreachable, match="cannot be reached"),
    ):
        instance.run(steps(30, 0.05), into=into, job_id="job")


def test_an_instance_that_stops_answering_is_given_up(
    comfy: FakeComfyUI, quick: ComfySettings, into: Path
) -> None:
    def fall_silent() -> None:
        comfy.faults.silent = True

    comfy.when("progress", fall_silent)
    settings = tuned(quick, reconnect_seconds=0.3, answer_seconds=0.3)
    with (
        ComfyInstance(comfy.url, settings) as instance,
        pytest.raises(ComfyUnreachable, match="did not answer"),
    ):
        instance.run(steps(5, 0.05), into=into, job_id="job")


def test_a_slow_instance_is_waited_for(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.slow = 0.15
    assert len(run().outputs) == 1


# Submitting.


def test_a_500_on_submission_leads_to_a_look_and_not_to_a_repeat(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.failing_submits = 1
    assert run().attempt == 0
    assert comfy.requests.count(("POST", "/prompt")) == 1
    assert len(ran(comfy)) == 1


def test_a_submission_whose_answer_is_lost_is_found(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.silent_submits = 1
    assert run().attempt == 0
    assert len(ran(comfy)) == 1


def test_a_500_that_queued_nothing_is_submitted_again_under_a_new_id(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.refused_submits = 1
    result = run()
    assert result.attempt == 1
    assert ran(comfy) == [result.prompt_id]


def test_a_graph_that_is_taken_in_part_is_refused_and_removed(run: Run, comfy: FakeComfyUI) -> None:
    graph = steps(400, 0.05) | {"9": node("SaveImage", "Second picture", images=["1", 0])}
    with pytest.raises(WorkflowInvalid, match=r"filename_prefix of Second picture \(node 9\) is missing"):
        run(graph)
    assert comfy.life.prompts.remaining() == 0
    assert comfy.life.prompts.history() == {}


def test_a_refusal_names_node_and_input_and_no_path(run: Run) -> None:
    graph = steps() | {"1": node("EmptyImage", "Canvas", width=0, height=9, batch_size=1, color=0)}
    with pytest.raises(WorkflowInvalid, match=r"width of Canvas \(node 1\) is too small: at least 1"):
        run(graph)
    with pytest.raises(WorkflowInvalid, match="node class Nothing is not installed"):
        run({"1": node("Nothing")})


# Failures.


def test_a_node_that_fails_is_named_and_nothing_private_is_told(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.failing_nodes["ProbeSteps"] = (
        "no such file: '/home/someone/model.ckpt' key sk-verysecret123\nmore"
    )
    graph = steps() | {"7": node("PreviewImage", images=["1", 0])}
    graph["2"]["_meta"] = {"title": "Sampler"}
    with pytest.raises(NodeFailed) as caught:
        run(graph)
    assert str(caught.value).startswith("Sampler (node 2) failed with ValueError: no such file")
    for private in ("someone", "verysecret", "more", "inputs-are-private", "execution.py"):
        assert private not in str(caught.value)
    assert comfy.life.prompts.history() == {}


def test_out_of_memory_frees_the_instance_and_tries_once_more(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.out_of_memory = 1
    assert run().attempt == 1
    assert comfy.life.executor.freed == 1
    comfy.faults.out_of_memory = 9
    with pytest.raises(OutOfMemory, match="ran out of memory in"):
        run(job_id="second")
    assert comfy.faults.out_of_memory == 7


def test_a_branch_that_is_blocked_says_why(run: Run) -> None:
    graph = {
        "1": empty(),
        "2": node("ProbeBlock", image=["1", 0], message="not allowed"),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }
    with pytest.raises(ComfyError, match=r"a node blocked it: .*not allowed"):
        run(graph)
    result = run(graph | {"4": node("SaveImage", images=["1", 0], filename_prefix="y")})
    assert [output.node for output in result.outputs] == ["4"]
    assert "not allowed" in (result.blocked or "")


# Outputs and the cache.


def test_outputs_of_all_kinds_are_told_by_their_content(run: Run) -> None:
    graph = {
        "1": node("EmptyImage", width=64, height=48, batch_size=4, color=1),
        "2": node("SaveImage", images=["1", 0], filename_prefix="x"),
        "3": node("CreateVideo", images=["1", 0], fps=8.0),
        "4": node("SaveVideo", video=["3", 0], filename_prefix="x"),
        "5": node("SaveAnimatedWEBP", images=["1", 0], filename_prefix="x", fps=8.0),
        "6": node("EmptyAudio", duration=0.1, sample_rate=8000),
        "7": node("SaveAudio", audio=["6", 0], filename_prefix="x"),
        "8": node("ProbeText", text="said"),
        "9": node("PreviewImage", images=["1", 0]),
    }
    found: dict[str, list[Any]] = {}
    for output in run(graph).outputs:
        found.setdefault(output.node, []).append(output)
    assert len(found["2"]) == 4
    assert "9" not in found
    assert [(one.media, one.format, one.kind) for one in found["4"]] == [("video", "mp4", "images")]
    assert found["7"][0].media == "audio"
    assert found["5"][0].format == "webp"
    assert found["8"][0].text == "said"
    assert found["8"][0].path is None
    paths = [output.path for outputs in found.values() for output in outputs if output.path]
    assert len(set(paths)) == len(paths)
    assert all(path.stat().st_size for path in paths)


def test_previews_are_results_when_there_is_nothing_else(run: Run) -> None:
    (output,) = run({"1": empty(), "2": node("PreviewImage", images=["1", 0])}).outputs
    assert output.type == "temp"
    assert output.format == "png"


def test_a_run_without_any_result_is_a_failure(quick: ComfySettings, into: Path) -> None:
    sink = Node("Sink", lambda run, image: Result(), {"image": ["IMAGE", {}]}, output_node=True)
    with (
        FakeComfyUI(nodes=[sink]) as comfy,
        ComfyInstance(comfy.url, quick) as instance,
        pytest.raises(ComfyError, match="without any result"),
    ):
        instance.run({"1": empty(), "2": node("Sink", image=["1", 0])}, into=into, job_id="job")


def test_two_jobs_with_the_same_graph_get_files_of_their_own(run: Run, comfy: FakeComfyUI) -> None:
    first, second = run(job_id="first"), run(job_id="second")
    assert [result.outputs[0].subfolder for result in (first, second)] == ["first", "second"]


def test_a_fully_cached_run_gives_its_file_and_one_whose_file_is_gone_is_made_again(
    run: Run, comfy: FakeComfyUI
) -> None:
    run()
    assert run().attempt == 0  # the same job and attempt: cached
    comfy.faults.deleted_outputs = 1
    assert run().attempt == 1


# Cancelling.


def test_cancel_before_anything_is_sent(run: Run, comfy: FakeComfyUI) -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Canceled):
        run(cancel=cancel)
    assert comfy.requests == []


def test_cancel_while_waiting(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.worker_dead = True
    cancel = Cancel()
    with pytest.raises(Canceled):
        run(cancel=cancel, on_submitted=lambda prompt, client: cancel.set())
    assert comfy.life.prompts.remaining() == 0
    assert ran(comfy) == []


@pytest.mark.parametrize(("version"), ["0.3.64", "0.25.0", "0.33.0"])
def test_cancel_while_running_on_servers_old_and_new(quick: ComfySettings, into: Path, version: str) -> None:
    with FakeComfyUI(version=version) as comfy, ComfyInstance(comfy.url, quick) as instance:
        cancel = cancel_at(comfy, "progress", 2)
        with pytest.raises(Canceled):
            instance.run(steps(2000, 0.05), into=into, job_id="job", cancel=cancel)
        until(lambda: comfy.life.prompts.remaining() == 0)


def test_a_cancel_that_is_lost_is_sent_again(run: Run, comfy: FakeComfyUI) -> None:
    comfy.faults.lost_interrupts = 2
    with pytest.raises(Canceled):
        run(steps(2000, 0.05), cancel=cancel_at(comfy, "execution_start"))
    assert comfy.faults.lost_interrupts == 0
    assert comfy.life.prompts.remaining() == 0


def test_a_deaf_node_delays_a_cancel(run: Run, comfy: FakeComfyUI) -> None:
    cancel = cancel_at(comfy, "executing", 1)
    with pytest.raises(Canceled) as caught:
        run(deaf(0.6), cancel=cancel)
    assert not isinstance(caught.value, Unheeded)
    assert comfy.life.prompts.remaining() == 0


def test_a_cancel_in_the_last_node_comes_too_late_and_drops_the_result(run: Run, comfy: FakeComfyUI) -> None:
    cancel = cancel_at(comfy, "executing")
    with pytest.raises(Canceled):
        run({"1": node("ProbeSlowOut", text="x", seconds=0.8)}, cancel=cancel)


def test_an_instance_that_does_not_heed_a_cancel_is_told_from_one_that_does(
    comfy: FakeComfyUI, quick: ComfySettings, into: Path
) -> None:
    with (
        ComfyInstance(comfy.url, tuned(quick, cancel_seconds=0.5)) as instance,
        pytest.raises(Unheeded, match="goes on with it"),
    ):
        instance.run(deaf(20.0), into=into, job_id="job", cancel=cancel_at(comfy, "executing", 1))


def test_a_run_that_somebody_stops_at_the_instance_is_canceled(run: Run, comfy: FakeComfyUI) -> None:
    comfy.when("progress", lambda: comfy.life.executor.interrupt(None))
    with pytest.raises(Canceled, match="stopped at the ComfyUI instance"):
        run(steps(2000, 0.05))


def test_an_error_of_the_caller_stops_the_run(run: Run, comfy: FakeComfyUI) -> None:
    def fail(progress: ComfyProgress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(steps(2000, 0.05), on_progress=fail)
    until(lambda: comfy.life.prompts.remaining() == 0)


# Limits.


def test_time_limits_stop_the_run(comfy: FakeComfyUI, quick: ComfySettings, into: Path) -> None:
    def limited(graph: Any, **limits: float) -> None:
        with ComfyInstance(comfy.url, tuned(quick, **limits)) as instance:
            instance.run(graph, into=into, job_id="job")

    with pytest.raises(TimedOut, match="did not end it within 0 s"):
        limited(steps(2000, 0.05), run_seconds=0.4)
    with pytest.raises(TimedOut, match="made no progress for 0 s"):
        limited(deaf(1.5), idle_seconds=0.4)
    until(lambda: comfy.life.prompts.remaining() == 0)
    comfy.faults.worker_dead = True
    with pytest.raises(TimedOut, match="did not start it within 0 s"):
        limited(steps(), start_seconds=0.4)
    assert comfy.life.prompts.remaining() == 0


def test_what_cannot_be_stopped_after_a_limit_is_the_instances_fault(
    comfy: FakeComfyUI, quick: ComfySettings, into: Path
) -> None:
    settings = tuned(quick, run_seconds=0.3, cancel_seconds=0.3)
    with ComfyInstance(comfy.url, settings) as instance, pytest.raises(Stuck):
        instance.run(deaf(20.0), into=into, job_id="job")


# Going on with what another process submitted.


def submitted(comfy: FakeComfyUI, graph: Any) -> tuple[str, str]:
    """What a worker that died right after submitting leaves behind."""
    import httpx2

    prompt_id, client_id = "11111111-1111-4111-8111-111111111111", "mien-dead"
    body = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id}
    assert httpx2.post(comfy.url + "/prompt", json=body, trust_env=False).status_code == 200
    return prompt_id, client_id


def test_a_run_that_goes_on_is_adopted_and_not_run_twice(run: Run, comfy: FakeComfyUI) -> None:
    graph = steps(15, 0.05)
    resume = submitted(comfy, graph)
    until(lambda: ran(comfy))
    seen: list[ComfyProgress] = []
    result = run(graph, resume=resume, on_progress=seen.append)
    assert result.prompt_id == resume[0]
    assert ran(comfy) == [resume[0]]
    assert seen[-1].done > 1


def test_a_run_that_has_ended_meanwhile_is_adopted(run: Run, comfy: FakeComfyUI) -> None:
    graph = steps()
    resume = submitted(comfy, graph)
    until(lambda: comfy.life.prompts.history())
    assert run(graph, resume=resume).prompt_id == resume[0]
    assert len(ran(comfy)) == 1


def test_the_instance_knows_a_run_until_its_result_is_stored(run: Run, comfy: FakeComfyUI) -> None:
    known: list[bool] = []

    def store(result: ComfyResult) -> None:
        known.append(result.prompt_id in comfy.life.prompts.history())
        assert all(output.path and output.path.is_file() for output in result.outputs)

    def fail(result: ComfyResult) -> None:
        raise ZeroDivisionError

    run(on_result=store)
    assert known == [True]
    assert comfy.life.prompts.history() == {}
    with pytest.raises(ZeroDivisionError):
        run(on_result=fail)
    assert len(comfy.life.prompts.history()) == 1


def test_a_run_that_never_arrived_is_submitted(run: Run, comfy: FakeComfyUI) -> None:
    result = run(resume=("22222222-2222-4222-8222-222222222222", "mien-dead"))
    assert result.attempt == 1
    assert ran(comfy) == [result.prompt_id]


# Old servers, hostile graphs.


@pytest.mark.parametrize("version", ["0.3.64", "0.7.0", "0.24.0", "0.38.1"])
def test_all_versions_are_driven(quick: ComfySettings, into: Path, version: str) -> None:
    with FakeComfyUI(version=version) as comfy, ComfyInstance(comfy.url, quick) as instance:
        comfy.faults.refused_sockets = True
        assert len(instance.run(steps(20, 0.02), into=into, job_id="job").outputs) == 1


def test_a_job_list_that_another_client_broke_does_not_matter(run: Run, comfy: FakeComfyUI) -> None:
    import httpx2

    body = {"prompt": steps(1), "extra_data": {"extra_pnginfo": "text"}, "client_id": "other"}
    httpx2.post(comfy.url + "/prompt", json=body, trust_env=False)
    until(lambda: comfy.life.prompts.history())
    assert httpx2.get(comfy.url + "/api/jobs", trust_env=False).status_code == 500
    comfy.faults.refused_sockets = True
    assert len(run(steps(20, 0.05)).outputs) == 1


@pytest.mark.parametrize(
    "graph",
    [
        {},
        {"nodes": [], "links": []},
        {"1": {"class_type": "SaveImage"}},
        {"1": node("SaveImage", images=["9", 0])},
        {str(number): empty() for number in range(501)},
        {"1": node("EmptyImage", width=16384, height=8, batch_size=1, color=0)},
        {"1": node("EmptyImage", width=8, height=8, batch_size=4096, color=0)},
        {"1": node("ProbeText", text="x" * (1 << 20))},
    ],
)
def test_a_graph_that_would_harm_the_instance_is_not_sent(run: Run, comfy: FakeComfyUI, graph: Any) -> None:
    with pytest.raises(WorkflowInvalid, match="cannot be run"):
        run(json.loads(json.dumps(graph)))
    assert comfy.requests == []
