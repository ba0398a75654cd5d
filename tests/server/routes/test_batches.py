from __future__ import annotations

import time

from tests.server.served import Served, code_of, fields_of


def test_every_combination_is_a_job(working: Served) -> None:
    targets = [working.upload(shade) for shade in (21, 22)]
    settings = [{"processors": ["inverter"]}, {"processors": ["doubler"], "output": {"format": "jpg"}}]
    made = working.client.post("batches", json={"targets": targets, "settings": settings, "priority": 3})
    assert made.status_code == 202, made.text
    body = made.json()
    assert body["total"] == 4
    assert made.headers["location"] == f"/api/v1/batches/{body['id']}"
    done = [working.wait(id) for id in body["jobs"]]
    assert [job["steps"][0]["target"] for job in done] == [targets[0]] * 2 + [targets[1]] * 2
    assert {job["batch"] for job in done} == {body["id"]}
    assert {job["priority"] for job in done} == {3}
    shown = working.client.get(f"batches/{body['id']}", params={"limit": 3}).json()
    assert (shown["status"], shown["counts"]) == ("completed", {"completed": 4})
    assert len(shown["jobs"]) == 3
    rest = working.client.get(
        f"batches/{body['id']}", params={"limit": 3, "cursor": shown["next_cursor"]}
    ).json()
    assert {job["id"] for job in shown["jobs"] + rest["jobs"]} == set(body["jobs"])


def test_a_batch_is_taken_as_a_whole_or_not_at_all(idle: Served) -> None:
    before = idle.client.get("batches").json()["batches"]
    body = {"targets": [idle.upload(), "0" * 64], "settings": [{"processors": ["inverter"]}]}
    refused = idle.client.post("batches", json=body)
    assert fields_of(refused) == {"targets.1"}
    wrong = {
        **body,
        "targets": body["targets"][:1],
        "settings": [{"processors": ["inverter"], "options": {"x": 1}}],
    }
    assert fields_of(idle.client.post("batches", json=wrong)) == {"settings.0.options.x"}
    assert idle.client.get("batches").json()["batches"] == before
    assert idle.client.get("jobs").json()["jobs"] == []


def test_a_batch_is_canceled_and_deleted_as_one(idle: Served) -> None:
    body = {"targets": [idle.upload(5)], "settings": [{"processors": ["inverter"]}] * 3}
    headers = {"Idempotency-Key": "batch"}
    made = idle.client.post("batches", json=body, headers=headers).json()
    assert idle.client.post("batches", json=body, headers=headers).json() == made
    place = f"batches/{made['id']}"
    assert idle.client.get(place).json()["counts"] == {"queued": 3}
    assert idle.client.delete(place).status_code == 202
    assert idle.client.get(place).json()["counts"] == {"canceled": 3}
    assert idle.client.post(f"{place}/cancel").json()["status"] == "completed"
    assert idle.client.delete(place).status_code == 204
    assert code_of(idle.client.get(place)) == (404, "not_found")
    assert code_of(idle.client.get(f"jobs/{made['jobs'][0]}")) == (404, "job_missing")


def test_batches_are_listed_newest_first(idle: Served) -> None:
    body = {"targets": [idle.upload(6)], "settings": [{"processors": ["inverter"]}]}
    made = []
    for _ in range(3):
        made.append(idle.client.post("batches", json=body).json()["id"])
        time.sleep(0.002)  # so that their moments differ
    first = idle.client.get("batches", params={"limit": 2}).json()
    rest = idle.client.get("batches", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [batch["id"] for batch in first["batches"] + rest["batches"]][:3] == made[::-1]
    assert code_of(idle.client.get("batches", params={"cursor": "x"})) == (422, "invalid_option")


def test_a_thousand_jobs_at_most(idle: Served) -> None:
    body = {"targets": [idle.upload(6)] * 1001, "settings": [{"processors": ["inverter"]}]}
    answer = idle.client.post("batches", json=body)
    assert code_of(answer) == (422, "invalid_input")
