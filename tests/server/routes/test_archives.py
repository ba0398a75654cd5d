from __future__ import annotations

import io
import zipfile

from tests.server.served import Served


def step(target: str, **more: object) -> dict[str, object]:
    return {"processors": ["inverter"], "target": target, **more}


def names(content: bytes) -> list[str]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return archive.namelist()


def test_the_results_of_a_job_and_of_a_batch_come_as_archives(working: Served) -> None:
    targets = [working.upload(shade) for shade in (1, 2)]
    job = working.submit(**step(targets[0], output={"name": "mine"}))
    assert working.wait(job["id"])["status"] == "completed"
    answer = working.client.get(f"jobs/{job['id']}/results.zip")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{job["id"]}.zip"'
    assert names(answer.content) == ["mine.png"]

    made = working.client.post(
        "batches", json={"targets": targets, "settings": [{"processors": ["inverter"]}]}
    )
    batch = made.json()
    for id in batch["jobs"]:
        assert working.wait(id)["status"] == "completed"
    packed = working.client.get(f"batches/{batch['id']}/archive")
    assert packed.status_code == 200
    assert len(names(packed.content)) == 2


def test_where_there_is_nothing_there_is_no_archive(idle: Served) -> None:
    job = idle.submit(**step(idle.upload()))
    answer = idle.client.get(f"jobs/{job['id']}/results.zip")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_refused")
    assert idle.client.get("jobs/job_none/results.zip").status_code == 404
    assert idle.client.get("batches/batch_none/archive").status_code == 404
