"""Puts together what runs the jobs of a service: the face engine, downloads, and further environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mien.db import Database
from mien.jobs.database import DatabaseStore
from mien.jobs.dbos_engine import DbosEngine
from mien.jobs.executors import Executors
from mien.service.benchmarks import Benchmarks
from mien.service.downloads import Downloads
from mien.service.events import Events
from mien.service.faces import FaceSteps
from mien.service.parts import BODY as PART
from mien.service.parts import PartMaker, Sharing
from mien.service.running import KindRunner
from mien.service.settings import ServiceSettings
from mien.service.space import Space
from mien.service.stepping import Measure, Steps
from mien.service.steps import LOCAL, StepRunner
from mien.service.traced import traced_kinds, traced_steps
from mien.service.tracing import OFF, Tracing
from mien.service.watch import Watch
from mien.service.worker import Hooks, Jobs, runs_folder
from mien.settings import Settings

if TYPE_CHECKING:
    from mien.pipeline.engine import Engine
    from mien.service.assets import Assets
    from mien.storage import Storage


def open_jobs(
    settings: ServiceSettings,
    engine_settings: Settings,
    database: Database,
    storage: Storage,
    assets: Assets,
    events: Events,
    engine: Callable[[], Engine],
    *,
    environments: Mapping[str, StepRunner] | None = None,
    kinds: Mapping[str, KindRunner] | None = None,
    hooks: Hooks | None = None,
    measure: Measure = lambda step, media, done: None,
    info: Callable[[], Mapping[str, Any]] | None = None,
    tracing: Tracing = OFF,
    places: Mapping[str, int] | None = None,
    space: Space | None = None,
) -> Jobs:
    """The jobs of a service. ``engine`` is called when the first step of the face engine is run.

    ``environments`` are further worlds of steps, by name; one that ends in ``*`` stands for all names that begin so.
    ``kinds`` are further kinds of jobs, ``measure`` is told what each step took,
    ``info`` what the worker says of itself to others, ``places`` is how many runs each ComfyUI environment takes at
    once, by its full name, ``space`` the disk of the data folder. Nothing runs before ``Jobs.start``. Runs and steps
    are spans of ``tracing``.
    """
    store, watch, executors = DatabaseStore(database), Watch(database), Executors(database)
    tasks = DbosEngine(database)
    keys = lru_cache(maxsize=1)(lambda: option_keys(engine()))
    faces = FaceSteps(engine, keys, settings, Sharing(engine, tasks, executors, storage, settings))
    runners = traced_steps({LOCAL: faces, **(environments or {})}, tracing)
    parts = PartMaker(engine, faces, store, assets, storage, settings, watch, runs_folder(settings))
    steps = Steps(assets, runners, measure, marked=settings.marking_required)
    return Jobs(
        settings,
        database,
        events,
        assets,
        tasks,
        traced_kinds(
            {
                "faces": steps,
                "workflow": steps,
                "download": Downloads(settings, engine_settings),
                "benchmark": Benchmarks(engine, engine_settings, assets),
                **(kinds or {}),
            },
            tracing,
        ),
        watch=watch,
        bodies={PART: parts.make},
        hooks=hooks,
        info=info or (lambda: _described(engine_settings)),
        places=places,
        space=space,
    )


def option_keys(engine: Engine) -> frozenset[str]:
    """The keys of all options that an engine knows."""
    from mien.options import declared
    from mien.pipeline.output_options import GROUPS
    from mien.pipeline.registry import option_groups

    groups = (*GROUPS, *option_groups(engine.processors))
    return frozenset(item.key for group in groups for item in declared(group))


def _described(settings: Settings) -> dict[str, Any]:
    """What a worker says of its machine, without opening any device for it."""
    from mien._version import __version__

    return {"version": __version__, "devices": list(settings.providers), "models": _present(settings)}


def _present(settings: Settings) -> list[str]:
    """The models that are here."""
    from mien.models.catalogue import load_catalogue
    from mien.models.store import ModelStore

    store = ModelStore(settings.model_copy(update={"offline": True}), load_catalogue())
    return [id for id in store.catalogue if store.is_here(id)]
