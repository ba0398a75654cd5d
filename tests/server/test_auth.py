from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import WebSocketDenialResponse

from mien.server.auth import OPEN, needs_key
from mien.server.visit import begin
from mien.service.access import FAILURES
from tests.server.services import Served, served

EVIL = "https://evil.example"


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as made:
        yield made


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, auth="on", public_url="https://mien.example.org") as made:
        yield made


def test_on_this_machine_nobody_needs_a_key_until_there_is_one(local: Served) -> None:
    assert local.client.get("/api/v1/usage").status_code == 200
    key = local.client.post("/api/v1/keys", json={"name": "first", "scopes": ["read"]}).json()["key"]
    refused = local.client.get("/api/v1/usage")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert local.client.get("/api/v1/usage", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert local.client.get("/api/v1/usage", headers={"X-Api-Key": key}).status_code == 200


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Basic abc", "Bearer mien_x_y", "bearer \xff"])
def test_what_is_no_key_is_refused(guarded: Served, value: str) -> None:
    answer = guarded.client.get("/api/v1/usage", headers={"Authorization": value.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"


def test_a_key_without_the_scope_is_refused(guarded: Served) -> None:
    token = guarded.service.keys.create("reader", ["read"]).token
    answer = guarded.client.get("/api/v1/keys", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_a_body_is_not_read_before_the_key_is_known(guarded: Served) -> None:
    sent = []

    def body() -> Iterator[bytes]:
        for number in range(100):
            sent.append(number)
            yield b"x" * 10_000

    answer = guarded.client.post("/api/v1/keys", content=body(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 401
    assert guarded.lines()[-1]["bytes_in"] == 0


@pytest.mark.parametrize(
    ("path", "method", "needed"),
    [
        ("/livez", "GET", False),
        ("/docs", "GET", False),
        ("/", "GET", False),
        ("/process", "POST", True),
        ("/metrics", "GET", True),
        ("/api/tasks/", "GET", True),
        ("/api/v1/jobs", "GET", True),
        ("/api/v1/session", "POST", False),
        ("/studio/api/v1/jobs", "GET", True),
    ],
)
def test_which_addresses_need_a_key(path: str, method: str, needed: bool) -> None:
    scope = {"path": path, "method": method, "headers": [], "scheme": "http", "root_path": "/studio"}
    assert needs_key(begin(scope)) is needed


def test_open_addresses_are_below_the_api() -> None:
    assert all(path.startswith("/api/v1/") for path in OPEN)


def test_a_prefix_of_a_proxy_hides_nothing(tmp_path: Path) -> None:
    with served(tmp_path, auth="on", root_path="/faces") as made:
        for path in ("/api/v1/usage", "/faces/api/v1/usage"):
            assert made.client.get(path).status_code == 401
        assert made.client.get("/faces/livez").status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "192.168.1.5:80", "mien", "a.localhost"]
)
def test_hosts_that_nobody_else_can_point_here_are_good(local: Served, host: str) -> None:
    assert local.client.get("/api/v1/usage", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
def test_names_of_others_are_refused_where_no_key_says_who_calls(local: Served, host: str) -> None:
    answer = local.client.get("/api/v1/usage", headers={"Host": host})
    assert answer.status_code == 403
    assert "MIEN_PUBLIC_URL" in answer.json()["error"]["message"]


def test_the_public_name_is_good_and_with_a_key_any_name_is(guarded: Served) -> None:
    token = guarded.service.keys.create("reader", ["read"]).token
    session = guarded.service.sessions.begin(token).token
    cookie = {"Cookie": f"mien_session={session}", "Host": "mien.example.org"}
    assert guarded.client.get("/api/v1/usage", headers=cookie).status_code == 200
    assert guarded.client.get("/api/v1/usage", headers={**cookie, "Host": "evil.example"}).status_code == 403
    bearer = {"Authorization": f"Bearer {token}", "Host": "evil.example"}
    assert guarded.client.get("/api/v1/usage", headers=bearer).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://localhost:9"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_pages_of_others_change_nothing(local: Served, headers: dict[str, str]) -> None:
    answer = local.client.post("/api/v1/keys", json={"name": "theirs"}, headers=headers)
    assert answer.status_code == 403
    assert local.service.keys.all() == []
    assert local.client.delete("/api/v1/session", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://localhost:8080"}, {"Sec-Fetch-Site": "same-origin"}, {}]
)
def test_own_pages_and_programs_may(local: Served, headers: dict[str, str]) -> None:
    assert local.client.post("/api/v1/keys", json={"name": "own"}, headers=headers).status_code == 201


def test_behind_a_proxy_the_public_address_is_the_own_one(guarded: Served) -> None:
    token = guarded.service.keys.create("admin", ["admin"]).token
    cookie = f"mien_session={guarded.service.sessions.begin(token).token}"
    headers = {"Cookie": cookie, "Origin": "https://mien.example.org"}
    assert guarded.client.post("/api/v1/keys", json={"name": "x"}, headers=headers).status_code == 201
    headers["Origin"] = EVIL
    assert guarded.client.post("/api/v1/keys", json={"name": "x"}, headers=headers).status_code == 403


def test_with_a_key_in_the_header_pages_of_others_may(guarded: Served) -> None:
    token = guarded.service.keys.create("admin", ["admin"]).token
    headers = {"Authorization": f"Bearer {token}", "Origin": EVIL}
    assert guarded.client.post("/api/v1/keys", json={"name": "x"}, headers=headers).status_code == 201


def test_websockets_of_other_pages_are_refused(local: Served) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        local.client.websocket_connect("/api/v1/live", headers={"Origin": EVIL, "Host": "localhost:8080"}),
    ):
        pass
    assert caught.value.status_code == 403


def test_an_address_that_guesses_keys_is_slowed_down(guarded: Served) -> None:
    answers = [
        guarded.client.get("/api/v1/usage", headers={"X-Api-Key": f"mien_a_{number}"})
        for number in range(FAILURES + 3)
    ]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_too_many_requests_are_refused_with_the_time_to_wait(tmp_path: Path) -> None:
    with served(tmp_path, requests_per_minute=5) as made:
        answers = [made.client.get("/api/v1/usage") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_cors_is_for_those_who_were_named(tmp_path: Path) -> None:
    friend = "https://friend.example"
    with served(tmp_path, cors_origins=(friend,), auth="on") as made:
        asked = {"Origin": friend, "Access-Control-Request-Method": "POST"}
        allowed = made.client.options("/api/v1/jobs", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == friend
        refused = made.client.get("/api/v1/usage", headers={"Origin": friend})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == friend
        stranger = made.client.get("/api/v1/usage", headers={"Origin": EVIL})
        assert "access-control-allow-origin" not in stranger.headers


def test_without_cors_nobody_is_allowed(local: Served) -> None:
    answer = local.client.options(
        "/api/v1/jobs", headers={"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    )
    assert answer.status_code in (403, 405)
    assert "access-control-allow-origin" not in answer.headers
