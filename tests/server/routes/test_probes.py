from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import DatabaseUnavailable
from tests.server.services import served


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


def test_a_service_that_stops_takes_no_more_requests(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        made.service.stop()
        assert made.client.get("/readyz").status_code == 503
        assert made.client.get("/livez").status_code == 200
