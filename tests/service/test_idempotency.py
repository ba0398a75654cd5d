from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from mien.db import Database, tables
from mien.errors import IdempotencyConflict, IdempotencyMismatch, OptionError
from mien.service.idempotency import AGAIN, KEPT, LOCK, Answer, Idempotency, Slot, fingerprint, new_seed
from tests.service.clocks import Clock

ANSWER = Answer(201, {"id": "job_1"}, {"Location": "/api/v1/jobs/job_1"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(database: Database, clock: Clock) -> Iterator[Idempotency]:
    kept = Idempotency(database, clock)
    yield kept
    kept.close()


def test_the_answer_is_given_again(kept: Idempotency) -> None:
    slot = kept.begin("a", "key", "f")
    assert slot.answer is None
    kept.finish("a", "key", slot, ANSWER)
    again = kept.begin("a", "key", "f")
    assert (again.seed, again.answer) == (slot.seed, ANSWER)


def test_keys_belong_to_owners(kept: Idempotency) -> None:
    kept.finish("a", "key", kept.begin("a", "key", "f"), ANSWER)
    assert kept.begin("b", "key", "g").answer is None


def test_while_the_first_is_under_way_the_second_waits(kept: Idempotency) -> None:
    kept.begin("a", "key", "f")
    with pytest.raises(IdempotencyConflict) as caught:
        kept.begin("a", "key", "f")
    assert caught.value.retry_after == AGAIN


def test_another_request_needs_another_key(kept: Idempotency) -> None:
    slot = kept.begin("a", "key", "f")
    with pytest.raises(IdempotencyMismatch):
        kept.begin("a", "key", "other")
    kept.finish("a", "key", slot, ANSWER)
    with pytest.raises(IdempotencyMismatch):
        kept.begin("a", "key", "other")


def test_a_request_that_was_refused_frees_its_key(kept: Idempotency) -> None:
    kept.abandon("a", "key", kept.begin("a", "key", "f"), refused=True)
    assert kept.begin("a", "key", "other").answer is None


def test_a_request_that_broke_off_is_done_anew_under_the_same_name(kept: Idempotency) -> None:
    slot = kept.begin("a", "key", "f")
    kept.abandon("a", "key", slot, refused=False)
    with pytest.raises(IdempotencyMismatch):
        kept.begin("a", "key", "other")
    again = kept.begin("a", "key", "f")
    assert (again.seed, again.answer) == (slot.seed, None)


def test_after_a_crash_the_request_is_done_anew_under_the_same_name(kept: Idempotency, clock: Clock) -> None:
    slot = kept.begin("a", "key", "f")
    clock.pass_time(LOCK - 1)
    with pytest.raises(IdempotencyConflict):
        kept.begin("a", "key", "f")
    clock.pass_time(2)
    again = kept.begin("a", "key", "f")
    assert (again.seed, again.answer) == (slot.seed, None)
    with pytest.raises(IdempotencyConflict):
        kept.begin("a", "key", "f")


def test_a_long_request_keeps_its_key_as_long_as_its_process_lives(kept: Idempotency, clock: Clock) -> None:
    slot = kept.begin("a", "key", "f")
    for _ in range(3):
        clock.pass_time(LOCK - 1)
        kept.renew()
    with pytest.raises(IdempotencyConflict):
        kept.begin("a", "key", "f")
    kept.finish("a", "key", slot, ANSWER)
    kept.renew()
    assert kept.begin("a", "key", "f").answer == ANSWER


def test_near_the_end_of_a_lock_it_is_worth_asking_sooner(kept: Idempotency, clock: Clock) -> None:
    kept.begin("a", "key", "f")
    clock.pass_time(LOCK - 2)
    with pytest.raises(IdempotencyConflict) as caught:
        kept.begin("a", "key", "f")
    assert caught.value.retry_after == pytest.approx(2)


def test_one_thread_renews_all_locks_and_ends_with_the_last_of_them(database: Database) -> None:
    others, kept = _lock_threads(), Idempotency(database, beat=0.05)
    slots = {key: kept.begin("a", key, "f") for key in ("one", "two", "three")}
    begun = _locks(database)
    _wait(lambda: all(until > begun[key] for key, until in _locks(database).items()))
    (thread,) = _lock_threads() - others
    for key, slot in slots.items():
        kept.finish("a", key, slot, ANSWER)
    _wait(lambda: not thread.is_alive())
    again = kept.begin("a", "four", "f")
    begun = _locks(database)
    _wait(lambda: _locks(database)["four"] > begun["four"])
    kept.abandon("a", "four", again, refused=True)
    kept.close()


def test_a_renewal_does_not_bring_back_what_was_given_up(kept: Idempotency, clock: Clock) -> None:
    """As when a request breaks off in the moment in which its lock is renewed."""
    slot = kept.begin("a", "key", "f")
    kept.abandon("a", "key", slot, refused=False)
    kept._hold(slot.holder, ("a", "key"))
    kept.renew()
    assert kept.begin("a", "key", "f").seed == slot.seed


def test_who_was_believed_dead_does_not_write_over_his_successor(kept: Idempotency, clock: Clock) -> None:
    late = kept.begin("a", "key", "f")
    clock.pass_time(LOCK + 1)
    successor = kept.begin("a", "key", "f")
    kept.finish("a", "key", late, Answer(500, {}, {}))
    kept.renew()
    kept.abandon("a", "key", late, refused=True)
    with pytest.raises(IdempotencyConflict):
        kept.begin("a", "key", "f")
    kept.finish("a", "key", successor, ANSWER)
    assert kept.begin("a", "key", "f").answer == ANSWER


def test_a_day_later_the_key_is_new(kept: Idempotency, clock: Clock) -> None:
    kept.finish("a", "key", kept.begin("a", "key", "f"), ANSWER)
    clock.pass_time(KEPT + 1)
    assert kept.begin("a", "key", "other").answer is None
    kept.finish("a", "old", kept.begin("a", "old", "f"), ANSWER)
    clock.pass_time(KEPT + 1)
    kept.prune()
    assert kept.begin("a", "old", "other").answer is None


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_keys_have_a_length(kept: Idempotency, key: str) -> None:
    with pytest.raises(OptionError, match="1 to 255 characters"):
        kept.begin("a", key, "f")


def test_of_many_at_once_one_does_the_work(kept: Idempotency) -> None:
    won: list[Slot] = []
    lost: list[Exception] = []

    def send() -> None:
        try:
            won.append(kept.begin("a", "key", "f"))
        except IdempotencyConflict as error:
            lost.append(error)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)


def test_json_is_told_apart_by_what_it_says() -> None:
    one = fingerprint("POST", "/x", {"a": 1, "b": [1, 2]})
    assert fingerprint("POST", "/x", {"b": [1, 2], "a": 1}) == one
    assert (
        len(
            {
                one,
                fingerprint("PUT", "/x", {"a": 1, "b": [1, 2]}),
                fingerprint("POST", "/x", {"b": [2, 1], "a": 1}),
            }
        )
        == 3
    )


@given(st.lists(st.integers(0, 4_000_000_000_000), min_size=2, max_size=20, unique=True))
def test_names_sort_by_time(moments: list[int]) -> None:
    seeds = [new_seed(moment / 1000) for moment in sorted(moments)]
    assert all(len(seed) == 26 for seed in seeds)
    assert seeds == sorted(seeds)


def _lock_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "mien-locks"}


def _locks(database: Database) -> dict[str, float]:
    columns = (tables.idempotency.c.key, tables.idempotency.c.locked_until)
    with database.read() as connection:
        return {row.key: row.locked_until for row in connection.execute(sa.select(*columns))}


def _wait(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)
