from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.errors import InputError
from mien.jobs.job import JobStep
from mien.jobs.rows import JobRow
from mien.pipeline.progress import Progress
from mien.service.steps import COMFYUI, LOCAL, StepDone, StepTask, environment_of, runner_for
from tests.service.rows import row_with


class Runner:
    """Does nothing; there are several of it."""

    def run(self, task: StepTask) -> StepDone:
        return StepDone((task.output,))


FACES, ANY, OWN = Runner(), Runner(), Runner()
RUNNERS = {LOCAL: FACES, f"{COMFYUI}*": ANY, f"{COMFYUI}fast": OWN}
CALL = {"name": "image_upscale", "parameters": {}}


def row(environment: str = LOCAL) -> JobRow:
    return row_with(environment=environment)


@pytest.mark.parametrize(
    ("environment", "args", "found"),
    [
        (LOCAL, {}, LOCAL),
        (LOCAL, {"environment": "remote"}, "remote"),
        ("comfyui:slow", {}, LOCAL),  # a swap before a graph is done here, whatever the job waits for
        ("comfyui:slow", {"workflow": CALL}, "comfyui:slow"),
        ("comfyui:slow", {"workflow": CALL, "environment": "comfyui:fast"}, "comfyui:fast"),
        ("comfyui:slow", {"workflow": CALL, "environment": ""}, "comfyui:slow"),
        ("comfyui:slow", {"workflow": CALL, "environment": 7}, "comfyui:slow"),
        ("comfyui:slow", {"workflow": None}, LOCAL),
    ],
)
def test_the_environment_of_a_step(environment: str, args: dict[str, Any], found: str) -> None:
    assert environment_of(row(environment), JobStep(args)) == found


@pytest.mark.parametrize(
    ("environment", "runner"),
    [(LOCAL, FACES), ("comfyui:slow", ANY), ("comfyui:", ANY), ("comfyui:fast", OWN)],
)
def test_a_name_of_its_own_comes_before_one_for_all_that_begin_so(environment: str, runner: Runner) -> None:
    step = JobStep({"workflow": CALL, "environment": environment})
    assert runner_for(RUNNERS, row(), step) is runner
    assert runner_for(dict(reversed(RUNNERS.items())), row(), step) is runner


@pytest.mark.parametrize("environment", ["remote", "comfyui", "locally", "*"])
def test_an_environment_that_the_worker_has_not_is_refused(environment: str) -> None:
    with pytest.raises(InputError, match=f"This worker has no environment {environment[0]}") as caught:
        runner_for(RUNNERS, row(), JobStep({"environment": environment}))
    assert environment in str(caught.value)
    assert caught.value.code == "invalid_input"


def test_without_runners_nothing_runs() -> None:
    with pytest.raises(InputError, match="no environment local"):
        runner_for({}, row(), JobStep({}))


def test_a_runner_may_tell_of_all_it_does_where_nobody_listens() -> None:
    tasks = [StepTask(row(), 0, JobStep({}), Path(), Path("out.png"), {}) for _ in range(2)]
    tasks[0].report(Progress("process", 1, 2))
    tasks[0].preview({})
    tasks[0].remember({})
    tasks[0].keep(StepDone((Path("out.png"),)))
    assert not tasks[0].leaving()
    tasks[0].cancel.set()
    assert tasks[0].cancel.is_set
    assert not tasks[1].cancel.is_set  # each has one of its own
