"""Settings of one engine: where models and work files live, and how inference runs. Frozen, passed in, never global."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import OptionError

Precision = Literal["exact", "fast"]
MemoryStrategy = Literal["strict", "moderate", "tolerant"]
ModelSource = Literal["index", "github", "huggingface"]
Signing = Literal["off", "optional", "required"]


class Settings(BaseModel):
    """Everything an Engine needs to know about its surroundings; ``Settings.from_environment()`` reads ``MIEN_*``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models_dir: Path | None = Field(None, description="A folder of model files that is looked into first.")
    models_verify: bool = Field(
        True, description="Compare hashes and download; off: take files of models_dir as they are."
    )
    cache_dir: Path | None = Field(
        None, description="Downloaded models and optimised graphs; the user's cache folder when unset."
    )
    work_dir: Path | None = Field(
        None, description="Segments of unfinished videos; a folder in cache_dir when unset."
    )
    offline: bool = Field(False, description="Never download anything.")
    download_providers: tuple[ModelSource, ...] = Field(
        ("github", "huggingface"), description="Model hubs, in the order in which they are tried."
    )
    hub_urls: Mapping[str, str] = Field(
        default_factory=dict, description="Replaces the base address of a hub (a mirror inside a company)."
    )
    allow_noncommercial: bool = Field(True, description="Allow models whose licence forbids commercial use.")
    providers: tuple[str, ...] = Field(("cpu",), description="Execution providers, in order of preference.")
    device_ids: tuple[int, ...] = Field((0,), description="Device numbers for GPU providers.")
    threads: int = Field(0, ge=0, le=256, description="Frame workers; 0: one per core.")
    precision: Precision = Field(
        "exact", description="exact: float32 as trained; fast: bf16/fp16 where faster."
    )
    memory_strategy: MemoryStrategy = Field(
        "tolerant",
        description="Models that a step lets go of: strict: all; moderate: those of processors; tolerant: none.",
    )
    max_pixels: int = Field(120_000_000, ge=1, description="Largest picture that is opened, in pixels.")
    segment_seconds: float = Field(
        10.0, gt=0, description="Length of the parts in which a video is worked on."
    )
    signing: Signing = Field(
        "optional",
        description="Sign outputs: never; where there is a key; always, so that what cannot be signed is not written.",
    )
    signing_key: Path | None = Field(
        None, description="Folder of `mien keys create`, or a PEM file with key and certificates."
    )
    tsa_url: str | None = Field(
        None, description="Time-stamp authority (RFC 3161) that is asked for every signature."
    )
    trust_anchors: Path | None = Field(
        None, description="PEM file of the certificate authorities that `mien verify` trusts."
    )
    audit_log: Path | None = Field(None, description="File that gets one record for every run.")
    audit_user: str | None = Field(None, description="Who runs this, as the audit log names it.")
    audit_names: bool = Field(False, description="Write the names of files into the audit log.")
    require_consent: bool = Field(False, description="Refuse every run without a reference to a consent.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read settings from ``MIEN_NAME`` variables; lists are separated by spaces or commas.

        Without ``MIEN_SIGNING_KEY``, the keys that the user made with `mien keys create` are used. Raises OptionError
        that names the variable with a wrong value.
        """
        own = own_keys() if environ is None else None
        environ = os.environ if environ is None else environ
        values = {
            name: _parse(name, environ[f"MIEN_{name.upper()}"])
            for name in cls.model_fields
            if environ.get(f"MIEN_{name.upper()}", "") != ""
        }
        if own is not None and own.is_dir():
            values.setdefault("signing_key", own)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            variable = f"MIEN_{str(first['loc'][0]).upper()}"
            raise OptionError(f"{variable} is set to a value that cannot be used: {first['msg']}.") from None

    def cache_folder(self) -> Path:
        """The folder for downloads and optimised graphs (not created)."""
        if self.cache_dir is not None:
            return self.cache_dir
        from platformdirs import user_cache_path

        return user_cache_path("mien", appauthor=False)

    def work_folder(self) -> Path:
        """The folder for unfinished work (not created)."""
        return self.work_dir or self.cache_folder() / "work"


def own_keys() -> Path:
    """The folder into which `mien keys create` puts keys unless another is named (not created)."""
    from platformdirs import user_config_path

    return user_config_path("mien", appauthor=False) / "keys"


def _parse(name: str, text: str) -> Any:
    if name in ("download_providers", "providers", "device_ids"):
        return tuple(text.replace(",", " ").split())
    if name == "hub_urls":
        return dict(pair.split("=", 1) for pair in text.split() if "=" in pair)
    return text
