"""All tables of the service. Moments are seconds since 1970 (UTC), ids are text, lists and records are JSON."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData()

# Not JSONB: it takes neither the character 0 nor half of a pair of surrogates, and nobody looks into these values.
Json = JSON(none_as_null=True)
# SQLite numbers rows by itself only in columns of exactly this type.
Serial = BigInteger().with_variant(Integer(), "sqlite")

jobs = Table(
    "jobs",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),  # the order of submission
    Column("id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False, server_default=""),  # id of the key; empty: this machine
    # faces, workflow, download, archive; cli: made and run by commands with paths of one machine, no matter of workers
    Column("kind", Text, nullable=False, server_default="faces"),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False, server_default="5"),  # 0 first, 9 last
    Column("environment", Text, nullable=False, server_default="local"),
    Column("workflow", Text),  # the name by which clients of the gateway asked for it
    Column("batch", Text),
    Column("content", Text, nullable=False),  # the job as job files have it
    # what else was asked for: consent, deadlines, webhook, resolution …
    Column("request", Json, nullable=False),
    Column("progress", Json),
    Column("results", Json),  # one record for each result: asset, step, name, size, content type
    Column("failure", Json),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("worker", Text),
    Column("lease_until", Double),  # of the claim of a run, or of a consumer
    Column("lease_token", Text),  # SHA-256 of the token of a consumer
    Column("external", Json),  # ids of the same work elsewhere: workflow run, prompt of a ComfyUI
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("dispatched", Boolean, nullable=False, server_default=false()),  # the job engine knows of it
    Column(
        "dispatches", Integer, nullable=False, server_default="0"
    ),  # how often it was given to the job engine
    Column(
        "tries", Integer, nullable=False, server_default="0"
    ),  # attempts since it was submitted or retried
    Column("not_before", Double),  # a job that failed for now is tried again then
    Column("queue", Text),  # of the job engine; None: not decided yet
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("start_by", Double),  # a job that has not begun by then fails
    Column("expires_at", Double),  # a job that has ended is deleted then
    Index("jobs_by_status", "status", "seq"),
    Index("jobs_by_owner", "owner", "seq"),
    Index("jobs_by_batch", "batch"),
    Index("jobs_by_expiry", "expires_at"),
    Index(
        "jobs_to_dispatch",
        "priority",
        "seq",
        postgresql_where=text("NOT dispatched AND status = 'queued'"),
        sqlite_where=text("NOT dispatched AND status = 'queued'"),
    ),
    sqlite_autoincrement=True,
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),  # what Last-Event-ID names
    Column("job", Text, nullable=False),
    Column("type", Text, nullable=False),  # status, step, progress, notice, log, result
    Column("data", Json, nullable=False),
    Column("at", Double, nullable=False),
    Index("job_events_by_job", "job", "id"),
    sqlite_autoincrement=True,
)

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("request", Json, nullable=False),
    Column("total", Integer, nullable=False),
    Column("archive", Text),  # asset of the results, once it was asked for
    Column("created_at", Double, nullable=False),
    Index("batches_by_owner", "owner", "created_at"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("url", Text, nullable=False),  # in the storage
    Column("size", BigInteger, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("media", Json, nullable=False),  # kind, width, height, duration, frames, rate, has_audio
    Column("created_at", Double, nullable=False),
)

locks = Table(
    "locks",  # work that one process at a time does
    metadata,
    Column("name", Text, primary_key=True),
    Column("held_until", Double, nullable=False),
)

garbage = Table(
    "garbage",  # objects of the storage that nothing needs, or that may have been left by a crash
    metadata,
    Column("url", Text, primary_key=True),
    Column("due_at", Double, nullable=False),  # deleted from then on
    Index("garbage_by_due", "due_at"),
)

assets = Table(
    "assets",
    metadata,
    Column("id", Text, primary_key=True),  # the SHA-256 of the content
    Column("owner", Text, primary_key=True),
    Column("name", Text, nullable=False),  # as uploaded, for people only
    Column("origin", Text, nullable=False),  # upload, fetch, result
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Index("assets_by_owner", "owner", "created_at"),
    Index("assets_by_expiry", "expires_at"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("url", Text, nullable=False),  # where the client puts the bytes, in the storage
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("asset", Text),  # once it was completed
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("uploads_by_expiry", "expires_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("scopes", Json, nullable=False),  # submit, read, admin
    Column("limits", Json, nullable=False),  # overrides of the service's limits
    Column("owner", Text, nullable=False),  # keys that were rotated keep the owner of the first one
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("used_at", Double),
    Index("api_keys_by_owner", "owner"),
)

sessions = Table(
    "sessions",
    metadata,
    # SHA-256 of what the browser's cookie holds.
    Column("token_hash", Text, primary_key=True),
    # Id of the API key with which it was begun.
    Column("key", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("sessions_by_expiry", "expires_at"),
)

rate_limits = Table(
    "rate_limits",
    metadata,
    Column("key", Text, primary_key=True),
    Column("free_at", Double, nullable=False),  # theoretical arrival time of the generic cell rate algorithm
)

usage = Table(
    "usage",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("day", Text, primary_key=True),  # 2026-11-21, UTC
    Column("what", Text, primary_key=True),  # requests, jobs, bytes_in, bytes_out, compute_seconds, refused
    Column("amount", Double, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),  # of method, path and body
    Column("status", Integer),  # None while the first request is under way
    Column("body", Json),
    Column("job", Text),
    Column("created_at", Double, nullable=False),
    Column("locked_until", Double, nullable=False),
    Column("holder", Text, nullable=False),  # the try that has the lock; a later one takes it over
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # signing needs it in the clear
    Column("old_secret", Text),  # signs as well until then
    Column("old_secret_until", Double),
    Column("events", Json, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("webhooks_by_owner", "owner"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Text, primary_key=True),  # the webhook-id header: the same for each repetition
    Column("webhook", Text),  # None: an address that came with the job
    Column("owner", Text, nullable=False),
    Column("job", Text),
    Column("url", Text, nullable=False),
    Column("secret", Text),
    Column("type", Text, nullable=False),
    Column("payload", Json, nullable=False),
    Column("status", Text, nullable=False),  # waiting, delivered, failed
    Column("attempts", Json, nullable=False),  # at, status code, error, milliseconds
    Column("next_at", Double),
    Column("lease_until", Double),
    Column("created_at", Double, nullable=False),
    Index("deliveries_due", "status", "next_at"),
    Index("deliveries_by_owner", "owner", "created_at"),
)

executors = Table(
    "executors",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),  # all, api, worker
    Column("seen_at", Double, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("info", Json, nullable=False),  # host, pid, queues, devices, models, memory
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    # JSON with sorted keys.
    Column("labels", Text, primary_key=True),
    # Only ever grows.
    Column("value", Double, nullable=False),
)

measurements = Table(
    "measurements",
    metadata,
    Column("what", Text, primary_key=True),  # processors with their models, kind of target
    Column("count", BigInteger, nullable=False),
    Column("seconds_per_megapixel", Double, nullable=False),  # of a frame, moving average
    Column("overhead_seconds", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

comfy_faults = Table(
    "comfy_faults",
    metadata,
    Column("instance", Text, primary_key=True),  # its address, without user name and password
    Column(
        "what", Text, primary_key=True
    ),  # a node class or model that it lacks; empty: it gets no work at all
    Column("reason", Text, nullable=False),
    Column("until", Double, nullable=False),
)
