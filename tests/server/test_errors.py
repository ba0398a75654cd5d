from __future__ import annotations

import io
import json
from typing import Any

import pytest

from mien.errors import (
    DatabaseUnavailable,
    InputError,
    MienError,
    NoFace,
    OutOfMemory,
    OutputNotWritable,
    RateLimited,
    Unauthorized,
)
from mien.server.errors import AGAIN, DATABASE, INTERNAL, answer, problems
from mien.service.logs import open_log
from mien.service.settings import ServiceSettings


class Told:
    """What the client and the log are told of an error."""

    def __init__(self, error: Exception) -> None:
        log = io.StringIO()
        response = answer(error, "req_1", open_log(ServiceSettings(log_format="json"), log))
        self.status, self.headers = response.status_code, response.headers
        self.error: dict[str, Any] = json.loads(response.body)["error"]
        self.lines = [json.loads(line) for line in log.getvalue().splitlines()]


def test_an_error_of_the_request_is_told_and_not_logged() -> None:
    error = InputError("The field is wrong.")
    error.details = (("steps.0.target", "It is missing in /srv/data/a.png."),)
    told = Told(error)
    assert told.status == InputError.http_status
    assert told.error == {
        "code": error.code,
        "message": "The field is wrong.",
        "details": [{"field": "steps.0.target", "message": "It is missing in a.png."}],
        "request_id": "req_1",
    }
    assert told.headers["cache-control"] == "no-store"
    assert told.lines == []


def test_a_defect_is_told_without_a_word_of_it_and_logged_with_its_place() -> None:
    try:
        raise ValueError("password=secret in /srv/mien/app.py")
    except ValueError as error:
        told = Told(error)
    assert (told.status, told.error["code"], told.error["message"]) == (500, "internal", INTERNAL)
    assert "secret" not in json.dumps(told.error)
    (line,) = told.lines
    assert (line["event"], line["request_id"], line["level"]) == ("request_failed", "req_1", "error")
    assert "ValueError" in line["exception"]


def test_what_is_wrong_with_the_service_is_logged_with_its_sentence() -> None:
    told = Told(DatabaseUnavailable("postgresql://mien@db.internal/mien does not answer."))
    assert (told.status, told.error["message"]) == (503, DATABASE)
    assert told.headers["retry-after"] == str(int(AGAIN))
    assert "db.internal" in told.lines[0]["reason"]
    assert told.lines[0]["level"] == "warning"


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.2, "2"), (30.0, "30")])
def test_retry_after_is_whole_seconds_and_never_too_early(seconds: float, header: str) -> None:
    told = Told(RateLimited("Slower.", seconds))
    assert (told.status, told.headers["retry-after"]) == (429, header)
    assert told.lines == []


def test_who_is_not_known_is_asked_for_a_key() -> None:
    assert Told(Unauthorized("Send a key.")).headers["www-authenticate"] == 'Bearer realm="mien"'
    assert "www-authenticate" not in Told(NoFace("None.")).headers


def test_memory_that_ran_out_is_no_defect() -> None:
    told = Told(MemoryError())
    assert (told.status, told.error["code"]) == (OutOfMemory.http_status, OutOfMemory.code)


@pytest.mark.parametrize(
    ("sentence", "public"),
    [
        ("The file /srv/data/x/face.png cannot be read.", "The file face.png cannot be read."),
        ("Copied file:///srv/a.png to /tmp/b/c.png, twice.", "Copied a.png to c.png, twice."),
        ("Fetching https://example.org/a/b.png failed.", "Fetching https://example.org/a/b.png failed."),
        ("Send image/png or 3/4 of it.", "Send image/png or 3/4 of it."),
    ],
)
def test_folders_of_the_machine_are_taken_out_and_addresses_stay(sentence: str, public: str) -> None:
    assert Told(OutputNotWritable(sentence)).error["message"] == public


def test_every_error_has_an_answer_in_the_envelope() -> None:
    def heirs(kind: type[MienError]) -> set[type[MienError]]:
        return {kind}.union(*(heirs(child) for child in kind.__subclasses__()))

    for kind in heirs(MienError):
        assert 400 <= kind.http_status < 600, kind
        assert kind.code.isidentifier(), kind


def test_a_route_declares_the_envelope_for_each_status() -> None:
    found = problems(404, 503)
    assert {status: item["description"] for status, item in found.items()} == {
        404: "Not Found",
        503: "Service Unavailable",
    }
    assert {item["model"].__name__ for item in found.values()} == {"ErrorEnvelope"}
