"""Every error that mien raises on purpose, in one tree.

    MienError
    ├── InputError                 invalid_input
    │   ├── OptionError            invalid_option
    │   ├── InputMissing           input_missing
    │   ├── UnsupportedMedia       unsupported_media
    │   ├── CorruptMedia           corrupt_media
    │   ├── MediaTooLarge          media_too_large
    │   ├── UnsafeInput            unsafe_input
    │   ├── FetchError             fetch_failed
    │   ├── NoFace                 no_face
    │   ├── WorkflowInvalid        invalid_workflow
    │   └── ConsentMissing         consent_missing
    ├── OutputError                output_failed
    │   ├── OutputNotWritable      output_not_writable
    │   ├── DiskFull               disk_full
    │   ├── OutputIsInput          output_is_input
    │   └── SigningFailed          signing_failed
    ├── ModelError                 model_failed
    │   ├── ModelUnknown           model_unknown
    │   ├── ModelMissing           model_missing
    │   ├── ModelCorrupt           model_corrupt
    │   └── ModelForbidden         model_forbidden
    ├── ProviderError              provider_failed
    ├── OutOfMemory                out_of_memory
    ├── StorageError               storage_error
    │   ├── StorageRefused         storage_refused
    │   └── StorageMissing         storage_missing
    ├── JobError                   job_refused
    │   ├── JobExists              job_exists
    │   ├── JobMissing             job_missing
    │   ├── JobBusy                job_busy
    │   └── JobUnreadable          job_unreadable
    ├── ComfyError                 comfyui_failed
    │   ├── ComfyUnreachable       comfyui_unreachable
    │   ├── ComfyLost              comfyui_lost
    │   └── NodeFailed             comfyui_node_failed
    ├── DatabaseUnavailable        database_unavailable
    ├── ServiceError               service_refused
    │   ├── Unauthorized           unauthorized
    │   ├── Forbidden              forbidden
    │   ├── NotFound               not_found
    │   │   └── AssetMissing       asset_missing
    │   ├── AssetInUse             asset_in_use
    │   ├── UploadIncomplete       upload_incomplete
    │   ├── UploadTooLarge         upload_too_large
    │   ├── IdempotencyMismatch    idempotency_mismatch
    │   ├── StorageQuotaExceeded   storage_quota_exceeded
    │   └── TryLater               try_later
    │       ├── IdempotencyConflict  idempotency_conflict
    │       ├── RateLimited        rate_limited
    │       ├── QuotaExceeded      quota_exceeded
    │       ├── QueueFull          queue_full
    │       └── NotReady           not_ready
    ├── TimedOut                   timed_out
    ├── RemoteFailed               remote_failed
    └── Canceled                   canceled

An error is one sentence for its reader: what is wrong with which input, and what to do. It knows its stable
``code``, the ``exit_code`` of the command line, the ``http_status`` of the service, and whether the same call may
succeed later (``retryable``). Code outside this tree that fails is a defect of mien: exit code 1, status 500.
"""

from __future__ import annotations

from typing import ClassVar


class MienError(Exception):
    """Root of all errors that mien raises on purpose; the message is one sentence for the user."""

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    details: tuple[tuple[str, str], ...] = ()
    """Fields of a request that are wrong, each with one sentence; empty where no field is to blame."""


class InputError(MienError, ValueError):
    """Something about the input is wrong; the same input will fail again."""

    code = "invalid_input"
    exit_code = 10
    http_status = 422


class OptionError(InputError):
    """An option has an unknown name or a value outside its range."""

    code = "invalid_option"
    exit_code = 2


class InputMissing(InputError, FileNotFoundError):
    """A named input file does not exist or cannot be opened."""

    code = "input_missing"
    exit_code = 11
    http_status = 404

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UnsupportedMedia(InputError):
    """The file is whole, but of a kind that mien does not read or write."""

    code = "unsupported_media"
    exit_code = 12
    http_status = 415


