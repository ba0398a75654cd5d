from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import Response

from mien.errors import NotFound
from mien.server.deps import Submitter, once
from mien.service.idempotency import fingerprint
from tests.server.services import Served, served


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        _add_route(found.app)
        yield found


def _add_route(app: Any) -> None:
    app.state.done = []

    @app.post("/api/v1/things")
    def create(body: dict[str, Any], request: Request, caller: Submitter) -> Response:
        with once(request, caller, body) as slot:
            if slot.replayed is not None:
                return slot.replayed
            app.state.done.append(slot.seed)
            if body.get("bad") == "refused":
                raise NotFound("There is no such thing.")
            if body.get("bad") == "broken" and len(app.state.done) == 1:
                raise RuntimeError("broken")
            return slot.answer({"id": slot.seed}, 201, {"Location": f"/api/v1/things/{slot.seed}"})
        raise AssertionError


def _send(made: Served, key: str | None = "k", **body: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return made.client.post("/api/v1/things", json=body, headers=headers)


def test_the_same_request_is_done_once(made: Served) -> None:
    first, second = _send(made, name="a"), _send(made, name="a")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert len(made.app.state.done) == 1


def test_without_a_key_every_request_is_done(made: Served) -> None:
    assert _send(made, None, name="a").json() != _send(made, None, name="a").json()


def test_a_key_of_another_request_is_refused(made: Served) -> None:
    _send(made, name="a")
    answer = _send(made, name="b")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "idempotency_mismatch")


def test_a_refused_request_may_be_corrected_under_its_key(made: Served) -> None:
    assert _send(made, bad="refused").status_code == 404
    assert _send(made, name="corrected").status_code == 201


def test_a_request_that_broke_off_goes_on_under_the_same_name(made: Served) -> None:
    assert _send(made, bad="broken").status_code == 500
    assert _send(made, bad="broken").status_code == 201
    first, second = made.app.state.done
    assert first == second


def test_while_the_first_is_under_way_the_second_is_told_when_to_ask(made: Served) -> None:
    first = fingerprint("POST", "/api/v1/things", {"name": "a"})
    slot = made.service.idempotency.begin("", "k", first)
    answer = _send(made, name="a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    made.service.idempotency.abandon("", "k", slot, refused=False)
    assert _send(made, name="a").json() == {"id": slot.seed}


def test_a_key_has_a_length(made: Served) -> None:
    answer = _send(made, "x" * 256, name="a")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_option")


def test_scopes_are_asked_for(made: Served) -> None:
    token = made.service.keys.create("reader", ["read"]).token
    answer = made.client.post("/api/v1/things", json={}, headers={"X-Api-Key": token})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
