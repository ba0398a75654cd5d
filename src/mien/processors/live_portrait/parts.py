"""Names of LivePortrait's networks; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

EXTRACTORS = ("feature_extractor", "motion_extractor", "generator")
"""What the expression restorer needs."""
EDITORS = (*EXTRACTORS, "eye_retargeter", "lip_retargeter", "stitcher")
"""What the face editor needs."""


def model_ids(parts: Sequence[str]) -> tuple[str, ...]:
    """Catalogue entries of some of the networks."""
    return tuple(f"live_portrait_{part}" for part in parts)
