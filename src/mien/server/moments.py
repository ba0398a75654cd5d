"""Moments as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def moment(seconds: float) -> str: ...
@overload
def moment(seconds: None) -> None: ...
@overload
def moment(seconds: float | None) -> str | None: ...


def moment(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 has them, in UTC, with milliseconds."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
