"""From a plan to a job: brings the models, and lets every processor prepare itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from mien.options import Options
from mien.pipeline.plan import Link, Plan
from mien.pipeline.progress import Cancel, Meter

if TYPE_CHECKING:
    from mien.faces.analyser import Analyser
    from mien.inference.runtime import Runtime
    from mien.models.store import ModelStore
    from mien.pipeline.job import Job
    from mien.pipeline.people import Person
    from mien.pipeline.provenance import Provenance
    from mien.processors.base import RunContext
    from mien.settings import Settings

MakeAnalyser: TypeAlias = "Callable[[ModelStore, Runtime, Callable[[type[Options]], Any]], Analyser]"
"""Makes what finds faces, of the options that a step has."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all work of one engine shares."""

    settings: Settings
    models: ModelStore
    runtime: Runtime
    make_analyser: MakeAnalyser | None = None
    """Replaces the choice of what finds faces."""


def prepare(
    shop: Workshop,
    plan: Plan,
    meter: Meter,
    cancel: Cancel,
    notice: Callable[[str], None],
    provenance: Provenance,
) -> Job:
    """Bring the models, and let every processor prepare itself; raises what both raise, and Canceled."""
    from mien.pipeline.job import Job, models_of
    from mien.pipeline.policy import make_policy, policy_models

    analyser = _analyser(shop, plan)
    wanted = (*models_of(plan, analyser), *policy_models(plan, shop.models))
    meter.start("models", len(wanted))
    shop.models.fetch(wanted)
    cancel.raise_if_set()
    run = _run_context(shop, plan, analyser, notice)
    states = []
    for link in plan.chain:
        states.append(_state_of(link, run, plan.step.people))
        cancel.raise_if_set()
    meter.advance(len(wanted))
    policy = make_policy(plan, shop.models, shop.runtime)
    return Job(
        plan,
        shop.settings,
        shop.models,
        tuple(states),
        analyser,
        policy,
        meter,
        cancel,
        notice,
        provenance,
    )


def unmarked(plan: Plan, notice: Callable[[str], None]) -> Provenance:
    """No badge, watermark or signature: for work of which no file is made."""
    from mien.pipeline.provenance import Provenance

    return Provenance(plan, None, must_sign=False, badge=None, watermark=None, notice=notice)


def _state_of(link: Link, run: RunContext, people: tuple[Person, ...]) -> Any:
    """What a processor prepares; with a face map, and if it takes pictures of a person, once for each of them."""
    from mien.pipeline.people import PerPerson

    if not people or not link.processor.per_person:
        return link.processor.prepare(run, link.options)
    return PerPerson(
        tuple(link.processor.prepare(replace(run, sources=person.sources), link.options) for person in people)
    )


def _analyser(shop: Workshop, plan: Plan) -> Analyser:
    from mien.pipeline.analysis import choose_analyser

    if shop.make_analyser is not None:
        return shop.make_analyser(shop.models, shop.runtime, plan.settings_of)
    return choose_analyser(plan, shop.models, shop.runtime)


def _run_context(shop: Workshop, plan: Plan, analyser: Analyser, notice: Callable[[str], None]) -> RunContext:
    from mien.processors.base import RunContext

    return RunContext(
        models=shop.models,
        runtime=shop.runtime,
        analyser=analyser,
        sources=plan.step.sources,
        target=plan.target,
        settings_of=plan.settings_of,
        notice=notice,
        compat=plan.compat,
    )
