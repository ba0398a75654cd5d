"""The masks of a step, made from its options: what faces a processor's result may cover."""

from __future__ import annotations

from functools import cache

from mien.faces.masks import Masker, Occluder, Parser
from mien.faces.neural.networks import occluder_ids
from mien.faces.options import MaskOptions, four_sides
from mien.processors.base import RunContext
from mien.processors.networks import networks_of


def mask_models(options: MaskOptions) -> tuple[str, ...]:
    """Names of the models that the chosen kinds of mask need."""
    occluders = occluder_ids(options.occluder_model) if "occlusion" in options.types else ()
    parsers = (options.parser_model,) if "region" in options.types else ()
    return (*occluders, *parsers)


def make_masker(run: RunContext) -> Masker:
    """A masker for one step; its networks are opened when a frame first needs them, and kept."""
    options: MaskOptions = run.settings_of(MaskOptions)
    networks = networks_of(run)

    @cache
    def occluders() -> tuple[Occluder, ...]:
        return networks.occluders(options.occluder_model)

    @cache
    def parser() -> Parser:
        return networks.parser(options.parser_model)

    return Masker(
        types=options.types,
        blur=options.blur,
        padding=four_sides(options.padding),
        areas=options.areas,
        regions=options.regions,
        occluders=occluders,
        parser=parser,
        compat=run.compat,
    )
