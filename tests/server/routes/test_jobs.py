from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.media.pictures import png
from tests.server.served import Served, code_of, fields_of, served

INVERT = {"processors": ["inverter"], "options": {"inverter_strength": 200}}


def test_a_job_is_done_and_shows_what_was_done(working: Served) -> None:
    target = working.upload()
    job = working.submit(**INVERT, target=target, metadata={"order": 7}, consent_ref="c-1", priority=2)
    assert job["status"] == "queued"
    done = working.wait(job["id"])
    assert done["status"] == "completed"
    assert done["metadata"] == {"order": 7}
    assert done["consent_ref"] == "c-1"
    assert done["priority"] == 2
    (step,) = done["steps"]
    assert step["target"] == target
    assert step["status"] == "completed"
    assert step["frames"] == 1
    assert step["options"]["inverter_strength"] == 200
    (result,) = done["results"]
    assert (result["width"], result["height"], result["kind"]) == (32, 24, "image")
    assert done["ended_at"] >= done["started_at"] >= done["created_at"]
    assert set(done["links"]) == {"self", "events", "log", "result", "archive"}
    assert done["attempts"][0]["outcome"] == "completed"


def test_steps_work_on_results_of_steps(working: Served) -> None:
    target = working.upload()
    steps = [{**INVERT, "target": target}, {"processors": ["doubler"], "target": {"step": 0}}]
    done = working.wait(working.submit(steps=steps)["id"])
    assert [result["width"] for result in done["results"]] == [32, 64]
    assert done["steps"][1]["target"] == {"step": 0}


def test_a_failed_job_says_why_and_can_be_retried(working: Served) -> None:
    blank = png(16, 16, 2, 8, (b"\0" + bytes(48)) * 16)
    target = working.client.post("assets", files={"file": ("blank.png", blank)}).json()["id"]
    job = working.submit(processors=["marker"], target=target)
    failed = working.wait(job["id"])
    assert failed["status"] == "failed"
    assert (failed["failure"]["code"], failed["failure"]["step"]) == ("no_face", 0)
    assert "retry" in failed["links"]
    assert code_of(working.client.get(f"jobs/{job['id']}/result")) == (409, "job_refused")
    assert working.client.post(f"jobs/{job['id']}/retry").status_code == 202
    again = working.wait(job["id"])
    assert [attempt["outcome"] for attempt in again["attempts"]] == ["failed", "failed"]
    done = working.submit(**INVERT, target=target)["id"]
    assert working.wait(done)["status"] == "completed"
    assert code_of(working.client.post(f"jobs/{done}/retry")) == (409, "job_refused")


def test_everything_that_is_wrong_is_said_at_once(idle: Served) -> None:
    body = {
        "steps": [
            {
                "processors": ["inverted"],
                "target": "0" * 64,
                "options": {"inverter_strength": 999, "nope": 1},
            },
            {"processors": ["needs_source"], "target": {"step": 1}},
        ]
    }
    answer = idle.client.post("jobs", json=body)
    assert code_of(answer) == (422, "invalid_option")
    assert fields_of(answer) == {
        "steps.0.processors.0",
        "steps.0.options.inverter_strength",
        "steps.0.options.nope",
        "steps.0.target",
        "steps.1.sources",
        "steps.1.target",
    }
    assert idle.client.get("jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"output_marking": False}, "MIEN_MARKING_REQUIRED"),
        ({"content_policy": "off"}, "MIEN_CONTENT_POLICY"),
    ],
)
def test_what_the_operator_forbids_is_refused_with_the_rule(
    idle: Served, options: dict[str, object], rule: str
) -> None:
    answer = idle.client.post(
        "jobs", json={"processors": ["inverter"], "target": idle.upload(), "options": options}
    )
    assert code_of(answer) == (403, "forbidden")
    assert rule in answer.json()["error"]["message"]


def test_the_same_request_twice_is_one_job(idle: Served) -> None:
    body, headers = {**INVERT, "target": idle.upload()}, {"Idempotency-Key": "again"}
    first = idle.client.post("jobs", json=body, headers=headers)
    second = idle.client.post("jobs", json=body, headers=headers)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    other = idle.client.post("jobs", json={**body, "priority": 1}, headers=headers)
    assert code_of(other) == (422, "idempotency_mismatch")


