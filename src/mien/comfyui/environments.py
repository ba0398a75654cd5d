"""Named kinds of ComfyUI with one or several instances each, and which of them takes the next run."""

from __future__ import annotations

import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mien.comfyui.api import Unsent
from mien.comfyui.follow import Leaving, OnProgress, Stuck, Unheeded
from mien.comfyui.graph import Graph, Upload
from mien.comfyui.instance import ComfyInstance, ComfyResult, OnResult
from mien.comfyui.member import InstanceStatus, Member
from mien.comfyui.refusals import InstanceFull, Lacking, needs
from mien.comfyui.settings import ComfySettings, checked_url, shown_url
from mien.comfyui.sharing import Fault, News
from mien.errors import ComfyLost, ComfyUnreachable, MienError, OptionError, TimedOut, WorkflowInvalid
from mien.pipeline.progress import Cancel

DEFAULT: Final = "comfyui"
"""Name of the environment that ``COMFYUI_URL`` makes."""

_BLAME: Final = (ComfyUnreachable, ComfyLost, Stuck, Unheeded)
"""Ends of a run that are the instance's fault."""
_WAIT_SLICE: Final = 0.2


class EnvironmentSettings(BaseModel):
    """One environment, as the file describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"\A[a-z0-9][a-z0-9_-]{0,63}\z")
    urls: tuple[str, ...] = Field(min_length=1)
    workflows: tuple[str, ...] = ()
    """Workflows that run here; all when empty."""

    @field_validator("urls")
    @classmethod
    def _check_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_url(url) for url in urls)


@dataclass(frozen=True, slots=True)
class Submission:
    """Where a run was submitted; stored by the caller, and given back it continues that run."""

    url: str
    prompt_id: str
    client_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """One environment, as `/api/status` shows it."""

    name: str
    workflows: tuple[str, ...]
    instances: tuple[InstanceStatus, ...]


@dataclass(frozen=True)
class _Environment:
    settings: EnvironmentSettings
    members: tuple[Member, ...]


class Environments:
    """All environments of a process; safe to use from many threads.

    As a context manager it probes its instances in the background.
    """

    def __init__(self, settings: ComfySettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is sent yet. Raises OptionError for a file that cannot be used."""
        self._settings = settings
        self._condition = threading.Condition()
        self._environments = {
            found.name: _Environment(
                found, tuple(Member(ComfyInstance(url, settings), settings, clock) for url in found.urls)
            )
            for found in environments_of(settings)
        }
        self._ended = threading.Event()
        self._prober = threading.Thread(target=self._probe_on, name="comfyui-probes", daemon=True)

    def __enter__(self) -> Environments:
        self._prober.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._prober.join(self._settings.answer_seconds)
        self.close()

    def close(self) -> None:
        """Close idle connections; for those that did not enter the context."""
        for member in self._members():
            member.instance.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all environments."""
        return tuple(self._environments)

    def for_workflow(self, workflow: str) -> str:
        """The environment that runs a workflow: one that names it, else one that runs all. Raises WorkflowInvalid."""
        for environment in self._environments.values():
            if workflow in environment.settings.workflows:
                return environment.settings.name
        for environment in self._environments.values():
            if not environment.settings.workflows:
                return environment.settings.name
        raise WorkflowInvalid(
            f"No ComfyUI environment runs the workflow {workflow}; set COMFYUI_URL, or name it in the file of"
            " MIEN_COMFYUI_ENVIRONMENTS_FILE."
        )

    def places(self) -> dict[str, int]:
        """How many runs each environment takes at once, by its name."""
        depth = self._settings.depth
        return {name: depth * len(found.members) for name, found in self._environments.items()}

    def instances(self, name: str) -> tuple[ComfyInstance, ...]:
        """The instances of an environment, for questions that are not runs. Raises WorkflowInvalid."""
        return tuple(member.instance for member in self._environment(name).members)

    def run(
        self,
        name: str,
        graph: Graph,
        *,
        into: Path,
        job_id: str,
        inputs: Sequence[Upload] = (),
        attempt: int = 0,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        on_submitted: Callable[[Submission], None] | None = None,
        on_result: OnResult | None = None,
        resume: Submission | None = None,
        leaving: Leaving | None = None,
    ) -> ComfyResult:
        """Run a graph on the least busy instance of the environment, waiting for a place.

        Where an instance fails during the run, it is counted against it and the run begins again elsewhere, at most
        ``settings.retries`` times. Where it lacks a node class, a model or memory, the others are asked, also those
        that come back within ``settings.fault_seconds``. ``resume`` continues at the instance that it names. Raises
        what ``ComfyInstance.run`` raises, and TimedOut when no place becomes free in ``settings.start_seconds``.
        """
        moved, search = 0, _Search(needs(graph))
        while True:
            self._check_elsewhere(name, search, cancel)
            with self._place(name, resume.url if resume else None, cancel, search) as member:
                try:
                    result = member.instance.run(
                        graph,
                        into=into,
                        job_id=job_id,
                        inputs=inputs,
                        attempt=attempt,
                        on_progress=on_progress,
                        cancel=cancel,
                        on_submitted=_reporter(member, on_submitted, attempt),
                        on_result=on_result,
                        resume=(resume.prompt_id, resume.client_id) if resume else None,
                        give_up=member.given_up,
                        leaving=leaving,
                    )
                except Unsent as error:
                    # Nothing has begun: it waits for the instance to come back, or for another.
                    member.failed(str(error), at_once=True)
                except _BLAME as error:
                    member.failed(str(error), at_once=isinstance(error, Stuck | Unheeded))
                    moved += 1
                    if isinstance(error, Stuck | Unheeded) or moved > self._settings.retries:
                        raise
                except (Lacking, InstanceFull) as error:
                    # No fault of the instance, which goes on to do what it can: another may have what it lacks.
                    # One that comes back gets work again fault_seconds after it failed last.
                    search.refused(member, error, 2 * self._settings.fault_seconds)
                else:
                    member.succeeded()
                    return result
            resume, attempt = None, attempt + self._settings.retries + 1

    def drain(self, url: str, on: bool = True) -> None:
        """Give an instance no more runs (those that it has go on), or again. Raises OptionError for an unknown one."""
        found = [
            member
            for member in self._members()
            if shown_url(member.instance.url) == shown_url(url.rstrip("/"))
        ]
        if not found:
            raise OptionError(
                f"There is no ComfyUI instance {shown_url(url)}; the status lists those there are."
            )
        for member in found:
            member.draining = on
        with self._condition:
            self._condition.notify_all()

    def probe(self) -> None:
        """Ask all instances how they are, once; called in the background while the context is entered."""
        for member in self._members():
            member.probe()
        with self._condition:
            self._condition.notify_all()

    def status(self) -> list[EnvironmentStatus]:
        """A snapshot; nothing is asked for it. ``as_json`` makes it plain."""
        return [
            EnvironmentStatus(
                found.settings.name,
                found.settings.workflows,
                tuple(member.status() for member in found.members),
            )
            for found in self._environments.values()
        ]

    def _environment(self, name: str) -> _Environment:
        try:
            return self._environments[name]
        except KeyError:
            known = ", ".join(self._environments) or "none, since COMFYUI_URL is not set"
            raise WorkflowInvalid(f"There is no ComfyUI environment {name}; there are: {known}.") from None

    def _members(self) -> Iterator[Member]:
        for environment in self._environments.values():
            yield from environment.members

    def news(self) -> News:
        """What was found out here of instances and is to be told to other processes."""
        found = [member.news() for member in self._members()]
        return News(
            [fault for news in found for fault in news.faults],
            list(dict.fromkeys(one for news in found for one in news.over)),
        )

    def hear(self, faults: Sequence[Fault]) -> None:
        """All faults that processes know of now, told ones of this process among them."""
        for member in self._members():
            url = shown_url(member.instance.url)
            member.hear([fault for fault in faults if fault.url == url])
        with self._condition:
            self._condition.notify_all()

    def _check_elsewhere(self, name: str, search: _Search, cancel: Cancel | None) -> None:
        """Raise the refusal of a run unless another instance may do it; for one that is away it waits a while."""
        while search.refusal is not None:
            if cancel is not None:
                cancel.raise_if_set()
            able = search.able(self._environment(name).members)
            if any(member.is_well() for member in able):
                return
            if not able or time.monotonic() > search.until:
                raise search.refusal
            with self._condition:
                self._condition.wait(_WAIT_SLICE)

    @contextmanager
    def _place(self, name: str, url: str | None, cancel: Cancel | None, search: _Search) -> Iterator[Member]:
        member = self._take(self._environment(name), url, cancel, search)
        try:
            yield member
        finally:
            with self._condition:
                member.leave()
                self._condition.notify_all()

    def _take(
        self,
        environment: _Environment,
        url: str | None,
        cancel: Cancel | None,
        search: _Search,
    ) -> Member:
        deadline = time.monotonic() + self._settings.start_seconds
        while True:
            if cancel is not None:
                cancel.raise_if_set()
            with self._condition:
                # A run that is there already needs no place: it has one.
                resumed = [member for member in environment.members if member.instance.url == url]
                free = resumed or [member for member in search.fit(environment.members) if member.has_place()]
                if free:
                    chosen = min(free, key=Member.load)
                    chosen.enter()
                    return chosen
                self._condition.wait(_WAIT_SLICE)
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"No instance of the ComfyUI environment {environment.settings.name} took the run within"
                    f" {self._settings.start_seconds:.0f} s; the status tells why."
                )

    def _probe_on(self) -> None:
        while not self._ended.is_set():
            self.probe()
            self._ended.wait(self._settings.probe_seconds)


@dataclass
class _Search:
    """The search of one run for an instance that has what it needs."""

    needed: frozenset[str]
    tried: set[Member] = field(default_factory=set)
    refusal: MienError | None = None
    until: float = 0.0

    def refused(self, member: Member, refusal: MienError, seconds: float) -> None:
        """An instance cannot do the run; those that are away now are waited for so long."""
        if isinstance(refusal, Lacking):
            member.lacked(refusal.what, str(refusal))
        self.tried.add(member)
        self.refusal, self.until = refusal, time.monotonic() + seconds

    def able(self, members: Sequence[Member]) -> list[Member]:
        """Those that may have what the tried ones lack, also when they are away."""
        left = (member for member in members if member not in self.tried)
        return [member for member in left if not member.draining and not member.lacks(self.needed)]

    def fit(self, members: Sequence[Member]) -> Sequence[Member]:
        """Those that get work and may do it; all where there is none: one has to say what is missing."""
        left = [member for member in members if member not in self.tried]
        return [member for member in self.able(members) if member.is_well()] or left or members


def environments_of(settings: ComfySettings) -> list[EnvironmentSettings]:
    """All environments: that of ``COMFYUI_URL`` and those of the file. Raises OptionError."""
    found = [EnvironmentSettings(name=DEFAULT, urls=settings.urls)] if settings.urls else []
    if settings.environments_file is None:
        return found
    path = settings.environments_file
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("environment", [])
        found += [EnvironmentSettings.model_validate(entry) for entry in entries]
    except OSError:
        raise OptionError(f"MIEN_COMFYUI_ENVIRONMENTS_FILE names {path}, which cannot be read.") from None
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{path} is not a TOML file: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise OptionError(f"{path} has a wrong {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    names = [environment.name for environment in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise OptionError(
            f"There are two ComfyUI environments {min(twice)}; {path} needs another name for its own."
        )
    return found


def as_json(status: Sequence[EnvironmentStatus]) -> list[Mapping[str, Any]]:
    """The status as plain values."""
    return [asdict(environment) for environment in status]


def _reporter(
    member: Member, on_submitted: Callable[[Submission], None] | None, attempt: int
) -> Callable[[str, str], None] | None:
    if on_submitted is None:
        return None
    counted = iter(range(attempt, attempt + 1000))

    def report(prompt_id: str, client_id: str) -> None:
        on_submitted(Submission(member.instance.url, prompt_id, client_id, next(counted)))

    return report
