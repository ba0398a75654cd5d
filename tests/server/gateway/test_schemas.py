from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from mien.server.gateway.schemas import (
    LONGEST_DATA,
    MOST_FILES,
    CompleteTask,
    FaceSwapRequest,
    FailTask,
    FetchedTask,
    Heartbeat,
    OutputData,
    Task,
    TaskCreate,
    TaskPatch,
)
from mien.service.tasks import RESOLUTION

SWAP = {"source_url": "a", "target_url": "b"}
FAIL = {"error": "Odd."}
TASK: dict[str, Any] = {
    "taskId": "job_1", "workflow": "w", "workflow_name": "w", "environment": "comm", "target_port": 8188,
    "params": {}, "status": "PENDING", "created_at": "2026-01-01T00:00:00.000Z",
    "updated_at": "2026-01-01T00:00:00.000Z", "priority": 5,
}  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(st.one_of(st.text(max_size=12), st.from_regex(r"[0-9]{2,5}x[0-9]{2,5}\n?", fullmatch=True)))
def test_a_size_of_a_swap_is_one_of_a_task_too(text: str) -> None:
    taken = True
    try:
        FaceSwapRequest(**SWAP, resolution=text)
    except ValidationError:
        taken = False
    assert taken is bool(RESOLUTION.fullmatch(text))


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (TaskCreate, {"workflow": "w", "task_data": {str(number): 1 for number in range(LONGEST_DATA)}}),
        (TaskCreate, {"workflow": "w", "task_data": {}, "priority": 0}),
        (FaceSwapRequest, SWAP),
        (CompleteTask, {"assets": ["0" * 64] * MOST_FILES, "notices": ["x" * 2000] * 20}),
        (FailTask, {"error": "x" * 1000}),
        (Heartbeat, {"lease_seconds": 5, "progress": {str(number): 1 for number in range(20)}}),
        (Heartbeat, {}),
        (TaskPatch, {"status": "PENDING"}),
        (OutputData, {"url": "u", "urls": ["u"] * MOST_FILES}),
    ],
)
def test_what_is_within_the_limits_is_taken(model: type[BaseModel], body: dict[str, Any]) -> None:
    assert model.model_validate(body)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (TaskCreate, {"workflow": "w", "task_data": {str(number): 1 for number in range(LONGEST_DATA + 1)}}),
        (TaskCreate, {"workflow": "", "task_data": {}}),
        (TaskCreate, {"workflow": "w"}),
        (TaskCreate, {"workflow": "w", "task_data": {}, "environment": "moon"}),
        (TaskCreate, {"workflow": "w", "task_data": {}, "priority": 10}),
        (TaskCreate, {"workflow": "w", "task_data": {}, "priority": -1}),
        (TaskCreate, {"workflow": "w", "task_data": {"prompt": "a\0b"}}),
        (TaskCreate, {"workflow": "w", "task_data": {}, "other": 1}),
        (FaceSwapRequest, {**SWAP, "source_url": ""}),
        (FaceSwapRequest, {**SWAP, "target_url": "x" * 8193}),
        (CompleteTask, {"assets": ["0" * 64] * (MOST_FILES + 1)}),
        (CompleteTask, {"assets": ["0" * 63]}),
        (CompleteTask, {"asset": "G" * 64}),
        (CompleteTask, {"notices": ["x"] * 21}),
        (FailTask, {}),
        (FailTask, {**FAIL, "code": "x" * 101}),
        (Heartbeat, {"lease_seconds": 4}),
        (Heartbeat, {"lease_seconds": 3601}),
        (Heartbeat, {"lease_seconds": float("inf")}),
        (TaskPatch, {"status": "PROCESSING"}),
    ],
)
def test_what_is_outside_them_is_refused(model: type[BaseModel], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(body)


def test_a_task_that_is_lent_is_of_one_stage_unless_it_says_otherwise() -> None:
    lent = {"lease_token": "t", "lease_expires_at": "2026-01-01T00:00:00.000Z"}
    found = FetchedTask.model_validate({**TASK, **lent})
    assert (found.stage, found.stages, found.consent_ref) == (1, 1, None)
    with pytest.raises(ValidationError):
        FetchedTask.model_validate(TASK)
    assert Task.model_validate(TASK).model_dump(mode="json", exclude_none=True) == TASK
