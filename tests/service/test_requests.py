from __future__ import annotations

import pytest
from pydantic import ValidationError

from mien.service.requests import JobRequest, StepRequest


def test_a_body_of_one_step_is_a_job_of_that_step() -> None:
    said = JobRequest.model_validate({"target": "a", "options": {"x": 1}, "priority": 2})
    assert said.steps == [StepRequest(target="a", options={"x": 1})]
    assert said.priority == 2


@pytest.mark.parametrize(
    "body",
    [
        {"steps": [], "target": "a"},
        {"tarket": "a"},
        {"target": "a\0"},
        {"target": "a", "metadata": {"a": {"b": ["\udc00"]}}},
        {"target": "a", "metadata": {"a": float("nan")}},
        {"target": "a", "metadata": {"a": "x" * 4096}},
        {"target": "a", "options": {"x": float("inf")}},
        {"target": "a", "priority": 10},
        {"target": "a", "resolution": "big"},
    ],
)
def test_what_nobody_could_mean_or_store_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JobRequest.model_validate(body)
