from __future__ import annotations

from pathlib import Path

from tests.server.services import served


def test_an_administrator_manages_keys(tmp_path: Path) -> None:
    with served(tmp_path, auth="on") as made:
        admin = {"X-Api-Key": made.service.keys.create("admin", ["admin"]).token}
        body = {"name": "phone", "scopes": ["read"], "limits": {"jobs_per_day": 3}, "expires_in": 3600}
        answer = made.client.post("/api/v1/keys", json=body, headers=admin)
        assert answer.status_code == 201
        created = answer.json()
        phone = {"X-Api-Key": created["key"]}
        assert made.client.get("/api/v1/usage", headers=phone).json()["limits"]["jobs_per_day"] == 3
        rotated = made.client.post(f"/api/v1/keys/{created['id']}/rotate?grace=0", headers=admin).json()
        assert rotated["owner"] == created["owner"]
        listed = made.client.get("/api/v1/keys", headers=admin).json()
        assert {key["name"] for key in listed} == {"admin", "phone"}
        assert all("key" not in key for key in listed)
        assert made.client.delete(f"/api/v1/keys/{rotated['id']}", headers=admin).status_code == 204
        assert made.client.get("/api/v1/usage", headers={"X-Api-Key": rotated["key"]}).status_code == 401
        assert made.client.delete("/api/v1/keys/unknown", headers=admin).status_code == 404
        unknown = made.client.post("/api/v1/keys", json={**body, "limits": {"speed": 1}}, headers=admin)
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (422, "invalid_option")


def test_a_browser_exchanges_its_key_for_a_cookie(tmp_path: Path) -> None:
    with served(tmp_path, auth="on", public_url="https://mien.example.org") as made:
        token = made.service.keys.create("browser", ["read"]).token
        assert made.client.get("/api/v1/session").json()["authenticated"] is False
        answer = made.client.post("/api/v1/session", json={"key": token})
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Secure"} <= {part.strip() for part in cookie.split(";")}
        assert token not in cookie
        carried = {"Cookie": cookie.partition(";")[0]}
        assert made.client.get("/api/v1/usage", headers=carried).status_code == 200
        shown = made.client.get("/api/v1/session", headers=carried).json()
        assert (shown["authenticated"], shown["scopes"]) == (True, ["read"])
        assert made.client.delete("/api/v1/session", headers=carried).status_code == 204
        assert made.client.get("/api/v1/usage", headers=carried).status_code == 401


def test_a_wrong_key_gives_no_cookie(tmp_path: Path) -> None:
    with served(tmp_path) as made:
        answer = made.client.post("/api/v1/session", json={"key": "mien_a_b"})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
