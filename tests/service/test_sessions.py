from __future__ import annotations

import pytest
import sqlalchemy as sa

from mien.db import Database
from mien.db.tables import sessions as table
from mien.errors import Unauthorized
from mien.service.keys import FRESH, Keys
from mien.service.sessions import LIFETIME, Sessions
from tests.service.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(database: Database, clock: Clock) -> Keys:
    return Keys(database, clock)


@pytest.fixture
def sessions(database: Database, keys: Keys, clock: Clock) -> Sessions:
    return Sessions(database, keys, clock)


def test_a_session_stands_for_its_key(sessions: Sessions, keys: Keys) -> None:
    made = keys.create("browser", ["read"])
    begun = sessions.begin(made.token)
    found = sessions.find(begun.token)
    assert found is not None
    assert found[0].key_id == made.key.id
    assert begun.token not in repr(begun)


def test_a_wrong_key_begins_no_session(sessions: Sessions) -> None:
    with pytest.raises(Unauthorized):
        sessions.begin("mien_a_b")


def test_a_session_ends(sessions: Sessions, keys: Keys) -> None:
    token = sessions.begin(keys.create("browser").token).token
    sessions.find(token)
    sessions.end(token)
    sessions.end(token)
    assert sessions.find(token) is None
    assert sessions.remembered(token) is None


def test_a_session_ends_by_itself_and_is_cleared_away(
    sessions: Sessions, keys: Keys, clock: Clock, database: Database
) -> None:
    key = keys.create("browser").token
    begun = sessions.begin(key)
    clock.pass_time(LIFETIME + 1)
    assert sessions.find(begun.token) is None
    sessions.begin(key)
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 1


def test_a_session_ends_with_its_key(sessions: Sessions, keys: Keys, clock: Clock) -> None:
    made = keys.create("browser", expires_in=100)
    begun = sessions.begin(made.token)
    assert begun.expires_at == made.key.expires_at
    sessions.find(begun.token)
    assert sessions.remembered(begun.token) is not None
    keys.revoke(made.key.id)
    clock.pass_time(FRESH)
    assert sessions.remembered(begun.token) is None
    assert sessions.find(begun.token) is None


def test_nobody_guesses_a_session(sessions: Sessions) -> None:
    assert sessions.find("") is None
    assert sessions.find("\udcff") is None
