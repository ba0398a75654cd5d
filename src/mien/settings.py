"""Settings of one engine: where models and work files live, and how inference runs. Frozen, passed in, never global."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import OptionError

Precision = Literal["exact", "fast"]
MemoryStrategy = Literal["strict", "moderate", "tolerant"]
ModelSource = Literal["index", "github", "huggingface"]
Signing = Literal["off", "optional", "required"]

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "models_dir": ("FF_MODELS_DIR",),
    "providers": ("FF_EXECUTION_PROVIDERS",),
    "threads": ("FF_EXECUTION_THREAD_COUNT",),
    "memory_strategy": ("FF_VIDEO_MEMORY_STRATEGY",),
}
"""Names that wrappers of FaceFusion have for a setting, looked for after ``MIEN_NAME``."""


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
        """Read settings from ``MIEN_NAME`` variables and their aliases.

        Lists are separated by spaces or commas, or are JSON. Without ``MIEN_SIGNING_KEY``, the keys that the user made
        with `mien keys create` are used. Raises OptionError that names the variable with a wrong value.
        """
        own = own_keys() if environ is None else None
        environ = os.environ if environ is None else environ
        named = cls.named(environ)
        values = {name: _parse(name, environ[variable].strip()) for name, variable in named.items()}
        if own is not None and own.is_dir():
            values.setdefault("signing_key", own)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            variable = named.get(name, name)
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


def _list(text: str) -> Any:
    """A JSON list; what is none is left to the check of the setting, which names the variable."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return tuple(found) if isinstance(found, list) else text


def _parse(name: str, text: str) -> Any:
    if name in ("download_providers", "providers", "device_ids"):
        words: Any = _list(text) if text.startswith("[") else tuple(text.replace(",", " ").split())
        return tuple(map(_provider, words)) if name == "providers" and isinstance(words, tuple) else words
    if name == "hub_urls":
        return dict(pair.split("=", 1) for pair in text.split() if "=" in pair)
    return text


def _provider(word: Any) -> Any:
    """The name of an execution provider, which others give as ONNX Runtime does: CUDAExecutionProvider is cuda."""
    if not isinstance(word, str) or not word.endswith("ExecutionProvider"):
        return word
    short = word.removesuffix("ExecutionProvider").lower()
    return {"dml": "directml"}.get(short, short)
