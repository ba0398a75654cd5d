from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from mien.errors import DatabaseUnavailable
from mien.jobs.database import DatabaseStore
from tests.server.served import Served, code_of

INVERT = {"processors": ["inverter"]}
Event = tuple[str, dict[str, Any], str | None]


def events(lines: Iterator[str]) -> Iterator[Event]:
    """The events of a stream: type, data and id."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], json.loads(fields["data"]), fields.get("id")
            fields = {}
        else:
            fields = {}


def read(client: httpx2.Client, path: str, **headers: str) -> list[Event]:
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(events(answer.iter_lines()))


def test_a_snapshot_comes_first_and_the_stream_ends_with_the_job(working: Served) -> None:
    job = working.submit(**INVERT, target=working.upload(), options={"inverter_delay": 0.3})
    found = read(working.client, f"jobs/{job['id']}/events")
    assert found[0][0] == "snapshot"
    assert found[0][1]["id"] == job["id"]
    types = [type for type, _, _ in found]
    assert types[-1] == "result"
    assert [data["status"] for type, data, _ in found if type == "status"][-1] == "completed"
    (result,) = found[-1][1]["results"]
    assert result["url"] == f"/api/v1/jobs/{job['id']}/result?index=0"
    numbers = [int(id) for _, _, id in found if id is not None]
    assert numbers == sorted(set(numbers))


def test_who_comes_back_gets_what_was_missed(working: Served) -> None:
    job = working.submit(**INVERT, target=working.upload())
    working.wait(job["id"])
    path = f"jobs/{job['id']}/events"
    everything = read(working.client, path, **{"Last-Event-ID": "0"})
    assert [event[0] for event in everything[:2]] == ["snapshot", "status"]
    assert everything[0][2] is None
    middle = everything[3][2]
    assert middle is not None
    assert read(working.client, path, **{"Last-Event-ID": middle})[1:] == everything[4:]
    assert read(working.client, f"{path}?after={middle}")[1:] == everything[4:]
    last = everything[-1][2]
    assert last is not None
    over = working.client.get(path, headers={"Last-Event-ID": last})
    assert over.status_code == 204
    assert [event[0] for event in read(working.client, path)] == ["snapshot"]


def test_a_board_sees_every_change_of_its_owner(working: Served) -> None:
    with working.client.stream("GET", "events", timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        job = working.submit(**INVERT, target=working.upload())
        for type, data, _ in events(lines):
            assert type == "job"
            if data["id"] == job["id"] and data["status"] == "completed":
                assert data["results"]
                assert data["steps"] == []
                break


def test_a_board_hears_later_what_could_not_be_read(working: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, away = DatabaseStore.rows, threading.Event()

    def read_rows(self: DatabaseStore, *args: Any) -> Any:
        if away.is_set():
            raise DatabaseUnavailable("The database is away.")
        return rows(self, *args)

    monkeypatch.setattr(DatabaseStore, "rows", read_rows)
    with working.client.stream("GET", "events", timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        away.set()
        job = working.submit(**INVERT, target=working.upload())
        working.wait(job["id"])
        away.clear()
        assert next(data["status"] for _, data, _ in events(lines) if data["id"] == job["id"]) == "completed"


def test_the_log_tells_it_in_lines(working: Served) -> None:
    job = working.submit(**INVERT, target=working.upload())
    working.wait(job["id"])
    lines = working.client.get(f"jobs/{job['id']}/log").text.splitlines()
    assert "status: status queued" in lines[0]
    assert any("status: status completed" in line for line in lines)


def test_wrong_ids_are_refused(working: Served) -> None:
    assert code_of(working.client.get("jobs/job_none/events")) == (404, "job_missing")
    job = working.submit(**INVERT, target=working.upload())
    wrong = working.client.get(f"jobs/{job['id']}/events", headers={"Last-Event-ID": "x"})
    assert code_of(wrong) == (422, "invalid_input")
