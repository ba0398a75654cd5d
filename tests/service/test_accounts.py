from __future__ import annotations

import json
from pathlib import Path

from mien.cli.main import main
from mien.comfyui import ComfySettings
from mien.errors import NoFace
from mien.service.callers import LOCAL, Caller
from mien.service.requests import LiveRequest
from mien.service.tasks import COMM, SERVED, Report, Wish
from tests.server.served import code_of, served
from tests.service.comfy_places import make_service


def test_every_job_leaves_a_line_that_outlives_it(tmp_path: Path) -> None:
    given = {"require_consent": True, "engine": {"require_consent": True}}
    with served(tmp_path, **given) as place:  # type: ignore[arg-type]
        asset = place.upload()
        refused = place.client.post("jobs", json={"processors": ["inverter"], "target": asset})
        assert code_of(refused) == (422, "consent_missing")
        wish = {"target": asset, "consent_ref": "form 17"}
        done = place.wait(place.submit(processors=["inverter"], **wish)["id"])
        failed = place.wait(place.submit(processors=["inverter"], resolution="1x1", **wish)["id"])
        assert (done["status"], failed["status"]) == ("completed", "failed")
        assert place.client.delete(f"jobs/{done['id']}").status_code == 204
    log = tmp_path / "audit.jsonl"
    lines = {line["job"]: line for line in map(json.loads, log.read_text().splitlines())}
    assert lines.keys() == {done["id"], failed["id"]}
    line = lines[done["id"]]
    assert (line["consent_ref"], line["outcome"], line["processors"]) == (
        "form 17",
        "completed",
        [["inverter"]],
    )
    assert line["results"][0]["asset"] == done["results"][0]["asset"]
    assert lines[failed["id"]]["outcome"] == "invalid_input"
    assert main(["audit", "verify", str(log), "--quiet"]) == 0


def test_a_live_picture_leaves_a_line_as_well(tmp_path: Path) -> None:
    wish = LiveRequest(processors=["inverter"], options={"consent_ref": "form 3"})
    with served(tmp_path, works=False) as place, place.service.desk.looking.live(wish, LOCAL):
        pass
    (line,) = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (line["processors"], line["consent_ref"], line["outcome"]) == (["inverter"], "form 3", "ended")


def test_what_consumers_do_leaves_a_line_however_it_ends(tmp_path: Path) -> None:
    ann, operator = Caller("ann", "k1"), Caller("operator", "k2")
    with make_service(tmp_path, ComfySettings(), max_attempts=1) as service:
        tasks, leases = service.gateway.tasks, service.gateway.leases

        def begin(seed: str) -> tuple[str, str]:
            tasks.create(Wish("basic_generation", {"prompt": "a cat"}, consent_ref="form 9"), ann, seed)
            lent = leases.take(SERVED[COMM], "consumer", None)
            assert lent is not None
            return lent.row.id, lent.token

        done, failed, given_up, by_hand, waits = (begin(seed) for seed in "abcde")
        for _ in range(2):  # the answer to the first was lost
            tasks.complete(*done, Report(urls=("https://example.org/a.png",)), operator)
        leases.fail(*failed, NoFace("There is no face."), again=False)
        service.store.change(given_up[0], lease_until=1.0)
        assert leases.sweep() == 1
        tasks.set_status(by_hand[0], "FAILED", operator)
        leases.give_back(*waits)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(line["job"], line["outcome"]) for line in lines] == [
        ("job_a", "completed"),
        ("job_b", "no_face"),
        ("job_c", "lost"),
        ("job_d", "invalid_input"),
    ]
    assert {(line["owner"], line["consent_ref"]) for line in lines} == {("ann", "form 9")}
    assert lines[0]["worker"] == "consumer"
    assert main(["audit", "verify", str(tmp_path / "audit.jsonl"), "--quiet"]) == 0
