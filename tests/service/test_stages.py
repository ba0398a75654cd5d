from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import InputError
from mien.jobs.job import Finished, Job, JobStep, now
from mien.jobs.queries import PULL
from mien.service.stages import (
    begins_in,
    can_be_lent,
    due_step,
    inputs_of,
    is_last,
    last_results,
    place_of,
)
from tests.service.rows import row_with

COMM = f"{PULL}comm"
SWAP = {"source_paths": ["asset:a"], "target_path": "asset:b", "processors": ["face_swapper"]}
OPEN = JobStep(SWAP, "queued")
DONE = replace(OPEN, status="completed", finished=Finished("asset:c", ""))
DELIVERED = replace(OPEN, status="completed", delivered=True)
GONE = replace(OPEN, status="completed")
"""Completed, but nothing is left of it."""
FAILED = replace(OPEN, status="failed")


def job(*steps: JobStep) -> Job:
    return Job("job_1", now(), status="queued", steps=steps)


def at(*places: str) -> list[JobStep]:
    return [JobStep({"environment": place} if place else {}) for place in places]


@pytest.mark.parametrize(
    ("steps", "due"),
    [
        ([OPEN], 0),
        ([DONE, OPEN], 1),
        ([OPEN, DONE], 0),
        ([DONE, GONE, DONE], 1),
        ([DELIVERED, FAILED], 1),
        ([DONE, DELIVERED], 1),
    ],
)
def test_the_step_that_is_due_is_the_first_without_a_result(steps: list[JobStep], due: int) -> None:
    assert due_step(job(*steps)) == due


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([OPEN, DONE, DELIVERED, GONE, FAILED]), min_size=1, max_size=6))
def test_doing_what_is_due_reaches_the_end_in_as_many_steps_as_are_open(steps: list[JobStep]) -> None:
    found, times = job(*steps), 0
    open_before = sum(step in (OPEN, GONE, FAILED) for step in steps)
    for times in range(1, open_before + 1):
        index = due_step(found)
        assert found.steps[index] not in (DONE, DELIVERED)
        assert is_last(found, index) == (times == open_before)
        found = found.with_step(index, DONE)
    assert times == open_before
    assert due_step(found) == len(steps) - 1
    assert is_last(found, len(steps) - 1)


def test_a_step_says_itself_where_it_is_done() -> None:
    assert [place_of(step) for step in at("", COMM, "comfyui:a")] == ["local", COMM, "comfyui:a"]
    assert place_of(JobStep({"environment": None})) == "local"
    assert place_of(JobStep({"environment": 3})) == "local"


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ((COMM, ""), COMM),
        (("", COMM), "local"),  # a worker begins, and the job moves on to consumers
        (("remote", COMM), "remote"),
        (("", "comfyui:a"), "usual"),
        (("comfyui:a",), "usual"),
        ((), "usual"),
    ],
)
def test_a_job_waits_where_its_first_step_is_done_if_consumers_do_one(
    places: tuple[str, ...], found: str
) -> None:
    assert begins_in(at(*places), "usual") == found


@pytest.mark.parametrize(
    ("environment", "steps", "lent"),
    [
        ("local", [OPEN], True),
        ("local", [JobStep({**SWAP, "processors": ["face_enhancer"]})], False),
        ("local", [JobStep({**SWAP, "face_swapper_weight": 0.5})], False),
        ("local", [DONE, JobStep({**SWAP, "processors": ["face_enhancer"]})], False),
        ("local", [replace(DONE, args={"processors": ["face_enhancer"]}), OPEN], True),
        (COMM, [JobStep({"workflow": {}})], True),
        ("local", [], True),
    ],
)
def test_consumers_get_what_the_words_of_a_task_can_say(
    environment: str, steps: list[JobStep], lent: bool
) -> None:
    assert can_be_lent(row_with(*steps, environment=environment)) is lent


def record(asset: str, **more: Any) -> dict[str, Any]:
    return {"asset": asset, **more}


def test_the_result_of_a_job_is_what_its_last_step_made_the_main_file_first() -> None:
    """A signature beside a picture comes after it, and what earlier steps made is on the way only."""
    made = [
        record("first.png", step=0),
        record("first.c2pa", step=0),
        record("last.bmp", step=1),
        record("last.bmp.c2pa", step=1),
    ]
    assert [found["asset"] for found in last_results(row_with(results=tuple(made)))] == [
        "last.bmp",
        "last.bmp.c2pa",
    ]
    late = (made[2], made[0], made[3], made[1])  # an earlier step was done again
    assert [found["asset"] for found in last_results(row_with(results=late))] == ["last.bmp", "last.bmp.c2pa"]


def test_records_without_a_step_are_of_the_first() -> None:
    assert last_results(row_with(results=(record("a"), record("b")))) == [record("a"), record("b")]
    assert last_results(row_with(results=())) == []


def test_the_results_can_be_changed_without_changing_the_job() -> None:
    row = row_with(results=(record("a", step=0),))
    last_results(row)[0]["asset"] = "other"
    assert row.results[0]["asset"] == "a"


def test_the_inputs_of_a_step_are_assets_and_results_of_earlier_steps() -> None:
    args = {"source_paths": ["asset:a", "https://example.org/a.png", "step:0"], "target_path": "asset:b"}
    assert inputs_of(job(DONE, JobStep(args)), 1) == {"a", "b", "c"}
    assert inputs_of(job(JobStep({"source_paths": None, "target_path": ""})), 0) == set()


def test_a_step_whose_target_is_yet_to_be_made_has_no_inputs_yet() -> None:
    with pytest.raises(InputError, match="result of step 0, which has none"):
        inputs_of(job(OPEN, JobStep({"target_path": "step:0"})), 1)
