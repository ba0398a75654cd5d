from __future__ import annotations

import pytest

from mien.errors import OptionError
from mien.server.answers import sequence, wait_of


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 60),
        ("wait=5", 5),
        ("respond-async, wait=5", 5),
        ('foo; wait="2.5"', 2.5),
        ("wait=1000", 120),
        ("respond-async", 0),
        ("wait=0", 0),
        ("wait=-1", 60),
        ("await=5", 60),
    ],
)
def test_clients_say_how_long_they_wait(prefer: str | None, seconds: float) -> None:
    assert wait_of(prefer, 60, 120) == seconds


def test_cursors_of_jobs_are_numbers() -> None:
    assert sequence("12") == 12
    assert sequence(None) is None
    for wrong in ("", "-1", "1e3", "9" * 19):
        with pytest.raises(OptionError):
            sequence(wrong)
