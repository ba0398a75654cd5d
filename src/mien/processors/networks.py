"""The networks of face analysis as a processor gets them from its run."""

from __future__ import annotations

from mien.faces.neural.networks import Networks
from mien.processors.base import RunContext


def networks_of(run: RunContext) -> Networks:
    """Networks over the run's model store and runtime; sessions are kept by the runtime."""
    return Networks(run.models.catalogue, lambda id: run.runtime.load(run.models.path(id)))