def test_pages_show_every_job_once(idle: Served) -> None:
    target = idle.upload()
    made = {idle.submit(**INVERT, target=target)["id"] for _ in range(5)}
    seen: list[str] = []
    cursor = None
    while True:
        page = idle.client.get(
            "jobs", params={"limit": 2, "status": "queued", **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert made <= set(seen)
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen, reverse=True)
    assert code_of(idle.client.get("jobs", params={"cursor": "what"})) == (422, "invalid_option")


def test_a_waiting_job_is_changed_canceled_retried_and_deleted(idle: Served) -> None:
    job = idle.submit(**INVERT, target=idle.upload(1))
    place = f"jobs/{job['id']}"
    changed = idle.client.patch(place, json={"priority": 0, "metadata": {"a": 1}}).json()
    assert (changed["priority"], changed["metadata"]) == (0, {"a": 1})
    assert idle.client.post(f"{place}/cancel").json()["status"] == "canceled"
    assert code_of(idle.client.post(f"{place}/cancel")) == (409, "job_refused")
    assert code_of(idle.client.patch(place, json={"priority": 1})) == (409, "job_refused")
    assert idle.client.post(f"{place}/retry").json()["status"] == "queued"
    assert idle.client.delete(place).json()["status"] == "canceled"
    assert idle.client.delete(place).status_code == 204
    assert code_of(idle.client.get(place)) == (404, "job_missing")


def test_a_result_that_two_jobs_made_stays_with_the_second(working: Served) -> None:
    target = working.upload(9)
    first, second = (working.submit(**INVERT, target=target)["id"] for _ in range(2))
    asset = working.wait(first)["results"][0]["asset"]
    assert working.wait(second)["results"][0]["asset"] == asset
    assert working.client.delete(f"jobs/{first}").status_code == 204
    assert working.client.get(f"jobs/{second}/result").status_code == 200
    assert working.client.delete(f"jobs/{second}").status_code == 204
    assert working.client.get(f"assets/{asset}").status_code == 404
    assert working.client.get(f"assets/{target}").status_code == 200


@pytest.fixture
def guarded(tmp_path: Path) -> object:
    with served(tmp_path, works=False, auth="on", require_consent=True) as found:
        yield found


def test_jobs_of_others_are_not_there(guarded: Served) -> None:
    def keyed(*scopes: str) -> httpx2.Client:
        key = guarded.service.keys.create("test", scopes).token
        return httpx2.Client(
            base_url=guarded.client.base_url, headers={"X-Api-Key": key}, timeout=60, trust_env=False
        )

    with keyed("submit", "read") as one, keyed("submit", "read") as other, keyed("read") as reader:
        mine = Served(guarded.service, one)
        body = {**INVERT, "target": mine.upload()}
        refused = one.post("jobs", json=body)
        assert code_of(refused) == (422, "consent_missing")
        assert fields_of(refused) == {"consent_ref"}
        job = mine.submit(**body, consent_ref="signed")
        assert one.get(f"jobs/{job['id']}").status_code == 200
        for method, path in (
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/log"),
            ("POST", "/cancel"),
            ("DELETE", ""),
        ):
            answer = other.request(method, f"jobs/{job['id']}{path}")
            assert code_of(answer) == (404, "job_missing"), path
        assert other.get("jobs").json()["jobs"] == []
        assert "steps.0.target" in fields_of(other.post("jobs", json={**body, "consent_ref": "x"}))
        assert code_of(reader.post("jobs", json=body)) == (403, "forbidden")


@pytest.mark.parametrize(
    "body",
    [
        {"target": "a\0b"},
        {"target": "https://example.org/a.png", "metadata": {"a": "\ud800"}},
        {"target": "https://example.org/a.png", "metadata": {"a": "x" * 5000}},
        {"target": "file:///etc/passwd"},
        {"target": "http://example.org/a.png"},
        {"target": "https://user:password@example.org/a.png"},
        {"steps": []},
        {"steps": [{"target": "/etc/passwd"}]},
        {"target": "0" * 64, "webhook": {"url": "http://127.0.0.1/"}, "processors": ["inverter"]},
        {"target": "0" * 64, "resolution": "0x5"},
        [],
        "text",
    ],
)
def test_malformed_requests_are_refused(idle: Served, body: object) -> None:
    import json

    answer = idle.client.post("jobs", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text


def test_limits_of_steps_and_sources_hold(idle: Served) -> None:
    target = idle.upload()
    many = idle.client.post("jobs", json={"steps": [{**INVERT, "target": target}] * 21})
    assert fields_of(many) == {"steps"}
    crowd = idle.client.post("jobs", json={**INVERT, "target": target, "sources": [target] * 21})
    assert fields_of(crowd) == {"steps.0.sources"}
