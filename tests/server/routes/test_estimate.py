from __future__ import annotations

from tests.server.served import Served, code_of

STEP = {"processors": ["inverter"]}


def test_an_estimate_stores_nothing_and_learns_from_what_work_took(working: Served) -> None:
    target = working.upload()
    guess = working.client.post("estimate", json={**STEP, "target": target}).json()
    assert guess["basis"] == "guess"
    assert guess["low"] < guess["seconds"] < guess["high"]
    assert working.client.get("jobs").json()["jobs"] == []
    working.wait(working.submit(**STEP, target=target)["id"])
    measured = working.client.post(
        "estimate", json={"steps": [{**STEP, "target": target}, {**STEP, "target": {"step": 0}}]}
    ).json()
    assert measured["basis"] == "measured"
    assert len(measured["steps"]) == 2
    assert measured["seconds"] == round(sum(step["seconds"] for step in measured["steps"]), 2)


def test_what_cannot_be_done_is_not_estimated(working: Served) -> None:
    assert code_of(working.client.post("estimate", json={**STEP, "target": "0" * 64}))[0] == 422
