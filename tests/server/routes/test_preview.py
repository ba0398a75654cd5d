from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from mien.safety.marking import read_marks
from tests.server.served import Served, code_of, fields_of


def test_a_preview_shows_the_work_and_carries_marks(idle: Served, tmp_path: Path) -> None:
    body = {"processors": ["marker"], "target": idle.upload(), "size": None}
    answer = idle.client.post("preview", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-mien-faces"] == "1"
    assert float(answer.headers["x-mien-milliseconds"]) > 0
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture[12, 14].min() > 240
    file = tmp_path / "preview.jpg"
    file.write_bytes(answer.content)
    marks = read_marks(file)
    assert marks is not None
    assert marks.operations == ("marker",)


def test_a_preview_is_held_to_the_same_rules_as_a_job(idle: Served) -> None:
    target = idle.upload()
    off = {"processors": ["inverter"], "target": target, "options": {"content_policy": "off"}}
    assert code_of(idle.client.post("preview", json=off)) == (403, "forbidden")
    wrong = {"processors": ["inverter"], "target": target, "options": {"inverter_strength": 300}}
    assert fields_of(idle.client.post("preview", json=wrong)) == {"options.inverter_strength"}
    assert code_of(idle.client.post("preview", json={"target": {"step": 0}})) == (422, "invalid_input")


def test_a_newer_preview_of_the_group_cancels_the_older(idle: Served) -> None:
    target = idle.upload()

    def ask(strength: int, delay: float) -> int:
        options = {"inverter_strength": strength, "inverter_delay": delay}
        body = {"processors": ["inverter"], "target": target, "options": options}
        return idle.client.post("preview", json=body, headers={"X-Mien-Preview-Group": "one"}).status_code

    newest = idle.service.desk.looking.newest
    with ThreadPoolExecutor(2) as pool:
        older = pool.submit(ask, 10, 2.0)
        while not newest.count:
            assert not older.done()
        newer = pool.submit(ask, 20, 0.0)
        assert newer.result(60) == 200
        assert older.result(60) == 409
    assert newest.count == 0
