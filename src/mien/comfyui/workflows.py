"""The workflows there are: shipped ones, and those of the operator's folder, which come first."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from mien.comfyui.settings import ComfySettings
from mien.comfyui.workflow import Workflow
from mien.errors import WorkflowInvalid

SHIPPED: Final = Path(__file__).parent / "data"
_ENDINGS: Final = (".toml", ".json")
_MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One part of a plan."""

    name: str
    workflow: Workflow
    values: Mapping[str, Any]
    """Checked values; drawn seeds are among them, so that a repeat of the stage gives the same."""
    from_stages: Mapping[str, str]
    """Parameters that are the result of an earlier stage -> the name of that stage."""

    def resolve(self, results: Mapping[str, Path]) -> dict[str, Any]:
        """The values with the results of earlier stages, which ``results`` gives by stage name, put in."""
        return {**self.values, **{name: results[stage] for name, stage in self.from_stages.items()}}


@dataclass(frozen=True, slots=True)
class Plan:
    """A request for a workflow, checked: stages to be run one after the other; the last one's result counts."""

    workflow: Workflow
    values: Mapping[str, Any]
    stages: tuple[PlannedStage, ...]


class Workflows:
    """Workflows by name; read once, when made."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        """Earlier folders come first, the shipped ones last. Raises WorkflowInvalid for a file that cannot be used."""
        self._found: dict[str, Workflow] = {}
        self._files: dict[str, Path] = {}
        for folder in (*folders, SHIPPED):
            for path in files_in(folder):
                workflow = read(path)
                if workflow.name not in self._found:
                    self._found[workflow.name], self._files[workflow.name] = workflow, path

    @classmethod
    def from_settings(cls, settings: ComfySettings) -> Workflows:
        """With the folder of the settings, if there is one."""
        return cls((settings.workflows_dir,) if settings.workflows_dir else ())

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._found))

    def get(self, name: str) -> Workflow:
        """The workflow. Raises WorkflowInvalid."""
        if name not in self._found:
            raise WorkflowInvalid(f"There is no workflow {name}; there are: {', '.join(self.names)}.")
        return self._found[name]

    def file(self, name: str) -> Path:
        """Where it was read from."""
        self.get(name)
        return self._files[name]

    def plan(self, name: str, values: Mapping[str, Any]) -> Plan:
        """Check a request and lay out its stages; a workflow without stages is one stage of its own name.

        Raises WorkflowInvalid, InputMissing.
        """
        workflow = self.get(name)
        self.check_stages(workflow)
        checked = workflow.check(values)
        if workflow.kind != "stages":
            return Plan(workflow, checked, (PlannedStage(name, workflow, checked, {}),))
        stages = []
        for stage in workflow.stages:
            inner = self.get(stage.workflow)
            given = {
                key: checked.get(source.parameter) if source.parameter is not None else source.value
                for key, source in stage.inputs.items()
                if source.stage is None
            }
            pending = {key: source.stage for key, source in stage.inputs.items() if source.stage is not None}
            inner_values = inner.check(given, frozenset(pending))
            stages.append(PlannedStage(stage.name, inner, inner_values, pending))
        return Plan(workflow, checked, tuple(stages))

    def check_stages(self, workflow: Workflow) -> None:
        """Whether the workflows that its stages name are there and have these inputs. Raises WorkflowInvalid.

        Not asked when all are read: one that is replaced must not make the others unusable.
        """
        for stage in workflow.stages:
            inner = self.get(stage.workflow)
            if inner.kind == "stages":
                raise WorkflowInvalid(
                    f"The stage {stage.name} of {workflow.name} has stages itself; name its parts."
                )
            known = {parameter.name for parameter in inner.parameters}
            for name in stage.inputs:
                if name not in known:
                    raise WorkflowInvalid(
                        f"The stage {stage.name} of {workflow.name} sets {name}, which {inner.name} does not have."
                    )


def files_in(folder: Path) -> list[Path]:
    """The workflow files of a folder; a JSON file that a TOML file beside it names by its own name is its graph."""
    if not folder.is_dir():
        raise WorkflowInvalid(
            f"The folder of workflows {folder} does not exist; create it, or correct the setting."
        )
    paths = sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS and path.is_file())
    return [path for path in paths if path.suffix == ".toml" or path.with_suffix(".toml") not in paths]


def read(path: Path) -> Workflow:
    """One workflow from a TOML or JSON file; ``graph`` is the graph, or the name of a JSON file beside it.

    Raises WorkflowInvalid that names the file.
    """
    data = _parse(path)
    if isinstance(data.get("graph"), str):
        beside = path.parent / Path(data["graph"]).name
        data = {**data, "graph": _parse(beside)}
    try:
        return Workflow.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        raise WorkflowInvalid(
            f"The workflow file {path} is wrong{f' at {where}' if where else ''}: {why}."
        ) from None


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise WorkflowInvalid(f"The workflow file {path} is over {_MAX_BYTES} bytes.")
        text = data.decode("utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise WorkflowInvalid(f"The workflow file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise WorkflowInvalid(
            f"The workflow file {path} is not {path.suffix[1:].upper()}: {error}."
        ) from None
    if not isinstance(found, dict):
        raise WorkflowInvalid(f"The workflow file {path} does not hold an object.")
    return found
