from __future__ import annotations

import pytest

from mien.errors import (
    Canceled,
    DiskFull,
    FetchError,
    MienError,
    NoFace,
    OutOfMemory,
    StorageQuotaExceeded,
    StorageRefused,
    TimedOut,
)
from mien.jobs.failures import failure_of
from mien.service.retrying import LONGEST_PAUSE, lost, pause_before_retry


@pytest.mark.parametrize("kind", [FetchError, OutOfMemory, DiskFull])
def test_what_may_pass_is_tried_again_after_pauses_that_grow_up_to_a_limit(kind: type[MienError]) -> None:
    failure = failure_of(kind("It may pass."))
    pauses = [pause_before_retry(failure, tries, 20) for tries in (1, 3, 5, 19)]
    assert None not in pauses
    found = [pause for pause in pauses if pause is not None]
    assert found[0] < found[1] < found[2] <= found[3] * 1.5
    assert found[3] <= LONGEST_PAUSE * 1.2
    assert pause_before_retry(failure, 3, 3) is None


@pytest.mark.parametrize("kind", [NoFace, Canceled, TimedOut, StorageRefused, StorageQuotaExceeded])
def test_what_stays_as_it_is_fails_at_once(kind: type[MienError]) -> None:
    assert pause_before_retry(failure_of(kind("It stays.")), 1, 20) is None


def test_a_defect_is_not_tried_again() -> None:
    assert pause_before_retry(failure_of(ZeroDivisionError("x")), 1, 20) is None


def test_a_job_that_its_workers_do_not_survive_may_be_retried_by_hand_only() -> None:
    failure = lost(3)
    assert (failure.kind, failure.retryable) == ("lost", True)
    assert "begun 3 times" in failure.message
    assert pause_before_retry(failure, 3, 20) is None
