from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from mien.client import Client, sync
from mien.client.answers import error_named
from mien.errors import InputMissing, JobError, NoFace, QueueFull, RemoteFailed, TimedOut, Unauthorized
from tests.client.service import Canned, answer, events, job, refusal


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(sync.time, "sleep", slept.append)
    return slept


def client(*answers: object, **more: object) -> tuple[Client, Canned]:
    canned = Canned(*answers)  # type: ignore[arg-type]
    return Client("http://service/", "mien_a_b", transport=httpx2.MockTransport(canned), **more), canned  # type: ignore[arg-type]


def test_a_key_is_sent_and_an_answer_read() -> None:
    with client(answer(job("queued")))[0] as mien:
        assert mien.job("job_1").status == "queued"
    made, canned = client(answer(job("queued")))
    made.job("a/../b")
    assert canned.lines == ["GET /api/v1/jobs/a%2F..%2Fb"]
    assert canned.asked[0].headers["authorization"] == "Bearer mien_a_b"


def test_refusals_are_the_errors_of_the_library() -> None:
    made, _ = client(refusal("no_face", 422, "There is no face in x."), refusal("unauthorized", 401))
    with pytest.raises(NoFace, match=r"There is no face in x\."):
        made.job("x")
    with pytest.raises(Unauthorized):
        made.job("x")


def test_a_page_of_a_proxy_is_an_error_too() -> None:
    made, _ = client(httpx2.Response(413, text="<html>"))
    with pytest.raises(RemoteFailed, match="status 413"):
        made.job("x")


def test_a_busy_service_is_asked_again_when_it_says(pauses: list[float]) -> None:
    made, canned = client(
        refusal("queue_full", 503, **{"retry-after": "2"}), httpx2.ReadError("cut"), answer(job("queued"))
    )
    assert made.submit({"target": "x"}).id == "job_1"
    assert pauses == [2.0, 1.0]
    keys = {request.headers["idempotency-key"] for request in canned.asked}
    assert len(keys) == 1


def test_a_request_that_is_still_being_done_is_asked_for_again(pauses: list[float]) -> None:
    made, canned = client(
        httpx2.ReadError("cut"),
        refusal("idempotency_conflict", 409, **{"retry-after": "5"}),
        answer(job("queued")),
        refusal("job_refused", 409),
    )
    assert made.submit({"target": "x"}).id == "job_1"
    assert pauses == [0.5, 5.0]
    with pytest.raises(JobError):
        made.submit({"target": "x"})
    assert len(canned.asked) == 4


def test_at_last_the_refusal_is_raised() -> None:
    made, canned = client(*[refusal("queue_full", 503) for _ in range(4)])
    with pytest.raises(QueueFull):
        made.submit({})
    assert len(canned.asked) == 4


def test_what_must_not_happen_twice_is_not_sent_twice() -> None:
    made, canned = client(httpx2.ReadError("cut"))
    with pytest.raises(RemoteFailed, match="The service at http://service cannot be reached: cut"):
        made.cancel("x")
    made, canned = client(httpx2.ConnectError("refused"), answer(job("canceled")))
    assert made.cancel("x").status == "canceled"
    assert len(canned.asked) == 2


def test_files_are_sent_as_a_form(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    made, canned = client(refusal("try_later", 503), answer(job("queued")))
    made.process(
        [tmp_path / "a.jpg"],
        "https://x.org/b.jpg",
        processors=["p", "q"],
        options={"w": 1},
        consent_ref="c",
        wait=3,
    )
    body = canned.asked[1].read().decode()
    for part in ('name="source"; filename="a.jpg"', "picture", 'name="target_url"', "https://x.org/b.jpg"):
        assert part in body
    assert body.count('name="processors"') == 2
    assert '{"w": 1}' in body
    assert canned.asked[1].headers["prefer"] == "wait=3"
    with pytest.raises(InputMissing):
        made.process([], tmp_path / "none.jpg")


def test_waiting_follows_the_events_over_broken_connections() -> None:
    seen = []
    made, canned = client(
        answer(job("queued")),
        events(
            ("snapshot", job("queued")), ("progress", {"stage": "process", "done": 1, "total": 2, "fps": 3.5})
        ),
        answer(job("running")),
        httpx2.ReadError("cut"),
        answer(job("running")),
        events(
            ("snapshot", job("running", progress={"done": 2, "total": 2})),
            ("status", {"status": "completed"}),
        ),
        answer(job("completed")),
    )
    assert made.wait("job_1", on_progress=seen.append).status == "completed"
    assert [progress.done for progress in seen] == [1, 2]
    assert canned.asked[3].headers["last-event-id"] == "1"


def test_the_failure_of_a_job_is_raised_unless_not_wanted() -> None:
    failed = job(
        "failed",
        failure={
            "kind": "no_face",
            "code": "no_face",
            "message": "None there.",
            "retryable": False,
            "step": 0,
        },
    )
    made, _ = client(answer(failed), answer(failed), answer(job("canceled")))
    with pytest.raises(NoFace, match="None there"):
        made.wait("job_1")
    assert made.wait("job_1", check=False).failure is not None
    with pytest.raises(error_named("canceled", "").__class__):
        made.wait("job_1")


def test_waiting_ends_in_time() -> None:
    made, _ = client(answer(job("queued")))
    with pytest.raises(TimedOut, match="it goes on"):
        made.wait("job_1", timeout=-1)


def test_a_download_appears_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    made, _ = client(httpx2.Response(200, content=b"result"), refusal("not_found", 404))
    assert made.download("job_1", tmp_path / "o.png").read_bytes() == b"result"
    with pytest.raises(Exception, match=r"No\."):
        made.download("job_1", tmp_path / "p.png")
    assert [path.name for path in tmp_path.iterdir()] == ["o.png"]


def test_run_does_it_all(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    made, canned = client(
        answer(job("queued"), 202), answer(job("completed")), httpx2.Response(200, content=b"r")
    )
    made.run([], tmp_path / "a.jpg", tmp_path / "out.PNG", priority=1)
    assert (tmp_path / "out.PNG").read_bytes() == b"r"
    body = canned.asked[0].read().decode()
    assert 'name="format"\r\n\r\npng' in body
    assert 'name="priority"\r\n\r\n1' in body


def test_all_jobs_are_read_page_by_page() -> None:
    page = {"jobs": [job("queued")], "next_cursor": "c2"}
    made, canned = client(answer(page), answer({"jobs": [job("failed")], "next_cursor": None}))
    assert [found.status for found in made.every_job(status="x")] == ["queued", "failed"]
    assert canned.lines[1] == "GET /api/v1/jobs?status=x&cursor=c2"


def test_a_service_that_is_down_still_says_how_it_is() -> None:
    made, _ = client(answer({"status": "down", "checks": {}}, 503))
    assert made.health().status == "down"


def test_the_address_is_checked() -> None:
    with pytest.raises(ValueError, match="not the address"):
        Client("localhost:8080")
