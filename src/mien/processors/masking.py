"""The masks of a step, as a processor gets them from its run."""

from __future__ import annotations

from mien.faces.masks import Masker
from mien.faces.neural.networks import networks_of
from mien.faces.options import MaskOptions
from mien.processors.base import RunContext


def make_masker(run: RunContext) -> Masker:
    """A masker for one step, made from its options; its networks are opened when a frame first needs them."""
    return networks_of(run.models, run.runtime).masker(run.settings_of(MaskOptions), compat=run.compat)
