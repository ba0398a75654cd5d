from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from mien.db.tables import blobs
from mien.service.settings import MB
from tests.server.served import Served, code_of, face_png, served


def test_requests_bytes_and_jobs_are_told_by_day(tmp_path: Path) -> None:
    with served(tmp_path, works=False, jobs_per_day=9, max_queue_per_key=7) as made:
        asset = made.upload()
        made.submit(processors=["inverter"], target=asset)
        found = made.client.get("usage").json()
    (day,) = found["days"]
    assert day["amounts"]["jobs"] == 1
    assert day["amounts"]["requests"] == 2
    assert day["amounts"]["bytes_in"] > len(face_png())
    assert day["amounts"]["bytes_out"] > 0
    assert found["limits"]["jobs_per_day"] == 9
    assert found["limits"]["max_queue"] == 7


def test_files_that_are_kept_have_a_limit(tmp_path: Path) -> None:
    size = len(face_png())
    with served(tmp_path, works=False, max_stored_mb=1.5 * size / MB) as made:
        asset = made.upload()
        found = made.client.get("usage").json()
        assert found["stored_bytes"] == size
        assert found["limits"]["stored_mb"] == pytest.approx(1.5 * size / MB)
        answer = made.client.post(
            "uploads", json={"name": "a.png", "size": size, "content_type": "image/png"}
        )
        assert code_of(answer) == (507, "storage_quota_exceeded")
        made.submit(processors=["inverter"], target=asset)
        with made.service.database.begin() as connection:
            connection.execute(sa.update(blobs).values(size=2 * size))
        answer = made.client.post("jobs", json={"processors": ["inverter"], "target": asset})
        assert code_of(answer) == (507, "storage_quota_exceeded")


def test_everybody_sees_what_they_used_alone(tmp_path: Path) -> None:
    with served(tmp_path, works=False, auth="on") as made:
        keys = [made.service.keys.create(name, ["submit", "read"]).token for name in ("ann", "bob")]
        ann, bob = ({"X-Api-Key": key} for key in keys)
        for _ in range(3):
            made.client.get("jobs", headers=ann)
        mine = made.client.get("usage", headers=ann).json()
        theirs = made.client.get("usage", headers=bob).json()
        assert mine["days"][0]["amounts"]["requests"] == 3
        assert theirs["days"] == []
        assert mine["owner"] != theirs["owner"]
        assert code_of(made.client.get("usage")) == (401, "unauthorized")
        sender = {"X-Api-Key": made.service.keys.create("sender", ["submit"]).token}
        assert code_of(made.client.get("usage", headers=sender)) == (403, "forbidden")


@pytest.mark.parametrize("days", ["0", "367", "many"])
def test_days_that_cannot_be_are_refused(idle: Served, days: str) -> None:
    answer = idle.client.get("usage", params={"days": days})
    assert code_of(answer) == (422, "invalid_input")
    assert answer.json()["error"]["details"][0]["field"] == "days"
