"""Tasks that are graphs: run by a ComfyUI of this machine, and marked like every output."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

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

MOST_FILES: Final = 100
"""Files of one result that are reported."""
_OPERATIONS: Final[Mapping[object, Making]] = {
    "generated": "generated",
    "edited": "edited",
    "enhanced": "enhanced",
}


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
        must_mark: bool = False,
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
        taking = _Taking(self, task, uploads, room)
        self.environments.run(
            name,
            graph,
            into=_emptied(room.folder / "made"),
            # Another stage, or another lease, must not find files of this one in the instance's cache.
            job_id=task.folder,
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
        self, task: FetchedTask, output: Output, name: str, uploads: list[Upload], room: Room
    ) -> Adopted:
        """A file of the result as an output of this machine: judged, marked, signed."""
        assert output.path is not None
        place = room.folder / "out" / name
        place.parent.mkdir(exist_ok=True)
        sources = [upload.path for upload in uploads]
        done = self.engine().adopt_result(
            output.path,
            place,
            operation=_operation(task, sources),
            name=f"ComfyUI {task.workflow}",
            sources=sources,
            options={"content_policy": self.settings.content_policy},
            must_mark=True,
        )
        return done


@dataclass
class _Taking:
    """Takes the result of a run in, as long as the instance still has it."""

    graphs: Graphs
    task: FetchedTask
    uploads: list[Upload]
    room: Room
    made: Made | None = None
    refusal: MienError | None = None
    """Why there is no result; to take it once more would end the same way, so the instance may forget it."""

    def take(self, found: ComfyResult) -> None:
        """Mark the result and note it. What is raised lets the instance keep its own."""
        try:
            self.made = self._adopted(found)
        except (InputError, ComfyError, SigningFailed) as error:
            self.refusal = error
            return
        self.room.keep(self.made)

    def _adopted(self, found: ComfyResult) -> Made:
        from mien.pipeline.policy import worst

        chosen, left_out = _chosen(self.task, found.outputs)
        adopted: list[Adopted] = []
        for number, output in enumerate(chosen):
            stem = self.task.workflow if number == 0 else f"{self.task.workflow}-{number + 1}"
            name = safe_name(stem, formats.extension(output.format))
            adopted.append(self.graphs.adopted(self.task, output, name, self.uploads, self.room))
        said = [output.text for output in found.outputs if output.text is not None]
        if found.blocked is not None:
            said.append(f"A node kept back a part of the results: {found.blocked}")
        files = [(done.output, done.output.name) for done in adopted]
        told = dict.fromkeys([*said, *(text for done in adopted for text in done.notices), *left_out])
        facts = {
            "files": len(files),
            "content": worst(done.content for done in adopted),
            "signed": all(done.signed for done in adopted),
        }
        return Made(*files[0], facts, tuple(files[1:]), tuple(told))

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


def _chosen(task: FetchedTask, outputs: Iterable[Output]) -> tuple[list[Output], list[str]]:
    """The files that are reported, what later stages can work on first, and notices of those that are not.

    Raises ComfyError without a picture, video or sound.
    """
    files = [output for output in outputs if output.path is not None]
    media = [output for output in files if output.media is not None]
    if not media:
        raise ComfyError(f"The workflow {task.workflow} gave no picture, video or sound.")
    others = [output.filename for output in files if output.media is None]
    texts = [f"The file {safe_name(name)} of the result is no medium and was left out." for name in others]
    if len(media) > MOST_FILES:
        texts.append(f"Of the {len(media)} files of the result the first {MOST_FILES} were kept.")
    ordered = sorted(media, key=lambda output: output.media not in ("image", "video"))
    return ordered[:MOST_FILES], texts


def _operation(task: FetchedTask, sources: list[Path]) -> Making:
    """What the gateway says that the graph does, or what follows from its pictures."""
    said = task.data.get("wf_operation")
    if said in _OPERATIONS:
        return _OPERATIONS[said]
    return "edited" if sources else "generated"


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _shown(progress: ComfyProgress) -> dict[str, Any]:
    done = round(progress.done, 2)
    return {"stage": "process", "done": done, "total": progress.total, "message": progress.node[:200]}
