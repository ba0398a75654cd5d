from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.cli.service_flags import NOT_FLAGS, service_flags, service_settings
from mien.db import open_database
from mien.errors import OptionError, Unauthorized
from mien.service.keys import Keys
from mien.service.settings import ServiceSettings

Mien = Callable[..., int]


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_DATA_DIR", str(tmp_path / "data"))


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_every_setting_is_a_flag_but_for_those_that_must_not_be() -> None:
    assert {item.name for item in service_flags()} == set(ServiceSettings.model_fields) - set(NOT_FLAGS)


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_PORT", "1")
    monkeypatch.setenv("MIEN_STUDIO", "on")
    found = service_settings({"port": "0", "studio": False, "queues": ["videos"], "host": None}, role="api")
    assert (found.port, found.studio, found.queues, found.role) == (0, False, ("videos",), "api")


@pytest.mark.parametrize(
    ("values", "said"), [({"port": "many"}, "^--port is set"), ({"host": ""}, "^--host needs")]
)
def test_a_wrong_flag_is_named(values: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        service_settings(values)


def test_a_wrong_variable_is_named_by_the_command(
    mien: Mien, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIEN_WORKERS", "none")
    assert mien("serve") == OptionError.exit_code
    assert capsys.readouterr().err.startswith("mien: MIEN_WORKERS is set to a value that cannot be used")


def test_a_database_of_an_unknown_kind_is_one_sentence(
    mien: Mien, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mien("api", "--port", "0", "--database-url", "mysql://x/y") == OptionError.exit_code
    assert capsys.readouterr().err.count("\n") == 1


def test_settings_tell_where_values_come_from_and_hide_secrets(
    mien: Mien, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FF_MAX_UPLOAD_SIZE_MB", "7")
    monkeypatch.setenv("MIEN_DATABASE_URL", "postgresql://mien:geheim@db/mien")
    monkeypatch.setenv("MIEN_WEBHOOK_SECRET", "whsec_geheim")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    assert mien("settings", "--json") == 0
    text = capsys.readouterr().out
    rows = {row["variables"][0]: row for row in json.loads(text)}
    assert "geheim" not in text
    upload = rows["MIEN_MAX_UPLOAD_MB"]
    assert (upload["value"], upload["from"]) == (7, "FF_MAX_UPLOAD_SIZE_MB")
    assert rows["MIEN_DATABASE_URL"]["value"] == "postgresql://mien:***@db/mien"
    assert rows["MIEN_PORT"]["from"] == "default"
    assert rows["AWS_SECRET_ACCESS_KEY"]["value"] == "***"


def test_settings_can_be_searched(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("settings", "max_queue", "--json") == 0
    assert [row["variables"] for row in _json(capsys)] == [["MIEN_MAX_QUEUE"], ["MIEN_MAX_QUEUE_PER_KEY"]]


def test_a_key_is_made_listed_rotated_and_revoked(
    mien: Mien, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = (
        "keys",
        "create",
        "--scope",
        "read",
        "--name",
        "phone",
        "--limit",
        "jobs_per_day=3",
        "--expires",
        "90d",
    )
    assert mien(*words, "--json") == 0
    made = _json(capsys)
    assert (made["scopes"], made["limits"]) == (["read"], {"jobs_per_day": 3.0})
    assert mien("keys", "rotate", made["id"], "--grace", "1h", "--json") == 0
    new = _json(capsys)
    assert mien("keys", "revoke", made["id"], "--json") == 0
    assert _json(capsys)["status"] == "revoked"
    assert mien("keys", "list", "--json") == 0
    listed = _json(capsys)
    assert {row["id"]: row["status"] for row in listed} == {new["id"]: "active", made["id"]: "revoked"}
    assert "key" not in listed[0]
    database = open_database(f"sqlite:///{tmp_path}/data/mien.db")
    try:
        assert Keys(database).caller(new["key"]).owner == made["owner"]
        with pytest.raises(Unauthorized):
            Keys(database).caller(made["key"])
    finally:
        database.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scope", "root"), "'root' is none"),
        (("folder", "--scope", "read"), "A FOLDER is for signing keys"),
        (("--scope", "read", "--expires", "soon"), "--expires takes a time"),
        (("--scope", "read", "--limit", "speed=1"), "no limit of a key"),
        (("--scope", "read", "--limit", "max_queue"), "NAME=NUMBER"),
    ],
)
def test_a_wrong_key_is_refused_in_one_sentence(
    mien: Mien, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert mien("keys", "create", *words) == OptionError.exit_code
    assert said in capsys.readouterr().err


def test_the_help_keeps_the_two_kinds_of_keys_apart(mien: Mien, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien("keys", "create", "--help") == 0
    text = capsys.readouterr().out
    assert "with --scope" in text
    assert "signs" in text