class CorruptMedia(InputError):
    """The file is empty, truncated, or is not what its name says."""

    code = "corrupt_media"
    exit_code = 13


class MediaTooLarge(InputError):
    """The file is over a limit of bytes, pixels or duration."""

    code = "media_too_large"
    exit_code = 14
    http_status = 413


class UnsafeInput(InputError):
    """The content policy, or the media allow-list, refuses the input."""

    code = "unsafe_input"
    exit_code = 15


class FetchError(InputError):
    """A URL gave no whole file: no connection, an error status, or an answer that broke off or took too long."""

    code = "fetch_failed"
    exit_code = 18
    http_status = 424
    retryable = True


class NoFace(InputError):
    """A face is needed and none was found."""

    code = "no_face"
    exit_code = 16


class WorkflowInvalid(InputError):
    """A workflow, its parameters or its graph do not fit together, or not the instance that is to run it."""

    code = "invalid_workflow"
    exit_code = 19


class ConsentMissing(InputError):
    """The settings ask for a reference to a consent, and there is none."""

    code = "consent_missing"
    exit_code = 17


class OutputError(MienError, OSError):
    """The result could not be written; nothing was left behind."""

    code = "output_failed"
    exit_code = 20

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class OutputNotWritable(OutputError):
    """The output folder is missing or read-only."""

    code = "output_not_writable"
    exit_code = 21


class DiskFull(OutputError):
    """The disk that holds the output or the work area is full."""

    code = "disk_full"
    exit_code = 22
    http_status = 507
    retryable = True


class OutputIsInput(OutputError):
    """The output path names one of the inputs."""

    code = "output_is_input"
    exit_code = 23
    http_status = 422


class SigningFailed(OutputError):
    """The output could not be signed as the settings ask; it was not written."""

    code = "signing_failed"
    exit_code = 24


class ModelError(MienError):
    """A model cannot be used."""

    code = "model_failed"
    exit_code = 30


class ModelUnknown(ModelError, KeyError):
    """The catalogue has no model of that name."""

    code = "model_unknown"
    exit_code = 31
    http_status = 422

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ModelMissing(ModelError):
    """The model is not here and could not be downloaded."""

    code = "model_missing"
    exit_code = 32
    http_status = 503
    retryable = True


class ModelCorrupt(ModelError):
    """The model file has the wrong hash, or is not a model of the expected shape."""

    code = "model_corrupt"
    exit_code = 33


class ModelForbidden(ModelError):
    """The settings forbid models with this licence."""

    code = "model_forbidden"
    exit_code = 34
    http_status = 403


class ProviderError(MienError):
    """An execution provider or an encoder that was asked for does not open on this machine."""

    code = "provider_failed"
    exit_code = 40


class OutOfMemory(MienError, MemoryError):
    """There was not enough memory on the device or the machine."""

    code = "out_of_memory"
    exit_code = 41
    http_status = 503
    retryable = True


class StorageError(MienError):
    """A storage did not do what was asked of it now; the same call may succeed later."""

    code = "storage_error"
    exit_code = 50
    http_status = 503
    retryable = True


class StorageRefused(StorageError):
    """A storage does not allow or cannot do what was asked: wrong settings, no right to it, the wrong kind of file."""

    code = "storage_refused"
    http_status = 500
    retryable = False


class StorageMissing(StorageError):
    """There is no such object in the storage."""

    code = "storage_missing"
    http_status = 404
    retryable = False


class JobError(MienError):
    """A job does not allow what was asked for in the state that it is in."""

    code = "job_refused"
    http_status = 409


class JobExists(JobError):
    """There is a job of that id already."""

    code = "job_exists"


class JobMissing(JobError):
    """There is no job of that id."""

    code = "job_missing"
    http_status = 404


class JobBusy(JobError):
    """Another process is running the job."""

    code = "job_busy"
    retryable = True


class JobUnreadable(JobError):
    """What is stored of the job cannot be understood."""

    code = "job_unreadable"
    http_status = 500


