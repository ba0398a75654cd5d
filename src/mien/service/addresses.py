"""Addresses of files in the storage of this machine: the service itself is behind them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from mien.media.atomic import output_errors
from mien.service.settings import ServiceSettings
from mien.service.views import PREFIX
from mien.storage import StorageSettings

KEY: Final = "addresses.key"
"""The file in the data folder with what signs addresses."""


def with_addresses(storage: StorageSettings, settings: ServiceSettings) -> StorageSettings:
    """The settings of the storage, so that local files have addresses as soon as the service has a public one.

    What the storage's own settings say counts. Raises OutputNotWritable.
    """
    if settings.public_url is None or storage.local_url is not None:
        return storage
    key = storage.local_signing_key or SecretStr(_kept(settings.data_folder() / KEY))
    url = f"{settings.public_url.rstrip('/')}{settings.root_path}{PREFIX}/files"
    return storage.model_copy(update={"local_url": url, "local_signing_key": key})


def _kept(path: Path) -> str:
    """The secret in a file, which is made if need be; two processes that make it at once have the same one."""
    with output_errors(path):
        if not path.exists():
            own = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            own.touch(mode=0o600)
            own.write_text(secrets.token_hex(32))
            try:
                os.link(own, path)
            except FileExistsError:
                pass
            finally:
                own.unlink()
        return path.read_text().strip()
