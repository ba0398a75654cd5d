"""Steps of a request that name a workflow in the place of processors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mien.comfyui.workflow import Workflow
from mien.errors import InputError
from mien.jobs.job import JobStep
from mien.service.checking import Look, Place
from mien.service.problems import Problems
from mien.service.requests import StepFields, StepResult, WorkflowCall
from mien.service.workflow_steps import CONSUMERS, WorkflowSteps

_OWN: Final = ("processors", "options", "face_map")
"""Fields of steps of the face engine."""


@dataclass(frozen=True)
class WorkflowCalls:
    """Turns such steps into those of a job."""

    steps: WorkflowSteps

    def called(
        self,
        wish: StepFields,
        call: WorkflowCall,
        at: Place,
        before: Sequence[JobStep],
        consent: str | None,
        look: Look,
        problems: Problems,
    ) -> tuple[JobStep, ...]:
        """The steps of a call, several for a workflow of stages; what is wrong is noted."""
        try:
            workflow = self.steps.workflows.get(call.name)
            self._check_served(workflow)
        except InputError as error:
            problems.add(at("workflow.name"), error)
            return ()
        if isinstance(wish.target, StepResult) and wish.target.step >= len(before):
            number = wish.target.step
            text = f"The target is the result of step {number}, which does not come before this step."
            problems.add(at("target"), InputError(text))
            return ()
        self._check_fields(wish, workflow, at, problems)
        values = _values(wish, call, workflow, at, problems)
        fields, found = at("workflow.parameters."), Problems()
        steps: tuple[JobStep, ...] = ()
        try:
            steps = self.steps.lay_out(
                workflow, values, before, look, consent, wish.resolution, fields, wish.output, found
            )
        except InputError as error:
            if not found.found:
                found.add(at("workflow"), error)
        problems.take(found, lambda field: field)
        return steps

    def _check_served(self, workflow: Workflow) -> None:
        """Consumers fetch whole tasks, which are made by another call."""
        names = [stage.workflow for stage in workflow.stages] or [workflow.name]
        if any(self.steps.environment(self.steps.workflows.get(name)) == CONSUMERS for name in names):
            raise InputError(
                f"No ComfyUI instance of this service runs the workflow {workflow.name}: the operator names them in "
                "COMFYUI_URL."
            )

    def _check_fields(self, wish: StepFields, workflow: Workflow, at: Place, problems: Problems) -> None:
        for name in _OWN:
            if getattr(wish, name):
                text = f"A workflow has no {name}; what it takes are its parameters."
                problems.add(at(name), InputError(text))
        if workflow.kind == "comfyui":
            if wish.resolution:
                text = "The size is a parameter of a workflow, where it has one."
                problems.add(at("resolution"), InputError(text))
            if wish.output.format:
                text = "A workflow decides itself in which format it writes."
                problems.add(at("output.format"), InputError(text))


def _values(
    wish: StepFields, call: WorkflowCall, workflow: Workflow, at: Place, problems: Problems
) -> dict[str, Any]:
    """The parameters; pictures that are not among them are the target, which is the last one, and the sources."""
    values = dict(call.parameters)
    pictures = [item.name for item in workflow.parameters if item.type == "image"]
    unset = [name for name in pictures if values.get(name) is None]
    text = f"The workflow {workflow.name} takes no further picture."
    if wish.target is not None:
        if unset:
            values[unset.pop()] = wish.target
        else:
            problems.add(at("target"), InputError(text))
    for number, source in enumerate(wish.sources):
        if unset:
            values[unset.pop(0)] = source
        else:
            problems.add(at(f"sources.{number}"), InputError(text))
    return values
