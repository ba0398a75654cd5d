"""Settings of the service: where it listens, what it takes and keeps, and what it asks of its clients. Frozen.

``ServiceSettings.from_environment()`` reads ``MIEN_*`` variables and, where there are such, the names by which
FaceFusion wrappers (``FF_*``) and task gateways know the same thing.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from mien.errors import OptionError

MB: Final = 1 << 20
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
Policy = Literal["refuse", "flag", "off"]

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "max_upload_mb": ("FF_MAX_UPLOAD_SIZE_MB",),
    "log_level": ("LOG_LEVEL",),
    "public_url": ("TASK_API_URL",),
    "remote_engine_url": ("FACE_SWAP_API_URL",),
    "remote_engine_timeout": ("FACE_SWAP_TIMEOUT",),
    "remote_engine_retries": ("FACE_SWAP_RETRY_COUNT",),
}
"""Other names of a setting, in the order in which they are looked for after ``MIEN_NAME``."""


class ServiceSettings(BaseModel):
    """Everything that the service needs to know beyond what ``Settings`` says of its engine."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # where it listens and what it keeps
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    public_url: str | None = Field(None, description="Address under which clients reach the service.")
    data_dir: Path | None = Field(None, description="Folder of the database and of local files.")
    database_url: SecretStr | None = Field(
        None, description="sqlite:///FILE or postgresql://…; a file in the data folder when unset."
    )
    root_path: str = Field("", description="Path below which a proxy serves the service.")
    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="Proxies whose X-Forwarded headers are believed."
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins of other web pages that may call the service."
    )
    min_free_mb: float = Field(
        500,
        ge=0,
        description="Free space of the data folder's disk below which nothing more is taken in, in MB.",
    )
    studio: bool = Field(True, description="Serve the web studio.")

    # who may do what
    auth: Literal["auto", "on", "off"] = Field(
        "auto", description="Ask for keys: auto: when a key exists or the address is not this machine's own."
    )
    require_consent: bool = Field(False, description="Refuse jobs without a reference to a consent.")
    content_policy: Policy = Field("refuse", description="What happens to sexual content.")
    marking_required: bool = Field(True, description="Requests cannot switch off the marks of results.")
    allow_model_downloads: bool = Field(True, description="Clients with the admin scope may download models.")

    # what it takes
    max_upload_mb: float = Field(500, gt=0, description="Largest file, in MB.")
    max_request_mb: float = Field(2100, gt=0, description="Largest request, in MB.")
    max_pixels: int = Field(64_000_000, ge=1, description="Largest picture or frame, in pixels.")
    max_seconds: float = Field(3600, gt=0, description="Longest video or sound.")
    max_steps: int = Field(20, ge=1, description="Most steps of a job.")
    max_sources: int = Field(20, ge=1, description="Most sources of a step.")
    max_batch: int = Field(1000, ge=1, description="Most jobs of a batch.")
    max_queue: int = Field(10_000, ge=1, description="Most jobs that wait; more are refused with 503.")
    max_queue_per_key: int = Field(
        1000, ge=1, description="Most jobs of one key that wait; more are refused (429)."
    )
    requests_per_minute: float = Field(
        600, gt=0, description="Requests of one key, or of one address without keys."
    )
    jobs_per_day: int | None = Field(None, ge=1, description="Jobs of one key in a day (UTC).")
    max_stored_mb: float | None = Field(
        None, gt=0, description="Files of one key that are kept, results included, in MB."
    )
    max_wait: float = Field(120, gt=0, description="Longest wait for a result in one request, in seconds.")

    # how jobs run
    role: Literal["all", "api", "worker"] = Field("all", description="Parts that this process runs.")
    workers: int = Field(2, ge=1, le=64, description="Picture jobs that one process runs at once.")
    video_workers: int = Field(
        1, ge=1, le=16, description="Parts of videos that one process works on at once."
    )
    queues: tuple[str, ...] = Field(
        (), description="Queues that a worker serves; all that it can when empty."
    )
    poll_seconds: float = Field(0.02, gt=0, le=5, description="How often queues are looked at.")
    heartbeat_seconds: float = Field(5, gt=0, description="How often a process says that it lives.")
    dead_after_seconds: float = Field(
        25, gt=0, description="Silence after which others take up a process's work."
    )
    lease_seconds: float = Field(
        60,
        ge=5,
        le=3600,
        description="Silence after which a task that a consumer fetched is given to another.",
    )
    max_attempts: int = Field(
        3, ge=1, le=20, description="Runs of a job when failures may go away by themselves."
    )
    start_within: float | None = Field(None, gt=0, description="Seconds after which a waiting job fails.")
    run_within: float = Field(6 * HOUR, gt=0, description="Seconds after which a running job fails.")
    shutdown_seconds: float = Field(
        20, ge=0, description="Time to finish at the end; the rest is handed back."
    )

    # how long it keeps things
    retain_jobs: float = Field(7 * DAY, gt=0, description="Seconds that a job and its results are kept.")
    retain_assets: float = Field(2 * DAY, gt=0, description="Seconds that an unused upload is kept.")
    cache_mb: float = Field(
        10_240, gt=0, description="Copies of assets that a machine keeps for its work, in MB."
    )
    result_url_seconds: int = Field(
        3600, ge=60, le=7 * 24 * 3600, description="Validity of addresses of results."
    )

    # the world outside
    fetch_http: bool = Field(False, description="Also fetch http addresses, not only https.")
    fetch_allow: tuple[str, ...] = Field(
        (), description="Private networks from which inputs may be fetched (CIDR)."
    )
    webhook_allow: tuple[str, ...] = Field(
        (), description="Private networks to which webhooks may lead (CIDR)."
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Signs calls to addresses that came with a job (whsec_…)."
    )
    webhook_allow_http: bool = Field(False, description="Allow webhooks to http addresses.")
    remote_engine_url: str | None = Field(None, description="Address of another face engine.")
    remote_engine_key: SecretStr | None = Field(None, description="Key for the other face engine.")
    remote_engine_timeout: float = Field(300, gt=0, description="Seconds for one task of the other engine.")
    remote_engine_retries: int = Field(3, ge=0, description="Repetitions after failures that may go away.")

    # what it says of itself
    log_level: LogLevel = Field("info", description="Least important lines that are logged.")
    log_format: LogFormat = Field("auto", description="auto: console on a terminal, otherwise JSON lines.")
    metrics: bool = Field(True, description="Serve /metrics.")
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]",
        description="Collector that gets traces (OTLP over HTTP), such as http://127.0.0.1:4318.",
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **given: Any) -> ServiceSettings:
        """Read ``MIEN_NAME`` variables and their aliases; ``given`` wins over both, where it is not None.

        Raises OptionError that names the variable with a wrong value.
        """
        environ = os.environ if environ is None else environ
        named = cls.named(environ)
        values = {name: _parse(name, environ[variable].strip()) for name, variable in named.items()}
        for name, value in given.items():
            if value is not None:
                named[name], values[name] = f"--{name.replace('_', '-')}", value
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            field = str(first["loc"][0])
            variable = named.get(field, field)
            raise OptionError(f"{variable} is set to a value that cannot be used: {first['msg']}.") from None

    @classmethod
    def named(cls, environ: Mapping[str, str]) -> dict[str, str]:
        """The variable that each setting is read from, of those that are set."""
        return {
            name: variable
            for name in cls.model_fields
            for variable in reversed((f"MIEN_{name.upper()}", *ALIASES.get(name, ())))
            if environ.get(variable, "") != ""
        }

    @property
    def max_upload_bytes(self) -> int:
        """Size of the largest file."""
        return int(self.max_upload_mb * MB)

    @property
    def is_local_only(self) -> bool:
        """Whether only programs on this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def data_folder(self) -> Path:
        """The folder of the database and of local files (not created)."""
        if self.data_dir is not None:
            return self.data_dir.absolute()
        from platformdirs import user_data_path

        return user_data_path("mien", appauthor=False)

    def database(self) -> str:
        """URL of the database, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_folder() / 'mien.db'}"


def _parse(name: str, text: str) -> Any:
    if name in ("cors_origins", "queues", "fetch_allow", "webhook_allow"):
        return tuple(text.replace(",", " ").split())
    if name == "log_level":
        return text.lower()
    return text
