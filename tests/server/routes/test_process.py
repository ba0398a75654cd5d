from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.server.served import Served, code_of, face_png, fields_of


def sent(shade: int = 0) -> dict[str, tuple[str, bytes]]:
    return {"target": ("holiday.png", face_png(shade))}


def test_files_go_in_and_the_result_comes_back(working: Served) -> None:
    answer = working.client.post("process", files=sent(), data={"processors": "inverter"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert "holiday.png" in answer.headers["content-disposition"]
    job = working.client.get(f"jobs/{answer.headers['x-mien-job']}").json()
    assert job["status"] == "completed"
    before = cv2.imdecode(np.frombuffer(face_png(), np.uint8), cv2.IMREAD_COLOR)
    after = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(after, 255 - before)


def test_curl_gets_a_picture(working: Served, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(face_png(3))
    url = f"{working.client.base_url}process"
    words = ["curl", "-sSf", "-F", "processors=inverter", "-F", "target=@a.png", url, "-o", "out.png"]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_options_are_fields_or_json(working: Served) -> None:
    fields = {"processors": ["inverter"], "inverter_strength": "100", "options": '{"inverter_delay": 0.01}'}
    answer = working.client.post(
        "process",
        files=sent(),
        data={**fields, "format": "jpg", "metadata": '{"a": 1}'},
        headers={"Accept": "application/json"},
    )
    assert answer.status_code == 200, answer.text
    job = answer.json()
    options = job["steps"][0]["options"]
    assert (options["inverter_strength"], options["inverter_delay"]) == (100, 0.01)
    assert job["results"][0]["name"] == "holiday.jpg"
    assert job["metadata"] == {"a": 1}


def test_assets_and_json_do_as_well(working: Served) -> None:
    target = working.upload(8)
    form = working.client.post("process", data={"processors": "inverter", "target_id": target})
    body = working.client.post("process", json={"processors": ["inverter"], "target": target})
    assert form.status_code == body.status_code == 200
    assert form.content == body.content


def test_what_is_not_ready_goes_on_as_a_job(working: Served) -> None:
    answer = working.client.post(
        "process",
        files=sent(5),
        data={"processors": "inverter", "inverter_delay": "0.2"},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202
    id = answer.json()["id"]
    assert answer.headers["location"] == f"/api/v1/jobs/{id}" == answer.json()["links"]["self"]
    assert working.wait(id)["status"] == "completed"


def test_a_failure_is_the_answer(working: Served) -> None:
    answer = working.client.post(
        "process", files={"target": ("a.png", face_png())}, data={"processors": "marker", "format": "mp4"}
    )
    assert code_of(answer) == (415, "unsupported_media")
    assert fields_of(answer) == {"steps.0.output"}
    answer = working.client.post("process", files={"target": ("a.png", b"no picture")}, data={})
    assert code_of(answer)[0] in (415, 422)
    blank = cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    answer = working.client.post("process", files={"target": ("a.png", blank)}, data={"processors": "marker"})
    assert code_of(answer) == (422, "no_face"), answer.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"proccessors": "inverter"}, "processors"),
        ({"target": "text"}, "send a file"),
        ({"options": "{"}, "JSON"),
        ({"inverter_strength": "much", "processors": "inverter"}, "inverter_strength"),
        ({"priority": "11", "processors": "inverter"}, "priority"),
        ({"target_id": "0" * 64, "processors": "inverter"}, "one target"),
    ],
)
def test_wrong_fields_are_named(working: Served, fields: dict[str, str], said: str) -> None:
    answer = working.client.post("process", files=sent(), data=fields)
    assert answer.status_code == 422
    assert said in answer.text


def test_other_files_and_bodies_are_refused(working: Served) -> None:
    answer = working.client.post("process", files={"picture": ("a.png", face_png())})
    assert code_of(answer) == (422, "invalid_input")
    assert code_of(working.client.post("process", content=b"x", headers={"Content-Type": "text/plain"})) == (
        415,
        "unsupported_media",
    )
    assert code_of(working.client.post("process", json={"draft": True, "target": "0" * 64}))[0] == 422


def test_a_repeated_request_is_answered_with_the_same_result(working: Served) -> None:
    headers = {"Idempotency-Key": "process-1"}
    first, second = (
        working.client.post("process", files=sent(6), data={"processors": "inverter"}, headers=headers)
        for _ in range(2)
    )
    assert first.headers["x-mien-job"] == second.headers["x-mien-job"]
    assert first.content == second.content
    other = working.client.post("process", files=sent(7), data={"processors": "inverter"}, headers=headers)
    assert code_of(other) == (422, "idempotency_mismatch")


def test_a_face_map_names_faces_of_the_target(working: Served) -> None:
    face_map = json.dumps(
        [{"face": "f0-8-6-20-18", "sources": [working.upload()]}, {"face": "x", "sources": []}]
    )
    answer = working.client.post("process", files=sent(), data={"face_map": face_map})
    assert answer.status_code == 422
    assert "face_map" in answer.text
