"""Settings of the ComfyUI side; frozen, passed in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mien.errors import OptionError

_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "urls": ("COMFYUI_URL", "MIEN_COMFYUI_URL"),
    "client_id": ("COMFYUI_CLIENT_ID",),
    "workflows_dir": ("MIEN_WORKFLOWS_DIR", "COMFYUI_WORKFLOWS_DIR"),
}
_LISTS: Final = ("urls", "allowed_classes")


class ComfySettings(BaseModel):
    """Where the instances are and how long they may take; ``ComfySettings.from_environment()`` reads it.

    Times are in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[str, ...] = Field((), description="Instances of the environment `comfyui`.")
    environments_file: Path | None = Field(None, description="TOML file with more environments.")
    workflows_dir: Path | None = Field(
        None, description="Folder of workflows that come before the shipped ones."
    )
    client_id: str = Field(
        "mien", pattern=r"\A[A-Za-z0-9_.-]{1,64}\z", description="Beginning of the name of every websocket."
    )
    connect_seconds: float = Field(10.0, gt=0, description="Longest time to a connection.")
    answer_seconds: float = Field(30.0, gt=0, description="Longest time without a byte of an answer.")
    reconnect_seconds: float = Field(
        90.0, ge=0, description="How long a silent instance is waited for during a run."
    )
    poll_seconds: float = Field(
        5.0, gt=0, description="Time between looks at a run while its websocket speaks."
    )
    poll_fast_seconds: float = Field(1.0, gt=0, description="The same without a websocket.")
    lost_seconds: float = Field(
        2.0, ge=0, description="How long a run must be unknown to its instance to be lost."
    )
    unclear_seconds: float = Field(5.0, ge=0, description="How long an unanswered submission is looked for.")
    ping_seconds: float = Field(20.0, gt=0, description="Time between pings.")
    pong_seconds: float = Field(10.0, gt=0, description="Longest time to the answer of a ping.")
    start_seconds: float = Field(1800.0, gt=0, description="Longest time in the queue of an instance.")
    run_seconds: float = Field(3600.0, gt=0, description="Longest run.")
    idle_seconds: float = Field(900.0, gt=0, description="Longest time without progress.")
    cancel_seconds: float = Field(
        30.0, gt=0, description="How long a cancel is repeated until it is given up."
    )
    cancel_repeat_seconds: float = Field(1.0, gt=0, description="Time between two cancels of the same run.")
    retries: int = Field(2, ge=0, le=10, description="How often a lost run is submitted again.")
    fault_failures: int = Field(3, ge=1, description="Failures in a row that latch an instance out.")
    fault_seconds: float = Field(30.0, gt=0, description="Time until a latched instance is tried again.")
    stalled_seconds: float = Field(
        60.0, gt=0, description="Time with waiting and no running prompts that is a fault."
    )
    probe_seconds: float = Field(10.0, gt=0, description="Time between probes of an instance.")
    depth: int = Field(
        2, ge=1, le=16, description="Runs of mien at one instance at once, running and waiting."
    )
    allowed_classes: frozenset[str] | None = Field(
        None, description="Node classes that graphs may use; any when unset."
    )
    max_nodes: int = Field(500, ge=1, description="Most nodes of a graph.")
    max_graph_bytes: int = Field(1 << 20, ge=1, description="Largest graph as JSON.")
    max_side: int = Field(
        8192, ge=1, description="Largest width or height that a graph may ask for, in pixels."
    )
    max_batch: int = Field(64, ge=1, description="Largest batch that a graph may ask for.")
    max_output_bytes: int = Field(4 << 30, ge=1, description="Largest file that is fetched.")

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_url(url) for url in urls)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> ComfySettings:
        """Read ``COMFYUI_URL`` (one or several, separated by commas), ``COMFYUI_CLIENT_ID`` and ``MIEN_COMFYUI_*``.

        Raises OptionError that names the variable with a wrong value.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        names = {name: _ALIASES.get(name, (f"MIEN_COMFYUI_{name.upper()}",)) for name in cls.model_fields}
        for name, variables in names.items():
            text = next((environ[variable] for variable in variables if environ.get(variable)), None)
            if text is not None:
                values[name] = tuple(text.replace(",", " ").split()) if name in _LISTS else text
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            variable = next(v for v in names[str(first["loc"][0])] if environ.get(v))
            raise OptionError(f"{variable} is set to a value that cannot be used: {first['msg']}.") from None


def checked_url(url: str) -> str:
    """The address of an instance without a slash at the end; raises ValueError when it is none."""
    url = url.strip().rstrip("/")
    if not re.match(r"https?://[^/?#\s]+[^?#\s]*\Z", url):
        raise ValueError(f"{shown_url(url)!r} is not an address such as http://127.0.0.1:8188")
    return url


def shown_url(url: str) -> str:
    """The address without a user name and password, for messages and the status."""
    return re.sub(r"//[^/@]*@", "//", url)
