from __future__ import annotations

from tests.server.served import Served


def test_programs_and_people_get_the_same_api(idle: Served) -> None:
    base = str(idle.client.base_url).removesuffix("/api/v1/")
    schema = idle.client.get(f"{base}/openapi.json")
    docs = idle.client.get(f"{base}/docs")
    assert schema.headers["content-type"] == "application/json"
    assert docs.headers["content-type"].startswith("text/html")
    paths = schema.json()["paths"]
    assert {"/api/v1/process", "/api/v1/jobs/{id}"} <= paths.keys()
    assert all(f" {path}</code>" in docs.text for path in paths)


def test_the_page_may_load_nothing_from_elsewhere(idle: Served) -> None:
    base = str(idle.client.base_url).removesuffix("/api/v1/")
    docs = idle.client.get(f"{base}/docs")
    assert "default-src 'none'" in docs.headers["content-security-policy"]
    assert "http://" not in docs.text.replace("127.0.0.1", "")
    assert "<script" not in docs.text
