"""Settings of a consumer; frozen, passed in."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from mien.errors import OptionError
from mien.service.settings import LogFormat, LogLevel, Policy

Environment = Literal["face_swap", "comm"]

VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "url": ("MIEN_CONSUMER_URL", "TASK_API_URL"),
    "key": ("MIEN_CONSUMER_KEY", "MIEN_KEY"),
    "content_policy": ("MIEN_CONTENT_POLICY",),
    "require_consent": ("MIEN_REQUIRE_CONSENT",),
    "log_level": ("MIEN_LOG_LEVEL", "LOG_LEVEL"),
    "log_format": ("MIEN_LOG_FORMAT",),
    "app_env": ("APP_ENV",),
}
"""Variables of settings that are not read from MIEN_CONSUMER_NAME alone; the first that is set counts."""


class ConsumerSettings(BaseModel):
    """What a consumer needs to know; ``ConsumerSettings.from_environment()`` reads it. Times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(min_length=1, description="Address of the gateway.")
    key: SecretStr | None = Field(None, description="Key with the scope work.")
    environments: tuple[Environment, ...] = Field(
        (), description="face_swap, comm or both; comm only where COMFYUI_URL is set when unset."
    )
    concurrency: int = Field(1, ge=1, le=16, description="Tasks that are worked on at once.")
    lease_seconds: float = Field(
        60, ge=5, le=3600, description="Silence after which the gateway gives a task to another."
    )
    poll_seconds: float = Field(0.5, gt=0, le=60, description="Time to the next question for a task.")
    poll_max_seconds: float = Field(
        10, gt=0, le=600, description="The same when there were none for a while, or the gateway is away."
    )
    answer_seconds: float = Field(30, gt=0, description="Longest time without a byte of an answer.")
    report_seconds: float = Field(
        3600, gt=0, description="How long a report is repeated to a gateway that cannot be reached."
    )
    run_seconds: float = Field(6 * 3600, gt=0, description="Longest work on one task.")
    shutdown_seconds: float = Field(
        20, ge=0, description="Time to finish at the end; the rest is given back."
    )
    name: str = Field(
        default_factory=socket.gethostname, max_length=100, description="Name by which the gateway knows it."
    )
    work_dir: Path | None = Field(
        None, description="Folder of tasks under way; one consumer uses it at once."
    )
    result_url_seconds: int = Field(
        7 * 24 * 3600, ge=60, le=7 * 24 * 3600, description="Validity of addresses in the consumer's storage."
    )
    max_input_mb: float = Field(500, gt=0, description="Largest input, in MB.")
    content_policy: Policy = Field("refuse", description="What happens to sexual content.")
    require_consent: bool = Field(False, description="Refuse tasks without a reference to a consent.")
    log_level: LogLevel = Field("info", description="Least important lines that are logged.")
    log_format: LogFormat = Field("auto", description="auto: console on a terminal, otherwise JSON lines.")
    app_env: str = Field("", max_length=100, description="Name of the deployment; shown in the log.")

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if not re.match(r"https?://[^/?#@\s]+(/[^?#\s]*)?\Z", url):
            raise ValueError("it is not an address such as https://mien.example.org")
        return url.rstrip("/")

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return re.sub(r"[^\x20-\x7e]", "?", name)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, **given: Any) -> ConsumerSettings:
        """Read ``TASK_API_URL``, ``MIEN_KEY``, ``MIEN_CONSUMER_NAME`` …; ``given`` wins where it is not None.

        Raises OptionError that names the variable with a wrong value, or that there is no address.
        """
        environ = os.environ if environ is None else environ
        named: dict[str, str] = {}
        values: dict[str, Any] = {}
        for field in cls.model_fields:
            variables = VARIABLES.get(field, (f"MIEN_CONSUMER_{field.upper()}",))
            found = next((name for name in variables if environ.get(name)), None)
            if found is not None:
                named[field], values[field] = found, _parsed(field, environ[found].strip())
        for field, value in given.items():
            if value is not None:
                named[field], values[field] = f"--{field.replace('_', '-')}", value
        if "url" not in values:
            raise OptionError("A consumer needs the address of its gateway: give --url, or set TASK_API_URL.")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            field = str(first["loc"][0])
            variable = named.get(field, field)
            raise OptionError(f"{variable} is set to a value that cannot be used: {first['msg']}.") from None

    def work_folder(self) -> Path:
        """The folder of tasks under way (not created)."""
        if self.work_dir is not None:
            return self.work_dir.absolute()
        from platformdirs import user_cache_path

        return user_cache_path("mien", appauthor=False) / "consumer"


def _parsed(field: str, text: str) -> Any:
    if field == "environments":
        return tuple(text.lower().replace(",", " ").split())
    return text.lower() if field in ("log_level", "log_format", "content_policy") else text
