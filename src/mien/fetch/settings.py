"""Settings of fetching: what may be asked for, how much, and how long. Frozen, passed in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import OptionError

Scheme = Literal["https", "http"]

PREFIX = "MIEN_FETCH_"


class FetchSettings(BaseModel):
    """The rules of one fetch; ``FetchSettings.from_environment()`` reads ``MIEN_FETCH_*``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schemes: tuple[Scheme, ...] = Field(default=("https", "http"), description="Schemes that a URL may have.")
    ports: tuple[int, ...] = Field(default=(443, 80), description="Ports that a URL may name.")
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="Private networks that may be fetched from, such as 10.20.0.0/16."
    )
    max_bytes: int = Field(default=4 << 30, ge=1, description="Largest file, in bytes.")
    max_picture_bytes: int = Field(
        default=256 << 20, ge=1, description="Largest picture, in bytes; pictures are opened in memory."
    )
    max_pixels: int = Field(default=120_000_000, ge=1, description="Largest picture, in pixels.")
    max_redirects: int = Field(default=5, ge=0, le=20, description="Redirects that are followed.")
    dns_seconds: float = Field(default=5.0, gt=0, description="Longest look-up of a name.")
    connect_seconds: float = Field(
        default=10.0, gt=0, description="Longest time to a connection, TLS included."
    )
    idle_seconds: float = Field(default=15.0, gt=0, description="Longest time without a byte.")
    total_seconds: float = Field(
        default=300.0, gt=0, description="Longest fetch from the first look-up to the end."
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates of the authorities that are trusted; the system's when unset."
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> FetchSettings:
        """Read ``MIEN_FETCH_NAME`` variables; lists are separated by spaces or commas.

        Raises OptionError that names the variable with a wrong value.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for name in cls.model_fields:
            text = environ.get(PREFIX + name.upper(), "")
            if text:
                many = name in ("schemes", "ports", "allowed_networks")
                values[name] = tuple(text.replace(",", " ").split()) if many else text
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            variable = PREFIX + str(first["loc"][0]).upper()
            raise OptionError(f"{variable} is set to a value that cannot be used: {first['msg']}.") from None
