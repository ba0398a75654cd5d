from __future__ import annotations

import json
from pathlib import Path

from mien.cli.main import main
from mien.service.callers import LOCAL
from mien.service.requests import LiveRequest
from tests.server.served import code_of, served


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
