"""Puts together a consumer: what it works with, and where its results go."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, TextIO

from mien.comfyui import ComfySettings, Environments
from mien.comfyui.environments import environments_of
from mien.consumer.comfy import Graphs
from mien.consumer.consumer import Consumer
from mien.consumer.errand import Errands
from mien.consumer.gateway import Gateway
from mien.consumer.inputs import Inputs
from mien.consumer.journal import Journal
from mien.consumer.outbox import Outbox
from mien.consumer.settings import ConsumerSettings
from mien.consumer.task import COMM, FACE_SWAP
from mien.consumer.worlds import FaceSwaps, World
from mien.errors import OptionError
from mien.service.logs import open_log
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import Storage, StorageSettings, open_storage
from mien.storage.settings import VARIABLES as STORAGE

if TYPE_CHECKING:
    from mien.pipeline.engine import Engine
    from mien.service.logs import Log


@contextmanager
def open_consumer(
    settings: ConsumerSettings,
    engine_settings: Settings,
    comfy: ComfySettings | None = None,
    storage: Storage | None = None,
    log_to: TextIO | None = None,
    engine: Callable[[Settings], Engine] | None = None,
) -> Iterator[Consumer]:
    """A consumer that is ready to ``run``; ``engine`` makes the face engine, on first use.

    Without ``comfy`` there is no ComfyUI, without ``storage`` results are sent to the gateway. Raises OptionError for
    settings that do not fit together.
    """
    comfy = comfy or ComfySettings.from_environment({})
    log = consumer_log(settings, log_to)
    with ExitStack() as ends:
        gateway = ends.enter_context(Gateway(settings))
        inputs = Inputs(gateway, settings)
        lock = threading.Lock()

        @cache
        def made() -> Engine:
            return ends.enter_context((engine or _engine)(engine_settings))

        def shared() -> Engine:
            with lock:
                return made()

        worlds: dict[str, World] = {}
        for name in chosen_environments(settings, comfy):
            if name == FACE_SWAP:
                worlds[name] = FaceSwaps(shared, inputs, settings, engine_settings.max_pixels)
            else:
                environments = ends.enter_context(Environments(comfy))
                worlds[name] = Graphs(environments, shared, inputs, settings)
        outbox = Outbox(gateway, storage, settings.result_url_seconds)
        errands = Errands(gateway, worlds, outbox, settings, log, threading.Event())
        yield Consumer(settings, gateway, errands, Journal(settings.work_folder()), log)


def chosen_environments(settings: ConsumerSettings, comfy: ComfySettings) -> tuple[str, ...]:
    """What the consumer asks for. Raises OptionError for graphs without a ComfyUI that runs them."""
    can_run = bool(environments_of(comfy))
    if COMM in settings.environments and not can_run:
        raise OptionError("The environment comm needs a ComfyUI: set COMFYUI_URL, or leave comm out.")
    return settings.environments or ((FACE_SWAP, COMM) if can_run else (FACE_SWAP,))


def own_storage(environ: Mapping[str, str] | None = None) -> Storage | None:
    """The storage that the environment names; None where it names none, so that the gateway takes results.

    Raises OptionError for one whose files nobody could fetch.
    """
    environ = os.environ if environ is None else environ
    if not any(environ.get(name) for name in STORAGE["providers"]):
        return None
    settings = StorageSettings.from_environment(environ)
    if settings.local_url is None and "local" in settings.providers:
        raise OptionError(
            "Results in the local storage have no address: unset STORAGE_PROVIDER, so that they are sent to the "
            "gateway, or set STORAGE_LOCAL_URL to where they are served."
        )
    return open_storage(settings)


def consumer_log(settings: ConsumerSettings, stream: TextIO | None = None) -> Log:
    """The log of a consumer; goes to stderr unless ``stream`` is given."""
    how = {"log_level": settings.log_level, "log_format": settings.log_format}
    log = open_log(ServiceSettings.model_validate(how), stream)
    return log.bind(deployment=settings.app_env) if settings.app_env else log


def _engine(settings: Settings) -> Engine:
    from mien.pipeline.engine import Engine

    return Engine(settings)
