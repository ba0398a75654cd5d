from __future__ import annotations

import pytest

from mien.db import Database
from mien.errors import RateLimited, Unauthorized
from mien.service.access import FAILURES, Access
from mien.service.callers import LOCAL
from mien.service.keys import Keys
from mien.service.sessions import Sessions
from mien.service.settings import ServiceSettings
from tests.service.clocks import Clock

WRONG = "mien_aaaaaaaaaaaa_bbbb"


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database)


def _access(database: Database, keys: Keys, clock: Clock | None = None, **settings: str) -> Access:
    given = ServiceSettings.model_validate(settings)
    return Access(given, keys, Sessions(database, keys), clock or Clock(0.0))


@pytest.mark.parametrize(
    ("host", "auth", "required"),
    [
        ("127.0.0.1", "auto", False),
        ("::1", "auto", False),
        ("0.0.0.0", "auto", True),
        ("mien.example.org", "auto", True),
        ("127.0.0.1", "on", True),
        ("0.0.0.0", "off", False),
    ],
)
def test_without_any_key_the_address_decides(
    database: Database, keys: Keys, host: str, auth: str, required: bool
) -> None:
    access = _access(database, keys, host=host, auth=auth)
    assert access.required() is required
    if required:
        with pytest.raises(Unauthorized, match="mien keys create"):
            access.caller(None, None, "10.0.0.1")
    else:
        assert access.caller(None, None, "10.0.0.1") == LOCAL


def test_from_the_first_key_on_everybody_needs_one(database: Database, keys: Keys) -> None:
    access = _access(database, keys)
    made = keys.create("first")
    assert access.required()
    with pytest.raises(Unauthorized):
        access.caller(None, None, "127.0.0.1")
    assert access.caller(made.token, None, "127.0.0.1").key_id == made.key.id
    assert access.remembered(made.token, None) is not None


def test_a_session_counts_where_there_is_no_key(database: Database, keys: Keys) -> None:
    made, other = keys.create("first"), keys.create("second")
    access, sessions = _access(database, keys), Sessions(database, keys)
    token = sessions.begin(made.token).token
    assert access.caller(None, token, "a").key_id == made.key.id
    assert access.caller(other.token, token, "a").key_id == other.key.id
    assert access.remembered(None, token) is not None
    with pytest.raises(Unauthorized):
        access.caller(None, "wrong", "a")


def test_a_wrong_key_is_refused_also_where_none_is_needed(database: Database, keys: Keys) -> None:
    with pytest.raises(Unauthorized):
        _access(database, keys).caller(WRONG, None, "a")


def test_an_address_that_guesses_is_slowed_down_and_no_other(database: Database, keys: Keys) -> None:
    clock = Clock(0.0)
    access = _access(database, keys, clock)
    known, fresh = keys.create("known").token, keys.create("fresh").token
    access.caller(known, None, "guesser")
    for _ in range(FAILURES + 1):
        with pytest.raises(Unauthorized):
            access.caller(WRONG, None, "guesser")
    with pytest.raises(RateLimited) as caught:
        access.caller(fresh, None, "guesser")
    access.caller(known, None, "guesser")
    access.caller(fresh, None, "elsewhere")
    clock.pass_time(caught.value.retry_after + 0.01)
    with pytest.raises(Unauthorized):
        access.caller(WRONG, None, "guesser")


def test_where_nobody_needs_a_key_the_database_is_asked_once_in_a_while(
    database: Database, keys: Keys
) -> None:
    access = _access(database, keys)
    assert access.remembered(None, None) is None
    assert access.caller(None, None, "10.0.0.1") == LOCAL
    assert access.remembered(None, None) == LOCAL
    keys.create("first")
    assert access.remembered(None, None) is None
    assert _access(database, keys, auth="off").remembered(None, None) == LOCAL
    assert _access(database, keys, auth="on").remembered(None, None) is None
