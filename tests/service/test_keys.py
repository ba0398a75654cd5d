from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from mien.db import Database
from mien.db.tables import api_keys
from mien.errors import NotFound, OptionError, Unauthorized
from mien.service.keys import FRESH, USED_EVERY, Keys
from tests.service.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(database: Database, clock: Clock) -> Keys:
    return Keys(database, clock)


def test_a_new_key_is_known_by_its_token(keys: Keys) -> None:
    made = keys.create("studio", ["submit"], limits={"max_queue": 3})
    assert re.fullmatch(r"mien_[0-9a-z]{12}_[0-9a-f]{64}", made.token)
    caller = keys.caller(made.token)
    assert (caller.key_id, caller.owner) == (made.key.id, made.key.id)
    assert caller.scopes == {"submit"}
    assert caller.limits == {"max_queue": 3}


def test_the_secret_is_stored_nowhere_and_not_shown_by_accident(keys: Keys, database: Database) -> None:
    made = keys.create("studio")
    secret = made.token.rpartition("_")[2]
    assert secret not in repr(made)
    with database.read() as connection:
        stored = connection.execute(sa.select(api_keys)).one()
    assert secret not in str(stored)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
        lambda token: token.rpartition("_")[0],
        lambda token: token.rpartition("_")[0] + "_",
        lambda token: "other" + token,
        lambda token: "mien_unknown_" + token.rpartition("_")[2],
        lambda token: "",
        lambda token: "mien__",
        lambda token: "\udcff" + token,
    ],
)
def test_what_is_not_the_key_is_refused(keys: Keys, change: object) -> None:
    token = keys.create("studio").token
    with pytest.raises(Unauthorized):
        keys.caller(change(token))  # type: ignore[operator]


def test_keys_exist_from_the_first_one_on_also_when_it_was_revoked(keys: Keys, clock: Clock) -> None:
    assert not keys.exist()
    keys.revoke(keys.create("first").key.id)
    clock.pass_time(FRESH)
    assert keys.exist()


def test_a_key_made_by_another_process_is_noticed(keys: Keys, database: Database, clock: Clock) -> None:
    assert not keys.exist()
    Keys(database).create("elsewhere")
    clock.pass_time(FRESH)
    assert keys.exist()


def test_an_expired_key_is_refused_at_its_moment(keys: Keys, clock: Clock) -> None:
    token = keys.create("short", expires_in=60).token
    clock.pass_time(59.9)
    keys.caller(token)
    clock.pass_time(0.2)
    with pytest.raises(Unauthorized, match="has expired"):
        keys.caller(token)


def test_a_revoked_key_is_refused_at_once(keys: Keys) -> None:
    made = keys.create("studio")
    keys.caller(made.token)
    assert keys.revoke(made.key.id).revoked_at is not None
    with pytest.raises(Unauthorized, match="has been revoked"):
        keys.caller(made.token)


def test_a_key_that_another_process_revoked_is_refused_within_seconds(
    keys: Keys, database: Database, clock: Clock
) -> None:
    made = keys.create("studio")
    keys.caller(made.token)
    Keys(database).revoke(made.key.id)
    clock.pass_time(FRESH)
    assert keys.remembered(made.token) is None
    with pytest.raises(Unauthorized):
        keys.caller(made.token)
    assert not keys.worked_before(made.token)


def test_rotating_keeps_owner_and_rights_and_the_old_key_for_a_while(keys: Keys, clock: Clock) -> None:
    old = keys.create("studio", ["admin"], limits={"jobs_per_day": 5})
    new = keys.rotate(old.key.id, grace=100)
    assert keys.caller(new.token).owner == old.key.owner
    assert (new.key.scopes, new.key.limits) == (("admin",), {"jobs_per_day": 5})
    clock.pass_time(99)
    keys.caller(old.token)
    clock.pass_time(2)
    with pytest.raises(Unauthorized):
        keys.caller(old.token)
    keys.caller(new.token)


def test_rotating_does_not_lengthen_the_life_of_a_key(keys: Keys, clock: Clock) -> None:
    old = keys.create("studio", expires_in=10)
    new = keys.rotate(old.key.id, grace=100)
    assert keys.get(old.key.id).expires_at == new.key.expires_at == clock.moment + 10


def test_keys_that_are_good_for_nothing_cannot_be_rotated(keys: Keys) -> None:
    made = keys.create("studio")
    keys.revoke(made.key.id)
    with pytest.raises(NotFound):
        keys.rotate(made.key.id)
    with pytest.raises(NotFound):
        keys.rotate("unknown")
    with pytest.raises(NotFound):
        keys.revoke("unknown")
    with pytest.raises(NotFound):
        keys.get("unknown")


def test_use_is_noted_once_a_minute(keys: Keys, clock: Clock) -> None:
    made = keys.create("studio")
    keys.caller(made.token)
    first = keys.get(made.key.id).used_at
    assert first == clock.moment
    clock.pass_time(USED_EVERY / 2)
    keys.caller(made.token)
    assert keys.get(made.key.id).used_at == first
    clock.pass_time(USED_EVERY)
    keys.caller(made.token)
    assert keys.get(made.key.id).used_at == clock.moment


def test_a_key_that_was_just_seen_needs_no_database(keys: Keys, database: Database) -> None:
    token = keys.create("studio").token
    keys.caller(token)
    database.close()
    with database.engine.connect() as connection:
        connection.execute(sa.text("DROP TABLE api_keys"))
        connection.commit()
    assert keys.remembered(token) is not None


def test_a_key_with_unknown_scopes_is_not_made(keys: Keys) -> None:
    with pytest.raises(OptionError):
        keys.create("studio", ["everything"])
    assert keys.all() == []


def test_the_newest_key_is_listed_first(keys: Keys, clock: Clock) -> None:
    keys.create("old")
    clock.pass_time(1)
    keys.create("new")
    assert [key.name for key in keys.all()] == ["new", "old"]
