"""Tasks that are graphs: run by a ComfyUI of this machine, and marked like every output."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mien.comfyui import ComfyProgress, ComfyResult, Environments, Output, Submission, Upload
from mien.consumer.inputs import Inputs
from mien.consumer.settings import ConsumerSettings
from mien.consumer.task import FetchedTask
from mien.consumer.worlds import Made, Room
from mien.errors import ComfyError, InputError, MienError, SigningFailed, WorkflowInvalid
from mien.media import formats
from mien.service.names import safe_name

if TYPE_CHECKING:
    from mien.pipeline.adopting import Adopted, Making
    from mien.pipeline.policy import Verdict
    from mien.pipeline.step import PathInput


class Adopts(Protocol):
    """What is needed of the face engine: it judges and marks what others made."""

    def judge(self, files: Iterable[PathInput], options: Mapping[str, Any] | None = None) -> Verdict:
        """What the content policy says of inputs."""

    def adopt_result(
        self,
        made: PathInput,
        output: PathInput,
        *,
        operation: Making,
        name: str,
        sources: Iterable[PathInput] = (),
        models: Iterable[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Adopted:
        """Make a file that something else made an output."""


@dataclass(frozen=True)
class Graphs:
    """Runs the graph of a task, ``wf_json``, with the pictures of ``wf_images`` in its inputs."""

    environments: Environments
    engine: Callable[[], Adopts]
    inputs: Inputs
    settings: ConsumerSettings

    def work(self, task: FetchedTask, room: Room) -> Made:
        """Run a graph; a run that an earlier process submitted is gone on with."""
        graph = task.data.get("wf_json")
        if not isinstance(graph, dict) or not graph:
            raise WorkflowInvalid(f"The task {task.id} has no graph in params.input_data.wf_json.")
        name = self.environments.for_workflow(task.workflow)
        uploads = self._uploads(task, graph, room)
        policy = {"content_policy": self.settings.content_policy}
        self.engine().judge([upload.path for upload in uploads], policy)
        resume = Submission(**room.submission) if room.submission else None
        taking = _Taking(self, task, uploads, room, policy)
        self.environments.run(
            name,
            graph,
            into=_emptied(room.folder / "made"),
            job_id=re.sub(r"[^A-Za-z0-9_-]", "_", task.id),
            inputs=uploads,
            on_progress=lambda progress: room.tell(_shown(progress)),
            cancel=room.cancel,
            on_submitted=lambda submission: room.remember(asdict(submission)),
            on_result=taking.take,
            attempt=resume.attempt if resume else 0,
            resume=resume,
        )
        return taking.result()

    def _uploads(self, task: FetchedTask, graph: Mapping[str, Any], room: Room) -> list[Upload]:
        found = []
        for number, image in enumerate(task.data.get("wf_images") or ()):
            room.cancel.raise_if_set()
            name, places = str(image.get("name") or number), _places(task, graph, image)
            field = f"image-{number}-{safe_name(name)[:40]}"
            path = self.inputs.bring(task, image.get("url"), room.folder, field, room.patiently)
            found.append(Upload(path, f"{number}{path.suffix}", places))
        return found

    def adopted(
        self,
        task: FetchedTask,
        output: Output,
        uploads: list[Upload],
        room: Room,
        policy: Mapping[str, Any],
    ) -> Made:
        """The result as an output of this machine: judged, marked, signed."""
        assert output.path is not None
        name = safe_name(task.workflow, formats.extension(output.format))
        place = room.folder / "out" / name
        place.parent.mkdir(exist_ok=True)
        sources = [upload.path for upload in uploads]
        done = self.engine().adopt_result(
            output.path,
            place,
            operation="edited" if sources else "generated",
            name=f"ComfyUI {task.workflow}",
            sources=sources,
            options=policy,
        )
        return Made(place, name, {"content": done.content, "signed": done.signed})


@dataclass
class _Taking:
    """Takes the result of a run in, as long as the instance still has it."""

    graphs: Graphs
    task: FetchedTask
    uploads: list[Upload]
    room: Room
    policy: Mapping[str, Any]
    made: Made | None = None
    refusal: MienError | None = None
    """Why there is no result; to take it once more would end the same way, so the instance may forget it."""

    def take(self, found: ComfyResult) -> None:
        """Mark the result and note it. What is raised lets the instance keep its own."""
        try:
            output = _chosen(self.task, found.outputs)
            self.made = self.graphs.adopted(self.task, output, self.uploads, self.room, self.policy)
        except (InputError, ComfyError, SigningFailed) as error:
            self.refusal = error
            return
        self.room.keep(self.made)

    def result(self) -> Made:
        """What was made. Raises why there is nothing."""
        if self.refusal is not None:
            raise self.refusal
        assert self.made is not None
        return self.made


def _places(task: FetchedTask, graph: Mapping[str, Any], image: Any) -> tuple[tuple[str, str], ...]:
    """Node and input of each place, as ``wf_images`` names them: ``NODE.INPUT``. Raises WorkflowInvalid."""
    found = []
    for place in image.get("inputs") or ():
        node, dot, name = str(place).rpartition(".")
        if not dot or not isinstance(graph.get(node), dict):
            raise WorkflowInvalid(
                f"The task {task.id} has a picture for {str(place)[:60]}, which its graph lacks."
            )
        found.append((node, name))
    return tuple(found)


def _chosen(task: FetchedTask, outputs: Iterable[Output]) -> Output:
    """The result that is reported: the first that is a picture, video or sound. Raises ComfyError without one."""
    for output in outputs:
        if output.path is not None and output.media is not None:
            return output
    raise ComfyError(f"The workflow {task.workflow} gave no picture, video or sound.")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _shown(progress: ComfyProgress) -> dict[str, Any]:
    done = round(progress.done, 2)
    return {"stage": "process", "done": done, "total": progress.total, "message": progress.node[:200]}
