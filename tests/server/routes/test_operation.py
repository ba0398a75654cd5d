from __future__ import annotations

from pathlib import Path

from mien._version import __version__
from tests.server.services import served


def test_health_tells_everybody_little_and_those_with_a_key_all(tmp_path: Path) -> None:
    with served(tmp_path, auth="on") as made:
        assert made.client.get("/api/v1/health").json() == {"status": "degraded", "checks": {}}
        token = made.service.keys.create("watch", ["read"]).token
        known = made.client.get("/api/v1/health", headers={"X-Api-Key": token}).json()
        assert known["checks"]["database"]["status"] == "ok"


def test_the_system_is_described(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        made.service.start("api")
        found = made.client.get("/api/v1/system").json()
    assert found["version"] == __version__
    assert [worker["role"] for worker in found["workers"]] == ["api"]
    assert found["workers"][0]["seen_at"].endswith("Z")
    assert found["devices"][0]["provider"] == "cpu"
    assert found["software"]["python"].startswith("3.")
