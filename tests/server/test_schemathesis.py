"""Requests made from the description of the API: none meets a defect, or an answer that is not described."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.server.served import Served, served

EXAMPLES = 8
"""Requests for each operation."""
ENDLESS = {"board_events"}
"""Answers that never end; they have tests of their own."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("service"), max_wait=0.05) as found:
        yield found


@pytest.fixture(scope="module")
def schema(service: Served) -> Any:
    app = service.client.get("../../openapi.json")
    found = schemathesis.openapi.from_dict(app.json())
    found.config.base_url = str(service.client.base_url).removesuffix("/api/v1/")
    return found


CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_every_answer_is_described(schema: Any, service: Served) -> None:
    made = [service.submit(processors=["inverter"], target=service.upload())["id"] for _ in range(2)]
    service.client.post(f"jobs/{made[1]}/cancel")
    seen = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.definition.raw["operationId"] in ENDLESS:
            continue
        seen.add(operation.label)
        _try(operation, made)
    assert len(seen) > 45


def _try(operation: Any, jobs: list[str]) -> None:
    from hypothesis import given, seed

    count = itertools.count()

    @seed(20261121)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def try_it(case: Any) -> None:
        # Every other request is about a job that there is; only streams of one that has ended come to an end.
        if "/jobs/{id}" in operation.path and next(count) % 2:
            case.path_parameters["id"] = jobs[1] if operation.path.endswith("/events") else jobs[0]
        case.call_and_validate(checks=CHECKED, timeout=30)

    try_it()
