"""What an answer of the service means: a value, an error, or that the same request is worth another try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mien import errors
from mien.errors import MienError, RemoteFailed, TryLater
from mien.server.schemas.jobs import Job

if TYPE_CHECKING:
    from httpx2 import Response

PASSING: Final = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed."""
CONFLICT: Final = 409
"""The same with the header Retry-After: the first try of the request is still being done."""
LONGEST_PAUSE: Final = 60.0
"""Seconds."""


def error_of(response: Response) -> MienError:
    """The error that an answer reports; its body has been read."""
    try:
        body = response.json()["error"]
        code, message = str(body["code"]), str(body["message"])
        places = [f"{place['field']}: {place['message']}" for place in body.get("details") or ()]
    except (ValueError, KeyError, TypeError):
        return RemoteFailed(f"{response.url.host} answered with status {response.status_code}.")
    return error_named(code, " ".join([message, *places]), pause_of(response, 1))


def error_named(code: str, message: str, pause: float = 1.0) -> MienError:
    """The error of that code; a code that this version does not know is a RemoteFailed."""
    kind = errors.kind_of(code) or RemoteFailed
    return kind(message, pause) if issubclass(kind, TryLater) else kind(message)


def failure_of(job: Job) -> MienError | None:
    """Why a job that has ended did not complete; None when it did."""
    if job.status == "completed":
        return None
    if job.failure is None:
        return errors.Canceled(f"The job {job.id} was canceled.")
    return error_named(job.failure.code, job.failure.message)


def may_pass(response: Response) -> bool:
    """Whether the same request may succeed after a pause."""
    if response.status_code == CONFLICT:
        return "retry-after" in response.headers
    return response.status_code in PASSING


def pause_of(response: Response, attempt: int) -> float:
    """Seconds to wait before try number ``attempt`` + 1: what the service asks for, or a growing pause."""
    try:
        asked = float(response.headers.get("retry-after", ""))
    except ValueError:
        asked = growing_pause(attempt)
    return min(max(asked, 0.05), LONGEST_PAUSE)


def growing_pause(attempt: int) -> float:
    """Seconds to wait after try number ``attempt`` when nobody says how long."""
    return 0.25 * 2.0**attempt


def unreachable(url: str, error: Exception) -> RemoteFailed:
    """The error for a service that did not answer."""
    reason = str(error).strip() or type(error).__name__
    return RemoteFailed(f"The service at {url} cannot be reached: {reason.rstrip('.')}.")
