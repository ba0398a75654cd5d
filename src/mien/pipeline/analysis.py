"""Chooses what finds faces for a step: the built-in models, or downloaded ones where they are named or all here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.errors import OptionError
from mien.faces.analyser import Analyser, make_analyser
from mien.faces.options import DetectorOptions, LandmarkerOptions, SelectorOptions
from mien.pipeline.plan import Plan

if TYPE_CHECKING:
    from mien.inference.runtime import Runtime
    from mien.models.store import ModelStore

_FILTERS = ("age_start", "age_end", "gender", "race")


def choose_analyser(plan: Plan, store: ModelStore, runtime: Runtime) -> Analyser:
    """The analyser of a step.

    Named models decide; without any, downloaded models are taken if all that the step needs are here. Processors that
    work on the mesh of a face get the built-in models, which alone measure it. Raises OptionError for names that do
    not go together.
    """
    detector, landmarker = plan.settings_of(DetectorOptions), plan.settings_of(LandmarkerOptions)
    named = {
        options.model
        for options in (detector, landmarker)
        if plan.compat or "model" in options.model_fields_set
    }
    own = named & {"blazeface", "mesh"}
    if own and named - own:
        raise OptionError(
            f"{' and '.join(sorted(named))} cannot be used together: "
            "name blazeface and mesh, which are built in, or two downloaded models."
        )
    needs_mesh = next((link for link in plan.chain if link.processor.needs_mesh(link.options)), None)
    if needs_mesh is not None and named - own:
        raise OptionError(
            f"The model that was chosen for {needs_mesh.name} works on the mesh that the built-in models measure: "
            f"leave out {' and '.join(sorted(named - own))}, or choose another model."
        )
    wants_people = any(getattr(plan.settings_of(SelectorOptions), name) for name in _FILTERS)
    neural = _neural(plan, store, runtime)
    if named - own or (wants_people and needs_mesh is None and not own):
        return neural
    built_in = bool(own) or needs_mesh is not None or plan.lookahead > 0
    if built_in or any(store.find(id) is None for id in neural.models()):
        return make_analyser(store, runtime, plan.settings_of)
    return neural


def _neural(plan: Plan, store: ModelStore, runtime: Runtime) -> Analyser:
    from mien.faces.neural.analyser import NeuralAnalyser, Setup
    from mien.faces.neural.networks import networks_of

    selector = plan.settings_of(SelectorOptions)
    setup = Setup.of(
        plan.settings_of(DetectorOptions), plan.settings_of(LandmarkerOptions), compat=plan.compat
    )
    return NeuralAnalyser(
        networks_of(store, runtime),
        setup,
        asks_identity=selector.mode == "reference" or bool(plan.step.people),
        asks_attributes=any(getattr(selector, name) for name in _FILTERS),
    )
