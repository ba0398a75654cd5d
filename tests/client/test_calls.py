from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from mien.client import calls
from mien.errors import InputMissing, OptionError


@pytest.mark.parametrize(
    ("call", "line", "once"),
    [
        (calls.submit({}), "POST /api/v1/jobs", True),
        (calls.submit_batch({}), "POST /api/v1/batches", True),
        (calls.download_models(["x"]), "POST /api/v1/models/download", True),
        (calls.act("j", "retry"), "POST /api/v1/jobs/j/retry", False),
        (calls.delete_job("j"), "DELETE /api/v1/jobs/j", True),
        (calls.asset("a"), "GET /api/v1/assets/a", True),
        (calls.delete_asset("a"), "DELETE /api/v1/assets/a", True),
        (calls.estimate({}), "POST /api/v1/estimate", False),
        (calls.batch("b"), "GET /api/v1/batches/b", True),
        (calls.capabilities(), "GET /api/v1/capabilities", True),
        (calls.system(), "GET /api/v1/system", True),
    ],
)
def test_where_calls_go_and_which_may_be_repeated(call: calls.Call[object], line: str, once: bool) -> None:
    assert f"{call.method} {call.path}" == line
    assert call.may_be_repeated is once


def test_one_key_means_one_job() -> None:
    assert calls.submit({}, "k").headers["Idempotency-Key"] == "k"
    assert calls.submit({}).headers != calls.submit({}).headers


def test_models_are_read() -> None:
    entry = {
        "id": "m",
        "title": "M",
        "processors": ["p"],
        "family": "f",
        "families": [],
        "installed": True,
        "state": "here",
        "licence": "Apache-2.0",
        "vendor": "v",
        "year": 2026,
        "homepage": "",
        "commercial_use": True,
        "allowed": True,
    }
    (found,) = calls.models().read(httpx2.Response(200, json=[entry]))
    assert (found.id, found.installed) == ("m", True)


def test_files_must_be_there(tmp_path: Path) -> None:
    for make in (calls.upload, calls.detect, calls.verify):
        with pytest.raises(InputMissing):
            make(tmp_path)  # type: ignore[operator]
    (tmp_path / "a").write_text("x")
    assert calls.detect(tmp_path / "a", frame=3, options={"o": 1}).form == {
        "frame": "3",
        "options": '{"o": 1}',
    }
    assert calls.verify(tmp_path / "a").files == calls.upload(tmp_path / "a").files


def test_addresses_of_services() -> None:
    assert calls.check_url("https://a/b/") == "https://a/b"
    with pytest.raises(OptionError):
        calls.check_url("a")