class ComfyError(MienError):
    """A ComfyUI instance did not do what was asked of it."""

    code = "comfyui_failed"
    exit_code = 60
    http_status = 502


class ComfyUnreachable(ComfyError):
    """A ComfyUI instance does not answer."""

    code = "comfyui_unreachable"
    exit_code = 61
    http_status = 503
    retryable = True


class ComfyLost(ComfyError):
    """A ComfyUI instance no longer knows what was submitted to it; it was restarted, or somebody removed it."""

    code = "comfyui_lost"
    exit_code = 62
    http_status = 503
    retryable = True


class NodeFailed(ComfyError):
    """A node of a workflow failed."""

    code = "comfyui_node_failed"
    exit_code = 63


class DatabaseUnavailable(MienError):
    """The database of the service cannot be reached or written."""

    code = "database_unavailable"
    http_status = 503
    retryable = True


class ServiceError(MienError):
    """The service does not do what was asked for."""

    code = "service_refused"
    http_status = 400


class Unauthorized(ServiceError):
    """The request carries no key, or one that is not valid (any more)."""

    code = "unauthorized"
    http_status = 401


class Forbidden(ServiceError):
    """The key may not do this, or a rule of the operator forbids it."""

    code = "forbidden"
    http_status = 403


class NotFound(ServiceError):
    """There is nothing of that name, or it belongs to somebody else."""

    code = "not_found"
    http_status = 404


class AssetMissing(NotFound):
    """There is no such asset, or it belongs to somebody else."""

    code = "asset_missing"


class AssetInUse(ServiceError):
    """A job that has not ended needs the asset."""

    code = "asset_in_use"
    http_status = 409
    retryable = True


class UploadIncomplete(ServiceError):
    """The bytes of an upload have not all arrived."""

    code = "upload_incomplete"
    http_status = 409
    retryable = True


class UploadTooLarge(ServiceError):
    """A request has more bytes than the service takes."""

    code = "upload_too_large"
    http_status = 413


class IdempotencyMismatch(ServiceError):
    """That Idempotency-Key was used before for another request."""

    code = "idempotency_mismatch"
    http_status = 422


class StorageQuotaExceeded(ServiceError):
    """The owner keeps as many bytes of files as the settings or the key allow."""

    code = "storage_quota_exceeded"
    http_status = 507


class TryLater(ServiceError):
    """The service cannot do this now; after a while the same request may succeed."""

    code = "try_later"
    http_status = 503
    retryable = True

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which the same request may succeed."""


class IdempotencyConflict(TryLater):
    """The first request with that Idempotency-Key is still being answered."""

    code = "idempotency_conflict"
    http_status = 409


class RateLimited(TryLater):
    """Too many requests in too short a time."""

    code = "rate_limited"
    http_status = 429


class QuotaExceeded(TryLater):
    """What the key may use in a day is used up."""

    code = "quota_exceeded"
    http_status = 429


class QueueFull(TryLater):
    """As many jobs are waiting as may wait."""

    code = "queue_full"


class NotReady(TryLater):
    """The service is starting, stopping, or lacks a part that this request needs."""

    code = "not_ready"


class TimedOut(MienError):
    """A deadline has passed."""

    code = "timed_out"
    exit_code = 26
    http_status = 504
    retryable = True


class RemoteFailed(MienError):
    """Another service, which does a part of the work, failed or cannot be reached."""

    code = "remote_failed"
    exit_code = 25
    http_status = 502
    retryable = True


class Canceled(MienError):
    """The run was stopped on request; finished segments are kept."""

    code = "canceled"
    exit_code = 130
    http_status = 409
    retryable = True


def kind_of(code: str) -> type[MienError] | None:
    """The error of that code; None for a code that this version does not know."""
    waiting: list[type[MienError]] = [MienError]
    while waiting:
        kind = waiting.pop(0)
        if kind.code == code:
            return kind
        waiting += kind.__subclasses__()
    return None
