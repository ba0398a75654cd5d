from __future__ import annotations

from typing import Any

from tests.server.served import Served, code_of, fields_of

INVERT = {"processors": ["inverter"]}


def drafted(idle: Served, *steps: dict[str, Any], **more: Any) -> str:
    job = idle.submit(draft=True, steps=list(steps), **more)
    assert job["status"] == "drafted"
    return f"jobs/{job['id']}"


def targets(job: dict[str, Any]) -> list[Any]:
    return [step["target"] for step in job["steps"]]


def test_steps_are_added_moved_and_removed_with_their_targets(idle: Served) -> None:
    a, b = idle.upload(1), idle.upload(2)
    place = drafted(idle)
    assert idle.client.post(f"{place}/steps", json={**INVERT, "target": a}).status_code == 201
    job = idle.client.post(f"{place}/steps/0/remix", json={"processors": ["doubler"]}).json()
    assert targets(job) == [a, {"step": 0}]
    job = idle.client.post(f"{place}/steps", params={"index": 0}, json={**INVERT, "target": b}).json()
    assert targets(job) == [b, a, {"step": 1}]
    job = idle.client.put(f"{place}/steps/0", json={**INVERT, "target": a}).json()
    assert targets(job) == [a, a, {"step": 1}]
    needed = idle.client.delete(f"{place}/steps/1")
    assert code_of(needed) == (409, "job_refused")
    assert targets(idle.client.delete(f"{place}/steps/0").json()) == [a, {"step": 0}]
    job = idle.client.post(f"{place}/submit").json()
    assert job["status"] == "queued"
    assert code_of(idle.client.post(f"{place}/steps", json={**INVERT, "target": a})) == (409, "job_refused")


def test_what_is_wrong_with_a_step_is_said_when_it_is_added(idle: Served) -> None:
    place = drafted(idle)
    answer = idle.client.post(f"{place}/steps", json={"processors": ["inverted"], "target": {"step": 0}})
    assert fields_of(answer) == {"processors.0", "target"}
    assert code_of(idle.client.put(f"{place}/steps/3", json={**INVERT, "target": "0" * 64})) == (
        404,
        "not_found",
    )
    assert code_of(idle.client.post(f"{place}/submit")) == (409, "job_refused")
    assert idle.client.delete(place).status_code == 204


def test_steps_of_a_draft_have_the_consent_of_the_job(idle: Served) -> None:
    place = drafted(idle, consent_ref="signed")
    job = idle.client.post(f"{place}/steps", json={**INVERT, "target": idle.upload()}).json()
    assert job["steps"][0]["options"]["consent_ref"] == "signed"


def test_an_asset_of_a_draft_cannot_be_deleted(idle: Served) -> None:
    asset = idle.upload(77)
    drafted(idle, {**INVERT, "target": asset})
    assert code_of(idle.client.delete(f"assets/{asset}")) == (409, "asset_in_use")
