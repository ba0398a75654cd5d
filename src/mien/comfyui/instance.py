"""One ComfyUI instance, as something that runs graphs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from mien.comfyui import outputs as found
from mien.comfyui.api import Api, Missing, Queue, Unclear
from mien.comfyui.check import check_size
from mien.comfyui.follow import Follower, GivenUp, GiveUp, Leaving, Left, OnProgress, Watch
from mien.comfyui.graph import Graph, Upload, for_attempt
from mien.comfyui.listener import Listener, fresh_client_id
from mien.comfyui.outputs import Output
from mien.comfyui.refusals import InstanceFull, failure, refused, was_interrupted
from mien.comfyui.settings import ComfySettings, checked_url
from mien.comfyui.tally import Tally
from mien.errors import Canceled, ComfyError, ComfyLost, ComfyUnreachable, MienError
from mien.pipeline.progress import Cancel

OnSubmitted = Callable[[str, str], None]
"""Called with prompt id and client id before they are sent."""


@dataclass(frozen=True, slots=True)
class ComfyResult:
    """What a run gave."""

    outputs: tuple[Output, ...]
    prompt_id: str
    attempt: int
    """The attempt that succeeded, counted on from the one that was passed in."""
    blocked: str | None = None
    """Why a node blocked a part of the outputs, if one did."""


OnResult = Callable[[ComfyResult], None]
"""Called when all files are here and the instance still knows the run."""


@dataclass(frozen=True)
class _Task:
    graph: Graph
    uploads: Sequence[Upload]
    into: Path
    job_id: str
    watch: Watch
    on_submitted: OnSubmitted | None
    on_result: OnResult | None


class ComfyInstance:
    """One instance; safe to use from many threads, each of which runs one graph at a time."""

    def __init__(self, url: str, settings: ComfySettings) -> None:
        """Nothing is sent yet. Raises ValueError for what is no address."""
        self.url = checked_url(url)
        self.api = Api(self.url, settings)
        self._settings = settings

    def close(self) -> None:
        """Close idle connections."""
        self.api.close()

    def __enter__(self) -> ComfyInstance:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def run(
        self,
        graph: Graph,
        *,
        into: Path,
        job_id: str,
        inputs: Sequence[Upload] = (),
        attempt: int = 0,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        on_submitted: OnSubmitted | None = None,
        on_result: OnResult | None = None,
        resume: tuple[str, str] | None = None,
        give_up: GiveUp | None = None,
        leaving: Leaving | None = None,
    ) -> ComfyResult:
        """Run a graph and fetch what it gives into the folder ``into``, which must exist.

        ``on_submitted`` gets prompt id and client id before each submission, so that they can be stored; given back as
        ``resume`` they continue a run that another process submitted, which is submitted again only if the instance
        does not know it. ``on_result`` is called before the instance forgets the run, so that nothing runs twice if
        the result is stored in it; when it fails, ``resume`` still finds the run. Where ``leaving`` says so once
        ``cancel`` is set, the run is not stopped, and Left raised: another process resumes it. A run that the
        instance lost is submitted again under a new id, at most ``settings.retries`` times; one that ran out of
        memory once, after the memory was freed.

        Raises WorkflowInvalid, NodeFailed, OutOfMemory, Canceled, TimedOut, ComfyLost, ComfyUnreachable, ComfyError,
        MediaTooLarge, DiskFull.
        """
        check_size(graph, self._settings)
        watch = Watch(on_progress, cancel, give_up, leaving)
        task = _Task(graph, inputs, into, job_id, watch, on_submitted, on_result)
        lost, freed = 0, False
        while True:
            try:
                return self._attempt(task, attempt, resume)
            except InstanceFull:
                if freed:
                    raise
                freed = True
                self.api.free()
            except ComfyLost as error:
                lost += 1
                if lost > self._settings.retries or isinstance(error, GivenUp):
                    raise
                self.api.forget()
            resume, attempt = None, attempt + 1

    def queue(self) -> Queue:
        """Ids of running and waiting prompts, of all clients."""
        return self.api.queue()

    def cancel(self, prompt_id: str) -> None:
        """Ask the instance to stop one prompt; whether it did shows in its queue and history."""
        self.api.stop(prompt_id)

    def system_stats(self) -> Mapping[str, Any]:
        """Version, memory and devices; it asks the device, so it is no probe."""
        return self.api.system_stats()

    def object_info(self) -> Mapping[str, Any]:
        """The node classes of the instance."""
        return self.api.object_info()

    def _attempt(self, task: _Task, attempt: int, resume: tuple[str, str] | None) -> ComfyResult:
        task.watch.check()
        prompt_id, client_id = resume or (str(uuid4()), fresh_client_id(self._settings))
        graph = task.graph if resume else self._prepare(task, attempt)
        tally = Tally(graph, prompt_id)
        with Listener(self.url, client_id, self._settings, tally) as listener:
            follower = Follower(self.api, prompt_id, tally, listener, self._settings, task.watch)
            try:
                if resume is None:
                    if task.on_submitted is not None:
                        task.on_submitted(prompt_id, client_id)
                    self._submit(prompt_id, client_id, graph, follower)
                entry = follower.wait()
            except (ComfyUnreachable, Left):
                raise
            except Exception as error:
                # Where it is not an end of the run, the caller's own function failed: nobody follows it any more.
                self._leave(prompt_id, stop=not isinstance(error, MienError))
                raise
        blocked = tally.blocked[1] if tally.blocked else None
        try:
            result = ComfyResult(
                self._collect(entry, graph, task, tally.blocked), prompt_id, attempt, blocked
            )
        except Left:
            raise
        except Exception:
            self._leave(prompt_id)
            raise
        if task.on_result is not None:
            task.on_result(result)
        self._leave(prompt_id)
        return result

    def _leave(self, prompt_id: str, *, stop: bool = False) -> None:
        """Leave nothing of the prompt behind at the instance, as far as it can be asked."""
        with suppress(ComfyError):
            if stop:
                self.api.stop(prompt_id)
            self.api.forget_history(prompt_id)

    def _prepare(self, task: _Task, attempt: int) -> Graph:
        names = {
            upload.name: self.api.upload(upload.path, upload.name, task.job_id) for upload in task.uploads
        }
        return for_attempt(task.graph, task.job_id, attempt, names, task.uploads)

    def _submit(self, prompt_id: str, client_id: str, graph: Graph, follower: Follower) -> None:
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id}
        try:
            answer = self.api.submit(body)
        except Unclear as error:
            self._find(prompt_id, error)
            return
        if "error" in answer:
            raise refused(answer, graph)
        if answer.get("node_errors"):
            follower.wait(stop_with=refused(answer, graph))

    def _find(self, prompt_id: str, unclear: Unclear) -> None:
        """Return if the instance has the prompt after all; raises ComfyLost or ComfyUnreachable."""
        began, looks = time.monotonic(), 0
        while True:
            waited = time.monotonic() - began
            try:
                if self.api.look(prompt_id).place != "absent":
                    return
                looks += 1
            except ComfyUnreachable as error:
                if waited >= self._settings.reconnect_seconds:
                    raise ComfyUnreachable(str(error)) from None
            if looks >= 2 and waited >= self._settings.unclear_seconds:
                # Should it arrive after all, its result is nobody's.
                with suppress(ComfyError):
                    self.api.stop(prompt_id)
                raise ComfyLost(f"{unclear} It does not know the run.")
            time.sleep(min(self._settings.poll_fast_seconds, max(self._settings.unclear_seconds / 4, 0.01)))

    def _collect(
        self, entry: Mapping[str, Any], graph: Graph, task: _Task, blocked: tuple[str, str] | None
    ) -> tuple[Output, ...]:
        if entry["status"]["status_str"] != "success":
            if was_interrupted(entry):
                raise Canceled(f"The run was stopped at the ComfyUI instance {self.api.shown}.")
            raise failure(entry, graph)
        files = found.references(entry)
        results = [self._fetch(reference, number, task) for number, reference in enumerate(files)]
        results += found.texts(entry)
        if not results:
            raise found.nothing(blocked)
        return tuple(results)

    def _fetch(self, reference: found.Reference, number: int, task: _Task) -> Output:
        """One file; a connection that breaks is tried again for as long as a silent instance is waited for."""
        began = time.monotonic()
        while True:
            task.watch.check()
            try:
                return found.fetch(self.api, reference, number, task.into, self._settings)
            except Missing as error:
                raise ComfyLost(str(error)) from None
            except ComfyUnreachable as error:
                if time.monotonic() - began >= self._settings.reconnect_seconds:
                    raise ComfyUnreachable(str(error)) from None
                time.sleep(self._settings.poll_fast_seconds)
