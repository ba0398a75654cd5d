"""The models that the program needs to work at all: small ones, which the package index carries."""

from __future__ import annotations

from mien.models.store import ModelStore


def builtin(store: ModelStore) -> tuple[str, ...]:
    """Their ids; no hub is needed to get them."""
    return tuple(id for id, model in store.catalogue.items() if any(file.wheels for file in model.files))
