"""Sorts errors into the kinds of failure that callers act on."""

from __future__ import annotations

from mien.errors import (
    Canceled,
    DatabaseUnavailable,
    InputError,
    MienError,
    ModelError,
    NoFace,
    OutOfMemory,
    OutputError,
    StorageError,
    StorageQuotaExceeded,
    TimedOut,
    UnsafeInput,
)
from mien.jobs.job import Failure, FailureKind

_KINDS: tuple[tuple[type[BaseException], FailureKind], ...] = (
    (NoFace, "no_face"),
    (UnsafeInput, "unsafe_input"),
    (InputError, "invalid_input"),
    (OutputError, "storage_error"),
    (StorageError, "storage_error"),
    (StorageQuotaExceeded, "storage_error"),
    (ModelError, "model_missing"),
    (MemoryError, "out_of_memory"),
    (Canceled, "canceled"),
    (TimedOut, "timeout"),
    (TimeoutError, "timeout"),
    (DatabaseUnavailable, "storage_error"),
)
"""The first that fits counts."""


def failure_of(error: BaseException, step: int | None = None) -> Failure:
    """The failure that an error is; what mien did not raise on purpose is internal."""
    kind: FailureKind = next((kind for group, kind in _KINDS if isinstance(error, group)), "internal")
    if isinstance(error, MienError):
        return Failure(kind, str(error), error.code, error.exit_code, error.retryable, step)
    if isinstance(error, MemoryError):
        return Failure(
            kind, "There was not enough memory.", OutOfMemory.code, OutOfMemory.exit_code, True, step
        )
    reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    return Failure(kind, f"Internal error ({reason}).", step=step)
