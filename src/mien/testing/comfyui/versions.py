"""What a server of a given version can do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Abilities:
    """Steps of the protocol between versions 0.3.64 and 0.38."""

    job_view: bool
    """`GET /api/jobs` and `create_time`."""
    strict_ids: bool
    """`prompt_id` must be a canonical UUID; `missing_node_type` and `dependency_cycle` exist."""
    job_cancel: bool
    """`POST /api/jobs/{id}/cancel`."""
    nosniff: bool
    """Active content is forced to download."""
    cached_outputs: bool
    """Outputs of a fully cached run appear in history also when the prompt had no `client_id`."""


def abilities(version: str) -> Abilities:
    """What the version can do; `version` is like 0.33.0."""
    parts = tuple(int(part) for part in version.split("."))
    return Abilities(
        job_view=parts >= (0, 7, 0),
        strict_ids=parts >= (0, 24, 0),
        job_cancel=parts >= (0, 26, 0),
        nosniff=parts >= (0, 27, 0),
        cached_outputs=parts >= (0, 28, 0),
    )
