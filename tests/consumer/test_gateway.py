from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.consumer.gateway import Away, Gateway
from mien.consumer.settings import ConsumerSettings
from mien.consumer.task import FetchedTask
from mien.errors import AssetMissing, Canceled, JobBusy, MediaTooLarge, RemoteFailed, Unauthorized

TASK = FetchedTask("t1", "face_swap", "face_swap", {}, "secret-token")


def gateway(answer: Any, **given: Any) -> Gateway:
    values = {"url": "https://mien.example.org", "key": "mien_a_b", **given}
    return Gateway(ConsumerSettings.model_validate(values), httpx2.MockTransport(answer))


def says(status: int, body: Any = None, **headers: str) -> Any:
    return lambda request: httpx2.Response(status, json=body, headers=headers)


def envelope(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "No.", "details": [], "request_id": "r"}}


def test_what_is_sent() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json={"data": None})

    client = gateway(answer, name="gpu 1", lease_seconds=30)
    assert client.fetch(["comm", "face_swap"]) is None
    assert dict(asked[0].url.params.multi_items()) == {
        "environment": "face_swap",
        "lease_seconds": "30.0",
        "worker": "gpu 1",
    }
    client.fail(TASK, "x" * 2000, "no_face", False)
    assert asked[1].url.path == "/api/comm/task/t1/fail"
    assert asked[1].headers["x-lease-token"] == "secret-token"
    assert asked[1].headers["authorization"] == "Bearer mien_a_b"


@pytest.mark.parametrize("status", [404, 409, 410])
def test_a_task_of_somebody_else(status: int) -> None:
    for call in (
        lambda client: client.heartbeat(TASK, None),
        lambda client: client.complete(TASK, {"asset": "a"}),
        lambda client: client.fail(TASK, "m", "c", False),
        lambda client: client.give_back(TASK),
    ):
        with pytest.raises(JobBusy):
            call(gateway(says(status, envelope("job_busy"))))


def test_an_asset_that_is_gone_is_no_task_that_is_gone() -> None:
    with pytest.raises(AssetMissing):
        gateway(says(404, envelope("asset_missing"))).complete(TASK, {"asset": "a"})


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_answers_of_the_moment(status: int) -> None:
    with pytest.raises(Away) as caught:
        gateway(says(status, envelope("not_ready"), **{"Retry-After": "7"})).fetch(["comm"])
    assert caught.value.pause == 7


def test_no_answer_at_all() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with pytest.raises(Away, match="refused"):
        gateway(refuse).complete(TASK, {})


def test_cancellation_and_refusals() -> None:
    with pytest.raises(Canceled):
        gateway(says(200, {"data": {"cancel_requested": True}})).heartbeat(TASK, {"done": 1})
    with pytest.raises(Unauthorized):
        gateway(says(401, envelope("unauthorized"))).fetch(["comm"])
    for found in (
        says(404),
        says(200, ["no", "object"]),
        lambda request: httpx2.Response(200, text="<html>"),
    ):
        with pytest.raises(RemoteFailed, match="no gateway"):
            gateway(found).fetch(["comm"])


def test_inputs_have_a_limit(tmp_path: Path) -> None:
    client = gateway(lambda request: httpx2.Response(200, content=b"x" * (2 << 20)), max_input_mb=1)
    with pytest.raises(MediaTooLarge):
        client.download(TASK, "a" * 64, tmp_path / "input")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(anything | st.fixed_dictionaries({"taskId": anything, "lease_token": anything, "params": anything}))
def test_whatever_is_given_out_is_a_task_or_refused(found: Any) -> None:
    try:
        task = FetchedTask.of(found)
    except RemoteFailed:
        return
    assert FetchedTask.of(task.as_record()) == task
    assert "/" not in task.folder
    assert not task.folder.startswith(".")
