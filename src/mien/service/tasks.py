"""Tasks: jobs as the clients of task gateways see them.

Such a client names a workflow and an environment (``face_swap``, ``comm`` or ``auto``), asks for the state by id, and
finds the result's address in ``output_data``. Behind it is a job like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from mien.errors import (
    AssetMissing,
    InputError,
    JobError,
    JobExists,
    JobMissing,
    MienError,
    OptionError,
    WorkflowInvalid,
)
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.failures import failure_of
from mien.jobs.job import Job, JobStep
from mien.jobs.rows import JobRow
from mien.service.asset_rows import Asset
from mien.service.callers import Caller
from mien.service.leases import Leases
from mien.service.problems import Problems
from mien.service.remote_steps import REMOTE, is_possible
from mien.service.requests import JobFields
from mien.service.stages import begins_in, due_step, inputs_of, is_last
from mien.service.steps import LOCAL
from mien.service.submitting import Submissions
from mien.service.views import iso
from mien.service.workflow_steps import CONSUMERS, WorkflowSteps

Environment: TypeAlias = Literal["face_swap", "comm"]
TaskStatus: TypeAlias = Literal["PENDING", "FETCHED", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"]

FACE_SWAP: Final = "face_swap"
COMM: Final = "comm"
RESOLUTION: Final = re.compile(r"\d{3,4}x\d{3,4}")
FACE_SWAP_DATA: Final = ("source_url", "target_url", "resolution", "model")
SERVED: Final[Mapping[str, tuple[str, ...]]] = {FACE_SWAP: (LOCAL, REMOTE), COMM: (CONSUMERS,)}
"""The environments of jobs that a consumer gets that asks for those of the gateway."""

Addresses = Callable[[JobRow], Sequence[str]]
"""Where the files of the result of a job are to be had, the main one first."""


@dataclass(frozen=True)
class Wish:
    """A task that is asked for."""

    workflow: str
    data: Mapping[str, Any]
    environment: str = "auto"
    priority: int = 5
    consent_ref: str | None = None


@dataclass(frozen=True)
class Report:
    """The result of a task, or of one stage of it: files that were uploaded, or addresses elsewhere; one or the other.

    The first is the result, the others come with it.
    """

    assets: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tasks:
    """Makes, shows and ends tasks. ``ports`` are those that tasks show for each environment.

    ``remote``: whether another engine does face swaps.
    """

    store: DatabaseStore
    submissions: Submissions
    workflow_steps: WorkflowSteps
    leases: Leases
    ports: Mapping[str, int]
    remote: bool = False

    def create(self, wish: Wish, caller: Caller, seed: str) -> JobRow:
        """Put a task into the queue. Given twice with one seed it is still one task.

        Raises OptionError, WorkflowInvalid, InputError, UnsafeInput with the fields that are wrong, QueueFull and
        what else limits raise.
        """
        self._check(wish)
        look = self.submissions.look(caller)
        given = _given(wish)
        with _named(given):
            steps = self.workflow_steps.steps(
                wish.workflow,
                {name: wish.data[word] for name, word in given.items()},
                look,
                consent=wish.consent_ref,
                resolution=wish.data.get("resolution") if wish.workflow == FACE_SWAP else None,
                fields="task_data.",
            )
        if self.remote and wish.workflow == FACE_SWAP:
            steps = tuple(_sent_away(step) for step in steps)
        self.submissions.checker.check_consent(steps)
        fields = JobFields(priority=wish.priority, consent_ref=wish.consent_ref)
        new = self.submissions.new_job(fields, steps, caller, f"job_{seed}")
        workflow = self.workflow_steps.workflows.get(wish.workflow)
        usual = next(
            (step.args["environment"] for step in steps if "environment" in step.args),
            self.workflow_steps.environment(workflow),
        )
        environment = begins_in(steps, usual)
        request = {**new.request, "task_data": dict(wish.data)}
        new = replace(new, workflow=wish.workflow, environment=environment, request=request)
        try:
            return self.submissions.insert([new], caller)[0]
        except JobExists:
            return self.store.row(new.job.id, caller.owner)

    def get(self, id: str, owner: str | None) -> JobRow:
        """A task; raises JobMissing, also for a job that is none."""
        row = self.store.row(id, owner)
        if row.workflow is None:
            raise JobMissing(f"There is no task {id}.")
        return row

    def cancel(self, row: JobRow, caller: Caller) -> JobRow:
        """Cancel a task that waits, ask one that runs to stop. Raises JobError for one that has ended."""
        return self.submissions.cancel(row.id, replace(caller, owner=row.owner))

    def cancel_running_workflows(self, caller: Caller) -> list[str]:
        """Ask all tasks to stop that run in ComfyUI; returns their ids."""
        running, _ = self.store.page(statuses=("running",), limit=1000, only_workflows=True)
        found = [row for row in running if environment_of(row) == COMM]
        for row in found:
            with suppress(JobError):  # it has ended in this moment
                self.cancel(row, caller)
        return [row.id for row in found]

    def complete(self, id: str, token: str, report: Report, caller: Caller) -> JobRow:
        """End what was lent with that token: the task, or one stage of it. The same report again changes nothing.

        Raises JobBusy when the lease is lost, OptionError for a stage without assets, and what addresses and assets
        raise.
        """
        known = self.leases.reported(id, token)
        if known is not None:
            return known
        row = self.leases.held(id, token)
        index = due_step(row.job)
        if not report.assets and not is_last(row.job, index):
            raise OptionError(
                "The next stage of this task works on this result: upload it, and report the id as asset."
            )
        urls = [self.checked_url(url) for url in report.urls]
        external = {"output_url": urls[0], "output_urls": urls} if urls else {}
        for asset in report.assets:  # before any is given away
            self.submissions.assets.get(asset, caller.owner)
        records = [self._handed_over(row, index, asset, report.notices, caller) for asset in report.assets]
        return self.leases.complete(id, token, records, external, report.notices)

    def _handed_over(
        self, row: JobRow, index: int, asset: str, notices: Sequence[str], caller: Caller
    ) -> dict[str, Any]:
        """The record of a result that a consumer uploaded; the asset becomes the task's owner's."""
        found = self.submissions.assets.give(asset, caller.owner, row.owner)
        return {
            "step": index,
            "asset": found.id,
            "name": found.name,
            "size": found.size,
            "notices": list(notices),
            **found.media.as_record(),
        }

    def lent_input(self, id: str, token: str, asset: str) -> Asset:
        """An asset that whoever has the task needs for it. Raises JobBusy, JobMissing, AssetMissing."""
        row = self.leases.held(id, token)
        if asset not in inputs_of(row.job, due_step(row.job)):
            raise AssetMissing(f"The task {id} has no input {asset[:12]}….")
        return self.submissions.assets.get(asset, row.owner)

    def clear(self, caller: Caller) -> tuple[int, int]:
        """Cancel all tasks that have not ended, and forget those that have: how many of each."""
        canceled = deleted = 0
        for row in self._all():
            if row.has_ended:
                self.submissions.remove(row)
                deleted += 1
            else:
                with suppress(JobError):  # it has ended in this moment
                    self.cancel(row, caller)
                    canceled += 1
        return canceled, deleted

    def set_status(self, id: str, status: str, caller: Caller, output_url: str | None = None) -> JobRow:
        """Put a task into another state by hand. Raises JobMissing, OptionError, JobError for what cannot be."""
        row = self.get(id, None)
        owner = replace(caller, owner=row.owner)
        if status == "CANCELLED":
            return self.submissions.cancel(id, owner)
        if status == "PENDING":
            return self.submissions.retry(id, owner)
        ended = failure_of(InputError("The task was set to this state by hand."))
        if status == "FAILED":
            return self._by_hand(row, lambda job: states.fail(_running(job), ended))
        if status == "COMPLETED":
            if output_url is None:
                raise OptionError(
                    "A task is completed by hand with output_data.url, the address of its result."
                )
            external = {**row.external, "output_url": self.checked_url(output_url)}
            return self._by_hand(row, _completed, external=external)
        raise OptionError(f"{status!r} is no state that a task can be put into.")

    def checked_url(self, url: str) -> str:
        """The address of a result that somebody else stored. Raises InputError, UnsafeInput."""
        found = self.workflow_steps.checker.reference(url)
        if found.startswith("asset:"):
            raise InputError("The address of a result is a URL.")
        return found

    def queue_length(self, owner: str | None) -> int:
        """How many jobs wait, tasks among them."""
        return self.store.counts(owner).get("queued", 0)

    def _by_hand(self, row: JobRow, change: states.Change, **columns: Any) -> JobRow:
        if row.status not in ("queued", "running"):
            raise JobError(f"The task {row.id} has ended already.")
        # The next fence: whoever works on the task now must not write any more.
        begun = self.store.change(row.id, lambda job: states.begin(job, "by hand"), fence=row.fence)
        ended = self.store.change(
            row.id,
            change,
            fence=begun.fence,
            also=self.leases.on_end,
            lease_until=None,
            lease_token=None,
            dispatched=True,
            dispatches=row.dispatches + 1,
            **columns,
        )
        self.leases.on_ended(ended)
        return ended

    def _all(self) -> list[JobRow]:
        found: list[JobRow] = []
        before: int | None = None
        while True:
            rows, before = self.store.page(before=before, limit=200, only_workflows=True)
            found += rows
            if before is None:
                return found

    def _check(self, wish: Wish) -> None:
        problems = Problems()
        with problems.at("workflow"):
            workflow = self.workflow_steps.workflows.get(wish.workflow)
            own = FACE_SWAP if workflow.kind == "mien" else COMM
            if wish.environment not in ("auto", own):
                problems.add(
                    "environment",
                    WorkflowInvalid(
                        f"The workflow {wish.workflow} runs in {own}, not in {wish.environment}; auto chooses."
                    ),
                )
        if wish.workflow == FACE_SWAP:
            _check_face_swap(wish.data, problems)
        problems.refuse()


def view(
    row: JobRow, addresses: Addresses, ports: Mapping[str, int], graph: Mapping[str, Any]
) -> dict[str, Any]:
    """A task as its clients read it; ``graph`` is what a ComfyUI instance needs for it, if one does it."""
    environment = environment_of(row)
    data = dict(row.request.get("task_data") or {})
    task: dict[str, Any] = {
        "taskId": row.id,
        "workflow": row.workflow,
        "workflow_name": row.workflow,
        "environment": environment,
        "target_port": ports[environment],
        "params": {"input_data": {**data, **graph}},
        "status": status_of(row),
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "priority": row.priority,
    }
    urls = addresses(row) if row.status == "completed" else []
    if urls:
        task["output_data"] = {"url": urls[0], **({"urls": urls} if len(urls) > 1 else {})}
    if row.job.failure is not None and row.has_ended:
        task["error"] = row.job.failure.message
    return task


def status_of(row: JobRow) -> TaskStatus:
    """The state in the words of the gateway."""
    if row.status == "running":
        return "FETCHED" if row.lease_until is not None and row.progress is None else "PROCESSING"
    return _STATUS[row.status]


def environment_of(row: JobRow) -> Environment:
    """The environment in the words of the gateway: ``comm`` as soon as one of its stages is a graph."""
    return COMM if any("workflow" in step.args for step in row.job.steps) else FACE_SWAP


_STATUS: Final[Mapping[str, TaskStatus]] = {
    "drafted": "PENDING",
    "queued": "PENDING",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "canceled": "CANCELLED",
}


def port_of(url: str, default: int) -> int:
    """The port of an address."""
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme, default)


def _check_face_swap(data: Mapping[str, Any], problems: Problems) -> None:
    for name in ("source_url", "target_url"):
        if not data.get(name):
            problems.add(f"task_data.{name}", InputError(f"A face swap needs {name}."))
    size = data.get("resolution")
    if size is not None and not (isinstance(size, str) and RESOLUTION.fullmatch(size)):
        problems.add(
            "task_data.resolution",
            InputError("The resolution is WIDTHxHEIGHT of 3 or 4 digits each, such as 1024x1024."),
        )
    for name in data:
        if name not in FACE_SWAP_DATA:
            problems.add(f"task_data.{name}", InputError(f"A face swap has no {name}."))


def _given(wish: Wish) -> dict[str, str]:
    """The parameters of the workflow that are given, and the words by which the client calls them."""
    known = {"source_url": "source_image", "target_url": "target_image", "image_url": "image"}
    own = {"resolution"} if wish.workflow == FACE_SWAP else set()
    return {
        known.get(word, word): word
        for word, value in wish.data.items()
        if value is not None and word not in own
    }


@contextmanager
def _named(given: Mapping[str, str]) -> Iterator[None]:
    """Name fields as the client does."""
    try:
        yield
    except MienError as error:
        words = {f"task_data.{name}": f"task_data.{word}" for name, word in given.items()}
        error.details = tuple((words.get(field, field), text) for field, text in error.details)
        raise


def _sent_away(step: JobStep) -> JobStep:
    """The step as one of the other engine, where that can do it."""
    return replace(step, args={**step.args, "environment": REMOTE}) if is_possible(step) else step


def _running(job: Job) -> Job:
    return replace(job, status="running")


def _completed(job: Job) -> Job:
    steps = tuple(replace(step, status="completed") for step in job.steps)
    return states.complete(replace(job, steps=steps, status="running"))
