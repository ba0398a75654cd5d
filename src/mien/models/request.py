"""What is asked of the downloader, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mien.models.catalogue import Model, ModelFile


@dataclass(frozen=True, slots=True)
class Download:
    """Progress of one download, a file or a wheel that carries several, in bytes; the total where known."""

    name: str
    done: int
    total: int | None


Progress = Callable[[Download], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to bring, and the model that it belongs to."""

    model: Model
    file: ModelFile
