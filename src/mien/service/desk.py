"""Where requests are taken in: checked, stored, described and estimated, over the parts of the service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mien.jobs.database import Also
from mien.service.ahead import Ahead
from mien.service.assets import fetch_settings
from mien.service.batches import Batches
from mien.service.benchmarks import BenchmarkRequest, submit_benchmark
from mien.service.capabilities import Capabilities
from mien.service.checking import Checker
from mien.service.drafts import Drafts
from mien.service.estimate import Estimator, Measurements, works_of
from mien.service.looking import Looking
from mien.service.shelf import Shelf
from mien.service.submitting import Nudge, Submissions
from mien.service.tracing import OFF, Tracing
from mien.service.workflow_calls import WorkflowCalls
from mien.service.workflow_list import workflow_list
from mien.service.workflow_steps import WorkflowSteps

if TYPE_CHECKING:
    from mien.comfyui import ComfySettings, Environments
    from mien.comfyui.workflows import Workflows
    from mien.jobs.database import DatabaseStore
    from mien.jobs.rows import JobRow
    from mien.pipeline.engine import Engine
    from mien.service.accounts import Accounts
    from mien.service.assets import Assets
    from mien.service.callers import Caller
    from mien.service.events import Events
    from mien.service.limits import Limits
    from mien.service.requests import JobRequest
    from mien.service.settings import ServiceSettings
    from mien.settings import Settings


class Desk:
    """Each part is made when it is first asked for; ``engine`` tells which processors and models there are."""

    def __init__(
        self,
        settings: ServiceSettings,
        engine_settings: Settings,
        store: DatabaseStore,
        assets: Assets,
        limits: Limits,
        events: Events,
        *,
        engine: Callable[[], Engine],
        on_change: Also,
        nudge: Nudge,
        check_webhook: Callable[[str], None],
        tracing: Tracing = OFF,
        workflows: Workflows,
        environments: Environments,
        comfy: ComfySettings,
        accounts: Accounts,
    ) -> None:
        self._settings = settings
        self._engine_settings = engine_settings
        self._store = store
        self._assets = assets
        self._limits = limits
        self._events = events
        self._engine = engine
        self._on_change = on_change
        self._nudge = nudge
        self._check_webhook = check_webhook
        self._tracing = tracing
        self._workflows = workflows
        self._environments = environments
        self._comfy = comfy
        self._accounts = accounts
        self.measurements = Measurements(store.database)
        self.estimator = Estimator(self.measurements)
        self.ahead = Ahead(store)

    @cached_property
    def checker(self) -> Checker:
        """Decides whether requests can be done here."""
        engine = self._engine()
        rules = fetch_settings(self._settings)
        return Checker(
            self._settings,
            self._engine_settings,
            engine.processors,
            engine.models,
            rules,
            lambda: WorkflowCalls(self.workflow_steps),
        )

    @cached_property
    def workflow_steps(self) -> WorkflowSteps:
        """Turns calls of workflows into steps."""
        return WorkflowSteps(self._workflows, self._comfy, self.checker)

    def workflow_list(self) -> list[dict[str, Any]]:
        """All workflows, with their parameters, where they run, and whether somebody is there who runs them."""
        return workflow_list(self.workflow_steps, self._environments)

    @cached_property
    def capabilities(self) -> Capabilities:
        """Describes what can be done here."""
        engine = self._engine()
        return Capabilities(
            self._settings, self._engine_settings, engine.processors, engine.models, self.workflow_list
        )

    @cached_property
    def submissions(self) -> Submissions:
        """Takes jobs in."""
        return Submissions(
            self._store,
            self._assets,
            self._limits,
            self._events,
            self.checker,
            self._settings,
            on_change=self._on_change,
            nudge=self._nudge,
            check_webhook=self._check_webhook,
            carried=self._tracing.carried,
        )

    @cached_property
    def shelf(self) -> Shelf:
        """Brings and removes models."""
        engine = self._engine()
        return Shelf(engine.models, frozenset(engine.processors), self.submissions)

    def benchmark(self, request: BenchmarkRequest, caller: Caller, seed: str) -> JobRow:
        """Store a job that measures the worker which takes it up. Raises what is wrong with the request."""
        return submit_benchmark(request, caller, seed, self.checker, self.submissions)

    @cached_property
    def looking(self) -> Looking:
        """Looks at files without making a job of it."""
        return Looking(self._engine, self._assets, self.checker, self.submissions.look, self._accounts)

    def estimate(self, request: JobRequest, caller: Caller) -> dict[str, Any]:
        """How long a job would work, as the API shows it. Raises what is wrong with the request."""
        steps = self.checker.job(request, self.submissions.look(caller))
        works = works_of(steps, lambda id: self._assets.get(id, caller.owner).media, self.checker.processors)
        total, each = self.estimator.estimate(works)
        return {**asdict(total), "steps": [asdict(step) for step in each]}

    @cached_property
    def drafts(self) -> Drafts:
        """Changes drafts."""
        return Drafts(self.submissions)

    @cached_property
    def batches(self) -> Batches:
        """Takes many jobs in at once."""
        return Batches(self._store.database, self._store, self.submissions)
