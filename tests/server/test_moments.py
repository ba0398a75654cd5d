from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.server.moments import moment


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_785_585_600.25, "2026-08-01T12:00:00.250Z"),
        (1_785_585_600, "2026-08-01T12:00:00.000Z"),
    ],
)
def test_moments_are_written_in_utc_with_milliseconds(seconds: float, text: str) -> None:
    assert moment(seconds) == text


def test_no_moment_is_none() -> None:
    assert moment(None) is None


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_moments_can_be_read_back_and_sort_as_text(one: float, other: float) -> None:
    read = datetime.fromisoformat(moment(one))
    assert read.tzinfo == UTC
    assert abs(read.timestamp() - one) < 0.0011
    if one <= other:
        assert moment(one) <= moment(other)
