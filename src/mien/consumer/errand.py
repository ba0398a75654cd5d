"""One task from its lease to its report."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from mien.consumer.gateway import Away, Gateway
from mien.consumer.heart import Heart
from mien.consumer.journal import Entry
from mien.consumer.outbox import Outbox
from mien.consumer.settings import ConsumerSettings
from mien.consumer.worlds import Made, Room, World
from mien.errors import (
    Canceled,
    DiskFull,
    InputError,
    JobBusy,
    MienError,
    ModelMissing,
    OutputNotWritable,
    ProviderError,
    StorageError,
    StorageRefused,
    TimedOut,
)

if TYPE_CHECKING:
    from mien.service.logs import Log

Outcome: TypeAlias = Literal["completed", "failed", "unable", "canceled", "given_back", "dropped", "kept"]
"""What became of a lease; unable: it failed by this machine's fault; dropped: somebody else has the task; kept: it
could not be reported yet."""

MACHINE: Final = frozenset(
    error.code
    for error in (StorageError, StorageRefused, ProviderError, OutputNotWritable, DiskFull, ModelMissing)
)
"""Codes of failures of this machine rather than of the task: another consumer may do it."""
LONGEST_NOTICE, MOST_NOTICES = 2000, 20
T = TypeVar("T")


class Unreported(Exception):
    """The gateway could not be told; what is to be told is in the journal."""


@dataclass(frozen=True)
class Errands:
    """Does tasks; used by many threads at once. ``leaving`` is set when the consumer has to end at once."""

    gateway: Gateway
    worlds: Mapping[str, World]
    outbox: Outbox
    settings: ConsumerSettings
    log: Log
    leaving: threading.Event

    def run(self, entry: Entry, heart: Heart) -> Outcome:
        """Do what is left of a task, and report it. Its folder is gone afterwards unless the outcome is kept."""
        began = time.monotonic()
        facts: dict[str, Any] = {}
        try:
            with heart:
                outcome = self._run(entry, heart, facts)
        except JobBusy:
            outcome = "dropped"
        except (Unreported, Away):
            outcome = "kept"
        except MienError as error:  # the gateway refuses the report, such as for a key that was revoked
            facts["reason"] = str(error)
            outcome = "kept"
        if outcome != "kept":
            entry.forget()
        task = entry.task
        level = self.log.info if outcome in ("completed", "given_back") else self.log.warning
        level(
            f"task_{outcome}",
            task=task.id,
            workflow=task.workflow,
            seconds=round(time.monotonic() - began, 2),
            **facts,
        )
        return outcome

    def _run(self, entry: Entry, heart: Heart, facts: dict[str, Any]) -> Outcome:
        if entry.note.result is None and entry.note.failure is None:
            outcome = self._work(entry, heart, facts)
            if outcome is not None:
                return outcome
        if entry.note.failure is None:
            try:
                self._until_answered(lambda: self._complete(entry), heart)
                return "completed"
            except JobBusy:
                raise
            except MienError as error:
                self._note_failure(entry, error)
        failure = entry.note.failure or {}
        facts |= {"code": failure.get("code"), "reason": failure.get("message")}
        self._until_answered(lambda: self.gateway.fail(entry.task, **failure), heart)
        if heart.why == "canceled":
            return "canceled"
        return "unable" if failure.get("code") in MACHINE else "failed"

    def _complete(self, entry: Entry) -> None:
        self.gateway.complete(entry.task, self.outbox.put(entry))

    def _work(self, entry: Entry, heart: Heart, facts: dict[str, Any]) -> Outcome | None:
        """Make the result, or find out why there is none; an outcome where neither is to be reported."""
        room = Room(
            entry.folder,
            heart.cancel,
            lambda call: self._until_answered(call, heart),
            heart.tell,
            entry.note.submission,
            lambda submission: entry.write(submission=submission),
            lambda made: _keep(entry, made),
        )
        try:
            heart.cancel.raise_if_set()
            made = self._world(entry).work(entry.task, room)
            facts.update(made.facts)
            if entry.note.result is None:
                _keep(entry, made)
        except Unreported:
            return self._give_back(entry, heart)
        except Canceled as error:
            if heart.why == "lost":
                return "dropped"
            if heart.why == "ending":
                return None if entry.note.result else self._give_back(entry, heart)
            late = TimedOut(f"The task took longer than the {self.settings.run_seconds:.0f} seconds it may.")
            self._note_failure(entry, late if heart.why == "late" else error)
        except MienError as error:
            self._note_failure(entry, error)
        except Exception as error:  # the border of a task: it fails, the consumer goes on
            self.log.error("task_broke", task=entry.task.id, exc_info=error)
            entry.write(failure=_failure("Something went wrong inside the consumer; its log says more."))
        return None

    def _world(self, entry: Entry) -> World:
        name = entry.task.environment
        if name not in self.worlds:
            raise InputError(f"This consumer has no environment {name[:40]}, which the task asks for.")
        return self.worlds[name]

    def _note_failure(self, entry: Entry, error: MienError) -> None:
        # Names of folders of this machine are nobody's business.
        message = str(error).replace(f"{entry.folder}/", "")
        entry.write(failure=_failure(message, error.code, error.retryable or error.code in MACHINE))

    def _give_back(self, entry: Entry, heart: Heart) -> Outcome:
        self._until_answered(lambda: self.gateway.give_back(entry.task), heart)
        return "given_back"

    def _until_answered(self, call: Callable[[], T], heart: Heart) -> T:
        """Repeat a call until the gateway answers; raises Unreported when that takes too long, JobBusy, refusals."""
        deadline = time.monotonic() + self.settings.report_seconds
        pause = 0.2
        while True:
            try:
                return call()
            except Away as away:
                if heart.why == "lost":
                    raise JobBusy(str(away)) from None
                if time.monotonic() > deadline or self.leaving.is_set():
                    raise Unreported(str(away)) from None
                self.leaving.wait(max(pause, away.pause) * random.uniform(0.75, 1.25))
                pause = min(pause * 2, self.settings.poll_max_seconds)


def _keep(entry: Entry, made: Made) -> None:
    def named(path: Path) -> str:
        return path.relative_to(entry.folder).as_posix()

    entry.write(
        result=named(made.file),
        name=made.name,
        others=[[named(file), name] for file, name in made.others],
        notices=[text[:LONGEST_NOTICE] for text in made.notices[:MOST_NOTICES]],
    )


def _failure(message: str, code: str = "internal", retryable: bool = False) -> dict[str, Any]:
    return {"message": message, "code": code, "retryable": retryable}
