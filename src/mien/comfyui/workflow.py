"""A workflow: a graph, or steps of the face engine, or stages of both, behind typed parameters."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mien.comfyui.graph import Upload
from mien.comfyui.parameters import Parameter
from mien.errors import WorkflowInvalid
from mien.pipeline.adopting import Making

Kind = Literal["comfyui", "mien", "stages"]

_NAME: Final = r"\A[a-z0-9][a-z0-9_-]{0,63}\z"


class Source(BaseModel):
    """Where an input of a stage comes from: a parameter of the whole, the result of an earlier stage, or a value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameter: str | None = None
    stage: str | None = None
    value: Any = None

    @model_validator(mode="after")
    def _one(self) -> Source:
        if len(self.model_fields_set) != 1:
            raise ValueError("an input comes from one of parameter, stage and value")
        return self


class Stage(BaseModel):
    """A workflow that is run as a part of another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME)
    workflow: str
    inputs: Mapping[str, Source]


class Workflow(BaseModel):
    """One template; it never changes, and each run gets a copy of its graph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME)
    version: int = Field(ge=1)
    """Counts up with every change that changes results or parameters."""
    title: str = ""
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    graph: Mapping[str, Any] | None = None
    """For ComfyUI, in API format."""
    processors: tuple[str, ...] = ()
    """For the face engine, in order."""
    stages: tuple[Stage, ...] = ()
    operation: Making | None = None
    """What results are called in marks and signatures; found out from the parameters when it is not said."""

    @property
    def makes(self) -> Making:
        """Whether results are made of nothing but words, of pictures, or are the same picture in a better quality."""
        if self.operation is not None:
            return self.operation
        return "edited" if any(item.type == "image" for item in self.parameters) else "generated"

    @property
    def kind(self) -> Kind:
        """What runs it."""
        return "stages" if self.stages else "mien" if self.processors else "comfyui"

    @model_validator(mode="after")
    def _check(self) -> Workflow:
        if sum(map(bool, (self.graph, self.processors, self.stages))) != 1:
            raise ValueError("it needs one of graph, processors and stages")
        names = [parameter.name for parameter in self.parameters]
        if len(set(names)) < len(names):
            raise ValueError("two parameters have the same name")
        for parameter in self.parameters:
            self._check_parameter(parameter)
        seen: list[str] = []
        for stage in self.stages:
            for name, source in stage.inputs.items():
                if source.parameter is not None and source.parameter not in names:
                    raise ValueError(f"the input {name} of stage {stage.name} names no parameter")
                if source.stage is not None and source.stage not in seen:
                    raise ValueError(f"the input {name} of stage {stage.name} names no earlier stage")
            if stage.name in seen:
                raise ValueError(f"two stages are called {stage.name}")
            seen.append(stage.name)
        return self

    def _check_parameter(self, parameter: Parameter) -> None:
        for place in (*parameter.places, *parameter.width_places, *parameter.height_places):
            node, _, name = place.partition(".")
            content = (self.graph or {}).get(node)
            if not isinstance(content, Mapping) or name not in content.get("inputs", {}):
                raise ValueError(
                    f"the parameter {parameter.name} goes to {place}, which the graph does not have"
                )
        sides = bool(parameter.width_places) + bool(parameter.height_places)
        goes = sides == 2 if parameter.type == "resolution" else bool(parameter.places) and not sides
        if self.graph is not None and not goes:
            raise ValueError(f"the parameter {parameter.name} goes to no input of the graph, or to too few")
        if self.processors and parameter.option is None:
            raise ValueError(f"the parameter {parameter.name} goes to no option")

    def check(self, values: Mapping[str, Any], pending: frozenset[str] = frozenset()) -> dict[str, Any]:
        """All values as they are used: given ones checked, defaults filled in, missing seeds drawn.

        Parameters in ``pending`` come from an earlier stage and are not there yet. Raises WorkflowInvalid.
        """
        known = {parameter.name for parameter in self.parameters}
        unknown = sorted(set(values) - known)
        if unknown:
            raise WorkflowInvalid(
                f"The workflow {self.name} has no parameter {unknown[0]}; it has: {', '.join(sorted(known)) or 'none'}."
            )
        found: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.name in pending:
                continue
            value = values.get(parameter.name)
            value = parameter.default if value is None else value
            if value is None and parameter.type == "seed":
                value = parameter.draw()
            if value is not None:
                found[parameter.name] = parameter.check(value)
            elif parameter.required:
                raise WorkflowInvalid(f"The workflow {self.name} needs the parameter {parameter.name}.")
        return found

    def schema_of_parameters(self) -> list[dict[str, Any]]:
        """The parameters without where they go, for forms and the capabilities document."""
        hidden = {"places", "width_places", "height_places", "option"}
        return [parameter.model_dump(mode="json", exclude=hidden) for parameter in self.parameters]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workflow with values in it, ready for ``ComfyInstance.run`` or ``Environments.run``."""

    workflow: str
    version: int
    graph: Mapping[str, Any]
    uploads: tuple[Upload, ...]
    values: Mapping[str, Any]
    """What to record of the run: all values with drawn seeds, files by name only."""


def prepare(workflow: Workflow, values: Mapping[str, Any]) -> Prepared:
    """Put values into a copy of the graph. Raises WorkflowInvalid, InputMissing."""
    if workflow.graph is None:
        raise WorkflowInvalid(
            f"The workflow {workflow.name} is not one of ComfyUI, so it has no graph to prepare."
        )
    checked = workflow.check(values)
    uploads = []
    for parameter in workflow.parameters:
        if parameter.type == "image" and parameter.name in checked:
            path = checked[parameter.name]
            places = tuple(_split(place) for place in parameter.places)
            uploads.append(Upload(path, _upload_name(parameter.name, path), places))
    shown = {name: value.name if isinstance(value, Path) else value for name, value in checked.items()}
    return Prepared(workflow.name, workflow.version, filled(workflow, checked), tuple(uploads), shown)


def filled(workflow: Workflow, checked: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the graph with all checked values in it but the pictures."""
    graph = copy.deepcopy(dict(workflow.graph or {}))
    for parameter in workflow.parameters:
        if parameter.type == "image" or parameter.name not in checked:
            continue
        for place, part in _parts(parameter, checked[parameter.name]):
            node, name = _split(place)
            graph[node]["inputs"][name] = part
    return graph


def _parts(parameter: Parameter, value: Any) -> Iterator[tuple[str, Any]]:
    yield from ((place, value) for place in parameter.places)
    if parameter.type == "resolution":
        yield from ((place, value[0]) for place in parameter.width_places)
        yield from ((place, value[1]) for place in parameter.height_places)


def _split(place: str) -> tuple[str, str]:
    node, _, name = place.partition(".")
    return node, name


def _upload_name(name: str, path: Path) -> str:
    ending = re.sub(r"[^a-z0-9.]", "", path.suffix.lower())[:8]
    return name + ending
