"""Workflows as steps of a job: stages of the face engine and of ComfyUI, one after the other.

Pictures are references here, as in all steps; everything else of a workflow's parameters is checked and filled in
before the job is stored, so that a repetition has the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mien.comfyui.environments import environments_of
from mien.comfyui.settings import ComfySettings
from mien.comfyui.workflow import Workflow, filled
from mien.comfyui.workflows import Workflows
from mien.errors import InputError, WorkflowInvalid
from mien.jobs.job import JobStep
from mien.jobs.queries import PULL
from mien.service.checking import Checker, Look
from mien.service.outputs import Known, named_output
from mien.service.problems import Problems
from mien.service.requests import OutputRequest, StepFields, StepResult
from mien.service.steps import COMFYUI, LOCAL

CONSUMERS: Final = f"{PULL}comm"
"""The environment of workflows when this service has no instance: consumers fetch them."""


@dataclass(frozen=True)
class WorkflowSteps:
    """Turns calls of workflows into steps."""

    workflows: Workflows
    settings: ComfySettings
    checker: Checker

    def environment(self, workflow: Workflow) -> str:
        """Where a workflow runs: with the face engine, in ComfyUI, or with consumers."""
        if workflow.kind == "mien":
            return LOCAL
        known = environments_of(self.settings)
        chosen = [found for found in known if workflow.name in found.workflows]
        chosen = chosen or [found for found in known if not found.workflows]
        return f"{COMFYUI}{chosen[0].name}" if chosen else CONSUMERS

    def steps(
        self,
        name: str,
        values: Mapping[str, Any],
        look: Look,
        *,
        consent: str | None = None,
        resolution: str | None = None,
        fields: str = "",
    ) -> tuple[JobStep, ...]:
        """The steps of a call. ``fields`` begins the path of a parameter in the request, as problems name it.

        Raises WorkflowInvalid for an unknown workflow, and what is wrong with the values, with their fields.
        """
        workflow, problems, wish = self.workflows.get(name), Problems(), OutputRequest()
        steps = self.lay_out(workflow, values, (), look, consent, resolution, fields, wish, problems)
        problems.refuse()
        return steps

    def lay_out(
        self,
        workflow: Workflow,
        values: Mapping[str, Any],
        before: Sequence[JobStep],
        look: Look,
        consent: str | None,
        resolution: str | None,
        fields: str,
        wish: OutputRequest,
        problems: Problems,
    ) -> tuple[JobStep, ...]:
        """The steps of a call behind those ``before``; raises what is wrong with the values, with their fields.

        ``wish`` is about the result of the last one; what the face engine's steps have wrong is noted.
        """
        checked = self._values(workflow, values, fields, look, problems)
        problems.refuse()
        steps = list(before)
        made: dict[str, int] = {}
        stages = list(self._stages(workflow, checked))
        for number, (stage_name, inner, given) in enumerate(stages):
            given = {name: _of_stage(value, made) for name, value in given.items()}
            asked = wish if number == len(stages) - 1 else OutputRequest()
            step = self._step(inner, given, steps, look, consent, resolution, fields, asked, problems)
            made[stage_name] = len(steps)
            steps.append(step)
        return tuple(steps[len(before) :])

    def graph_of(self, step: JobStep) -> dict[str, Any]:
        """The graph of a ComfyUI step with everything in it but the pictures, for those who run it elsewhere."""
        call = step.args["workflow"]
        workflow = self.workflows.get(call["name"])
        return filled(workflow, workflow.check(call["parameters"], _pictures(workflow)))

    def pictures_of(self, step: JobStep) -> dict[str, tuple[str, tuple[str, ...]]]:
        """The pictures of a ComfyUI step: reference and inputs of the graph of each, by parameter."""
        call = step.args["workflow"]
        places = {item.name: item.places for item in self.workflows.get(call["name"]).parameters}
        found = dict(zip(call["images"], step.source_paths, strict=True))
        if call["target"]:
            found[call["target"]] = step.target_path or ""
        return {name: (reference, places[name]) for name, reference in found.items()}

    def _values(
        self, workflow: Workflow, values: Mapping[str, Any], fields: str, look: Look, problems: Problems
    ) -> dict[str, Any]:
        """All values of the workflow, pictures as references."""
        pictures = {item.name: item for item in workflow.parameters if item.type == "image"}
        references: dict[str, Any] = {}
        for name, parameter in pictures.items():
            if values.get(name) is not None:
                with problems.at(f"{fields}{name}"):
                    references[name] = self._reference(values[name], look)
            elif parameter.required:
                problems.add(
                    f"{fields}{name}",
                    WorkflowInvalid(f"The workflow {workflow.name} needs the parameter {name}."),
                )
        plain = {name: value for name, value in values.items() if name not in pictures}
        known = {item.name for item in workflow.parameters}
        for name in [name for name in plain if name not in known]:
            problems.add(
                f"{fields}{name}", WorkflowInvalid(f"The workflow {workflow.name} has no parameter {name}.")
            )
        return {**self._plain(workflow, plain, frozenset(pictures), fields, problems), **references}

    def _plain(
        self,
        workflow: Workflow,
        values: Mapping[str, Any],
        pending: frozenset[str],
        fields: str,
        problems: Problems,
    ) -> dict[str, Any]:
        for parameter in workflow.parameters:
            if parameter.name in pending:
                continue
            with problems.at(f"{fields}{parameter.name}"):
                if values.get(parameter.name) is not None:
                    parameter.check(values[parameter.name])
                elif parameter.required and parameter.default is None:
                    raise WorkflowInvalid(
                        f"The workflow {workflow.name} needs the parameter {parameter.name}."
                    )
        problems.refuse()
        checked = workflow.check(values, pending)
        # A size is text in a job's file, and is read again from it.
        return {name: "x".join(map(str, v)) if isinstance(v, tuple) else v for name, v in checked.items()}

    def _reference(self, value: Any, look: Look) -> str | StepResult:
        if isinstance(value, StepResult):
            return value
        if not isinstance(value, str):
            raise InputError("A picture is given by an address or the id of an asset.")
        reference = self.checker.reference(value)
        if reference.startswith("asset:"):
            look(value)
        return reference

    def _stages(self, workflow: Workflow, checked: Mapping[str, Any]) -> Any:
        """Name, workflow and values of each stage; a picture from an earlier stage is its name in a _Stage."""
        if workflow.kind != "stages":
            yield workflow.name, workflow, checked
            return
        for stage in workflow.stages:
            given: dict[str, Any] = {}
            for name, source in stage.inputs.items():
                if source.stage is not None:
                    given[name] = _Stage(source.stage)
                else:
                    given[name] = checked.get(source.parameter) if source.parameter else source.value
            yield stage.name, self.workflows.get(stage.workflow), given

    def _step(
        self,
        workflow: Workflow,
        given: Mapping[str, Any],
        before: Sequence[JobStep],
        look: Look,
        consent: str | None,
        resolution: str | None,
        fields: str,
        output: OutputRequest,
        problems: Problems,
    ) -> JobStep:
        if workflow.kind == "mien":
            wish, found = _face_step(workflow, given, resolution, output), Problems()
            step = self.checker.checked_step(wish, lambda name: name, before, consent, look, found)
            problems.take(found, lambda field: f"{fields}{_parameter_of(workflow, field)}")
            return step
        return self._comfy_step(workflow, given, before, look, consent, output, problems)

    def _comfy_step(
        self,
        workflow: Workflow,
        given: Mapping[str, Any],
        before: Sequence[JobStep],
        look: Look,
        consent: str | None,
        wish: OutputRequest,
        problems: Problems,
    ) -> JobStep:
        pictures = _pictures(workflow)
        files = {name: given[name] for name in given if name in pictures and given[name] is not None}
        plain = {name: value for name, value in given.items() if name not in pictures}
        values = self._plain(workflow, plain, pictures, "", problems)
        # The last picture is the target, after which the result is named; or that which an earlier step makes.
        target_name = next((name for name in files if isinstance(files[name], StepResult)), None)
        target_name = target_name or (list(files)[-1] if files else None)
        target, known = self._target(files.pop(target_name) if target_name else None, before, look)
        call = {
            "name": workflow.name,
            "version": workflow.version,
            "parameters": values,
            "images": list(files),
            "target": target_name,
        }
        known = known or Known(f"{workflow.name}.png", "image", "png")
        output = named_output(
            OutputRequest(name=wish.name), known, len(before), marked=self.checker.settings.marking_required
        )
        args: dict[str, Any] = {
            "source_paths": [_as_stored(value) for value in files.values()],
            "target_path": target,
            "output_path": f"result:{output}",
            "processors": [],
            "workflow": call,
            "environment": self.environment(workflow),
        }
        return JobStep({**args, **({"consent_ref": consent} if consent else {})})

    def _target(
        self, given: str | StepResult | None, before: Sequence[JobStep], look: Look
    ) -> tuple[str, Known | None]:
        if given is None:
            return "", None
        if isinstance(given, StepResult):
            return f"step:{given.step}", Known.of_result(before[given.step].output_path or "")
        if given.startswith("asset:"):
            return given, look(given.removeprefix("asset:"))
        return given, Known.of_url(given)


def _pictures(workflow: Workflow) -> frozenset[str]:
    return frozenset(item.name for item in workflow.parameters if item.type == "image")


@dataclass(frozen=True, slots=True)
class _Stage:
    """The result of an earlier stage."""

    name: str


def _of_stage(value: Any, made: Mapping[str, int]) -> Any:
    return StepResult(step=made[value.name]) if isinstance(value, _Stage) else value


def _as_stored(value: str | StepResult) -> str:
    return f"step:{value.step}" if isinstance(value, StepResult) else value


def _face_step(
    workflow: Workflow, given: Mapping[str, Any], resolution: str | None, output: OutputRequest
) -> StepFields:
    """What a workflow of the face engine asks of it."""
    asked: dict[str, Any] = {"processors": list(workflow.processors), "options": {}, "sources": []}
    asked["output"] = output
    for parameter in workflow.parameters:
        value = given.get(parameter.name)
        if value is None:
            continue
        if parameter.option == "sources":
            asked["sources"].append(_as_given(value))
        elif parameter.option == "target":
            asked["target"] = _as_given(value)
        elif parameter.option is not None:
            asked["options"][parameter.option] = value
    return StepFields(**asked, resolution=resolution)


def _parameter_of(workflow: Workflow, field: str) -> str:
    """The parameter of a workflow of the face engine behind a field of its step."""
    field = field.removeprefix("options.")
    for parameter in workflow.parameters:
        if parameter.option is not None and (
            field == parameter.option or field.startswith(f"{parameter.option}.")
        ):
            return parameter.name
    return field


def _as_given(value: Any) -> Any:
    return value.removeprefix("asset:") if isinstance(value, str) else value
