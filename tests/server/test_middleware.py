from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import StreamingResponse

from mien.errors import OutputNotWritable
from mien.server import middleware
from mien.server.middleware import MAX_JSON
from mien.service.tracing import open_tracing
from tests.server.served import face_png
from tests.server.served import served as working
from tests.server.services import Served, served
from tests.service.test_tracing import NOWHERE, Kept, attributes


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as found:
        _add_routes(found.app)
        yield found


def _add_routes(app: Any) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("secret of the machine: /etc/passwd")

    @app.get("/unwritable")
    def unwritable() -> None:
        raise OutputNotWritable("The folder /data/mien/scratch/job_1/out.png cannot be written.")

    @app.get("/memory")
    def memory() -> None:
        raise MemoryError

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def events() -> Any:
            while True:
                yield b": still here\n\n"
                await asyncio.sleep(0.01)

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())


def test_every_answer_has_an_id_and_safe_headers(made: Served) -> None:
    for path in ("/livez", "/nowhere", "/api/v1/usage", "/broken"):
        headers = made.client.get(path).headers
        assert headers["x-request-id"].startswith("req_")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers


def test_an_id_of_the_client_is_kept_when_it_is_harmless(made: Served) -> None:
    assert made.client.get("/livez", headers={"X-Request-Id": "abc-1.2"}).headers["x-request-id"] == "abc-1.2"
    for bad in ("a" * 65, "a b", 'x"y'):
        assert made.client.get("/livez", headers={"X-Request-Id": bad}).headers["x-request-id"] != bad


def test_answers_of_the_api_are_not_stored_by_anybody(made: Served) -> None:
    assert made.client.get("/api/v1/usage").headers["cache-control"] == "no-store"
    assert "cache-control" not in made.client.get("/livez").headers


def test_a_defect_tells_the_client_nothing_and_the_log_everything(made: Served) -> None:
    answer = made.client.get("/broken")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (500, "internal")
    assert "passwd" not in answer.text
    assert error["request_id"] == answer.headers["x-request-id"]
    line = next(line for line in made.lines() if line["event"] == "request_failed")
    assert line["request_id"] == error["request_id"]
    assert "RuntimeError" in line["exception"]


def test_no_folder_of_the_machine_gets_out(made: Served) -> None:
    assert (
        made.client.get("/unwritable").json()["error"]["message"] == "The folder out.png cannot be written."
    )


def test_no_memory_is_an_answer_to_try_again(made: Served) -> None:
    answer = made.client.get("/memory")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "out_of_memory")
    assert answer.headers["retry-after"] == "5"


def test_unknown_addresses_and_methods_are_envelopes(made: Served) -> None:
    assert made.client.get("/api/v1/nowhere").json()["error"]["code"] == "not_found"
    answer = made.client.put("/api/v1/usage")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]


def test_wrong_fields_are_named(made: Served) -> None:
    answer = made.client.post("/api/v1/keys", json={"nam": "x", "scopes": ["root"]})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid_input"
    assert {item["field"] for item in error["details"]} == {"name", "nam", "scopes.0"}


def test_what_is_no_json_is_told_so(made: Served) -> None:
    answer = made.client.post("/api/v1/keys", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("The ")


def test_a_request_that_says_it_is_too_large_is_refused_unread(made: Served) -> None:
    answer = made.client.post(
        "/echo", content=b"x" * (MAX_JSON + 1), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "upload_too_large")


def test_a_request_is_counted_whatever_it_says(made: Served) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * (1 << 20)

    answer = made.client.post("/echo", content=body(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "upload_too_large")


def test_files_may_be_larger_than_json_up_to_the_limit(tmp_path: Path) -> None:
    with served(tmp_path, max_request_mb=10) as made:
        _add_routes(made.app)
        sizes = {}
        for size in (9 << 20, 11 << 20):
            answer = made.client.post("/echo", content=b"x" * size, headers={"Content-Type": "image/png"})
            sizes[size] = answer.status_code
    assert sizes == {9 << 20: 200, 11 << 20: 413}


def test_a_client_that_sends_nothing_is_let_go(made: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "IDLE", 0.05)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "raw_path": b"/echo",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
    }
    asyncio.run(made.app(scope, receive, send))
    assert sent[0]["status"] == 408


def test_head_has_the_headers_of_get_and_no_body(made: Served) -> None:
    for path in ("/livez", "/api/v1/usage", "/docs"):
        answer = made.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 0


def test_head_of_an_endless_stream_ends(made: Served) -> None:
    assert made.client.head("/endless").headers["content-type"].startswith("text/event-stream")


def test_the_log_says_who_did_what_without_the_query(made: Served) -> None:
    token = made.service.keys.create("reader", ["read"])
    made.client.get(
        "/api/v1/usage?days=3&signature=geheim", headers={"Authorization": f"Bearer {token.token}"}
    )
    line = made.lines()[-1]
    assert (line["event"], line["method"], line["status"]) == ("request", "GET", 200)
    assert (line["path"], line["route"]) == ("/api/v1/usage", "/api/v1/usage")
    assert line["key"] == token.key.id
    assert "geheim" not in made.log.getvalue()
    assert token.token not in made.log.getvalue()


def test_what_watches_the_process_does_not_fill_the_log(made: Served) -> None:
    made.client.get("/livez")
    assert made.lines() == []


def test_use_is_counted_for_the_owner(made: Served) -> None:
    made.client.get("/api/v1/usage")
    amounts = made.client.get("/api/v1/usage").json()["days"][0]["amounts"]
    assert amounts["requests"] == 1
    assert amounts["bytes_out"] > 0


def test_two_apps_share_nothing(tmp_path: Path) -> None:
    with (
        served(tmp_path / "a", auth="on") as one,
        served(tmp_path / "b", metrics=False, studio=False) as two,
    ):
        one.service.keys.create("only there")
        assert one.client.get("/api/v1/usage").status_code == 401
        assert two.client.get("/api/v1/usage").status_code == 200
        assert two.client.get("/metrics").status_code == 404
        assert two.service.keys.all() == []
        assert {line["status"] for line in one.lines()} == {401}
        assert {line["status"] for line in two.lines()} == {200, 404}


def test_a_request_and_the_job_that_it_began_are_one_trace(tmp_path: Path) -> None:
    kept = Kept()
    with working(tmp_path, tracing=open_tracing(NOWHERE, kept)) as made:
        headers = {"X-Request-Id": "mine", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        files = {"target": ("a.png", face_png())}
        answer = made.client.post("process", files=files, data={"processors": "inverter"}, headers=headers)
        assert answer.status_code == 200
    request = kept.named("POST /api/v1/process")
    assert attributes(request)["mien.request_id"] == "mine"
    assert attributes(request)["http.response.status_code"] == 200
    job, step = kept.named("job"), kept.named("step")
    assert attributes(job)["mien.outcome"] == "completed"
    assert attributes(step)["mien.processors"] == ("inverter",)
    assert {span.name for span in kept.spans} == {"POST /api/v1/process", "job", "step", "storage put"}
    traces = {format(span.get_span_context().trace_id, "032x") for span in kept.spans}  # type: ignore[union-attr]
    assert traces == {"a" * 32}
