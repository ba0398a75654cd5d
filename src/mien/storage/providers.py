"""Makes storages of settings; each kind is imported when it is asked for, since most users have one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mien.errors import StorageRefused
from mien.storage.base import Storage
from mien.storage.chain import Chain
from mien.storage.local import LocalStorage
from mien.storage.settings import Provider, StorageSettings

Make = Callable[[StorageSettings], Storage]


def open_storage(settings: StorageSettings) -> Chain:
    """The storages that the settings name, in their order. Raises StorageRefused when one lacks a setting."""
    return Chain([_MAKERS[provider](settings) for provider in settings.providers])


def storage_of(url: str, settings: StorageSettings) -> Storage:
    """The storage that a URL such as ``s3://bucket`` or ``file:///folder`` names, with the settings for its kind.

    Raises StorageRefused for an unknown scheme and for settings that lack something.
    """
    parts = urlsplit(url)
    make = _SCHEMES.get(parts.scheme)
    if make is None or (parts.scheme != "file" and not parts.netloc):
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise StorageRefused(f"{url[:120]} does not name a storage; URLs of storages begin with {known}.")
    return make(parts.netloc, url2pathname(parts.path), settings)


def _local(settings: StorageSettings) -> Storage:
    key = settings.local_signing_key
    return LocalStorage(
        settings.local_folder(),
        settings.prefix,
        settings.local_url,
        None if key is None else key.get_secret_value(),
    )


def _s3(settings: StorageSettings) -> Storage:
    _need_extra()
    from mien.storage.objects import s3_storage

    return s3_storage(settings)


def _r2(settings: StorageSettings) -> Storage:
    _need_extra()
    from mien.storage.objects import r2_storage

    return r2_storage(settings)


def _gcs(settings: StorageSettings) -> Storage:
    _need_extra()
    from mien.storage.objects import gcs_storage

    return gcs_storage(settings)


def _cf_images(settings: StorageSettings) -> Storage:
    _need_extra()
    from mien.storage.cloudflare import CloudflareImages

    return CloudflareImages(settings)


def _need_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("obstore", "httpx2") if find_spec(name) is None]
    if missing:
        raise StorageRefused(
            f"Storages in the cloud need {' and '.join(missing)}: pip install 'mien[storage]'."
        )


_MAKERS: Final[Mapping[Provider, Make]] = {
    "local": _local,
    "s3": _s3,
    "r2": _r2,
    "gcs": _gcs,
    "cf_images": _cf_images,
}


def _named(field: str, make: Make) -> Callable[[str, str, StorageSettings], Storage]:
    """A storage whose bucket (or account) is the host of the URL, and whose prefix is its path."""

    def named(host: str, path: str, settings: StorageSettings) -> Storage:
        prefix = path.strip("/")
        changes = {field: host, **({"prefix": f"{prefix}/"} if prefix else {})}
        return make(StorageSettings.model_validate({**settings.model_dump(), **changes}))

    return named


def _folder(host: str, path: str, settings: StorageSettings) -> Storage:
    return _local(settings.model_copy(update={"local_path": Path(path or "/")}))


_SCHEMES: Final[Mapping[str, Callable[[str, str, StorageSettings], Storage]]] = {
    "file": _folder,
    "s3": _named("s3_bucket", _s3),
    "r2": _named("r2_bucket", _r2),
    "gs": _named("gcs_bucket", _gcs),
    "cfimages": _named("cf_account_id", _cf_images),
}
