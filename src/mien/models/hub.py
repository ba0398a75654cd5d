"""Addresses of files on the model hubs, in the order in which they are tried.

The layout (release folders, one file and one ``.hash`` file with its CRC-32 for every model) is that of the
public FaceFusion model releases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

from mien.models.catalogue import HubSource, ModelFile, UrlSource
from mien.settings import ModelSource, Settings


@dataclass(frozen=True, slots=True)
class Hub:
    """One hub: base addresses of equal content, and the path of a file below them."""

    bases: tuple[str, ...]
    path: str


HUBS: Mapping[ModelSource, Hub] = MappingProxyType(
    {
        "github": Hub(
            ("https://github.com",), "/facefusion/facefusion-assets/releases/download/{folder}/{file}"
        ),
        "huggingface": Hub(
            ("https://huggingface.co", "https://hf-mirror.com"), "/facefusion/{folder}/resolve/main/{file}"
        ),
    }
)


def hub_addresses(source: HubSource, name: str, settings: Settings) -> tuple[str, ...]:
    """Addresses of the file ``name`` in the folder of ``source``, by the user's order of hubs.

    ``settings.hub_urls`` replaces the base address of a hub: ``{"github": "https://mirror.example/github"}``.
    """
    addresses = []
    for provider in settings.download_providers:
        hub = HUBS.get(provider)
        if hub is None:
            continue
        own = settings.hub_urls.get(provider)
        path = hub.path.format(folder=quote(source.folder), file=quote(name))
        addresses += [base.rstrip("/") + path for base in ((own,) if own else hub.bases)]
    return tuple(addresses)


def file_addresses(file: ModelFile, settings: Settings) -> tuple[str, ...]:
    """All plain addresses of a model file: hubs first, then the publisher's own."""
    addresses: list[str] = []
    for source in file.sources:
        if isinstance(source, HubSource):
            addresses += hub_addresses(source, source.name, settings)
        elif isinstance(source, UrlSource):
            addresses.append(source.url)
    return tuple(addresses)


def hash_addresses(file: ModelFile, settings: Settings) -> tuple[str, ...]:
    """Addresses of the hash file of a model file; empty if it is on no hub."""
    addresses: list[str] = []
    for source in file.sources:
        if isinstance(source, HubSource):
            stem = source.name.rsplit(".", 1)[0]
            addresses += hub_addresses(source, f"{stem}.hash", settings)
    return tuple(addresses)
