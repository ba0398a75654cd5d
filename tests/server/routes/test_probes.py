from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.errors import DatabaseUnavailable
from mien.service.space import Space
from tests.server.services import served
from tests.service.conftest import picture

FORM: dict[str, Any] = {"files": {"file": ("a.png", picture())}}
RAW: dict[str, Any] = {"content": picture(), "headers": {"Content-Type": "image/png"}}


def test_the_process_lives_whatever_becomes_of_its_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise DatabaseUnavailable("The database is away.")

    with served(tmp_path) as made:
        assert made.client.get("/readyz").text == "ok\n"
        monkeypatch.setattr(made.service, "ping", away)
        assert made.client.get("/livez").text == "ok\n"
        answer = made.client.get("/readyz")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
        assert answer.headers["retry-after"] == "5"


def test_a_full_disk_takes_no_uploads_and_all_else(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        client = made.client
        asset = client.post("/api/v1/assets", **FORM).json()
        made.service.space = Space(made.service.settings, lambda folder: 0)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
        assert answer.headers["retry-after"] == "30"
        for path, body in (("assets", FORM), ("assets", RAW), ("process", FORM), ("faces/detect", FORM)):
            answer = client.post(f"/api/v1/{path}", **body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
            assert "MIEN_MIN_FREE_MB" in answer.json()["error"]["message"]
        assert client.get(f"/api/v1/assets/{asset['id']}/content").content == picture()
        assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
        assert client.get("/livez").status_code == 200


def test_a_service_that_stops_takes_no_more_requests(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        made.service.stop()
        assert made.client.get("/readyz").status_code == 503
        assert made.client.get("/livez").status_code == 200
