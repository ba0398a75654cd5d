"""``mien serve``, ``api`` and ``worker``: run the service, or a part of it."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from mien._version import __version__
from mien.cli.command import Command
from mien.cli.program import Program
from mien.cli.service_flags import LISTENING, service_flags, service_settings
from mien.cli.terminal import Terminal

if TYPE_CHECKING:
    from mien.service.service import Service
    from mien.service.settings import ServiceSettings

YOUNG = 5000
"""New objects after which the collector of garbage looks at them."""
DETAILS = (
    "Every flag is also a variable: --max-queue is MIEN_MAX_QUEUE. mien settings shows what counts. "
    "Ctrl-C or SIGTERM ends it in order; what is not finished is taken up at the next start."
)


def serve_command(program: Program, terminal: Terminal) -> Command:
    """``mien serve``: the server and a worker."""
    return Command(
        "serve",
        "Run the service: the HTTP API and a worker beside it.",
        service_flags,
        lambda values: run_server(program, terminal, values, with_worker=True),
        terminal,
        details=DETAILS,
        panel="Service",
    )


def api_command(program: Program, terminal: Terminal) -> Command:
    """``mien api``: the server alone."""
    return Command(
        "api",
        "Run the HTTP API alone; mien worker, on this or other machines, does the work.",
        service_flags,
        lambda values: run_server(program, terminal, values, with_worker=False),
        terminal,
        details=DETAILS,
        panel="Service",
    )


def worker_command(program: Program, terminal: Terminal) -> Command:
    """``mien worker``: no server."""
    return Command(
        "worker",
        "Run a worker: do the jobs that mien api takes in on the same database and storage.",
        lambda: service_flags(without=LISTENING),
        lambda values: _work(program, terminal, values),
        terminal,
        details=DETAILS,
        panel="Service",
    )


def run_server(
    program: Program,
    terminal: Terminal,
    values: Mapping[str, Any],
    *,
    with_worker: bool,
    on_ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until it is asked to end; ``on_ready`` is called with the address once it can be reached."""
    from mien.server.app import create_app
    from mien.server.serving import address_of, listen, serve
    from mien.service.child import WorkerProcess
    from mien.service.logs import take_over
    from mien.storage import StorageSettings

    settings = service_settings(values, role="all" if with_worker else "api")
    engine_settings, storage_settings = program.settings(), StorageSettings.from_environment()
    with ExitStack() as ends:
        sock = ends.enter_context(listen(settings.host, settings.port))
        service = ends.enter_context(_open(program, settings))
        take_over(service.log, settings)
        app = create_app(service)
        service.start("api")
        ends.callback(service.stop)
        worker: WorkerProcess | None = None
        if with_worker:
            worker = WorkerProcess(settings, engine_settings, storage_settings, service.log)
            worker.start()
            ends.callback(worker.stop)

        def tell() -> None:
            _settle()
            _tell(terminal, service, address_of(sock))
            on_ready(address_of(sock))

        def on_end() -> None:
            service.stopping = True
            if worker is not None:
                worker.ask_to_stop()

        serve(
            app,
            sock,
            settings,
            on_ready=tell,
            on_end=on_end,
        )
        if not terminal.json:
            terminal.note("stopping; press Ctrl-C again to stop at once")


def _settle() -> None:
    """Let the collector of garbage leave alone what was made at the start and stays; it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)


def _work(program: Program, terminal: Terminal, values: Mapping[str, Any]) -> None:
    from mien.service.logs import take_over

    settings = service_settings(values, role="worker")
    done = _asked_to_end()
    with _open(program, settings) as service:
        take_over(service.log, settings)
        service.start("worker")
        queues = ", ".join(settings.queues) or "all"
        data = {"role": "worker", "queues": list(settings.queues)}
        terminal.result(data, lambda: f"mien {__version__} works on queues: {queues}; press Ctrl-C to stop.")
        sys.stdout.flush()
        while not done.wait(1.0):  # a signal may come to another thread, and then this one has to look
            pass
        clean = service.stop()
    if not clean:
        # Work that does not listen would keep the process alive; other workers take it up.
        terminal.note("some work did not stop in time; it is handed to other workers")
        sys.stdout.flush()
        os._exit(0)


def _open(program: Program, settings: ServiceSettings) -> Service:
    from mien.service.service import open_service

    return open_service(settings, program.settings())


def _tell(terminal: Terminal, service: Service, address: str) -> None:
    """Say where the service is, and what keeps others out of it."""
    terminal.result(
        {"address": address, "auth": service.access.required()},
        lambda: f"mien {__version__} is listening on {address}; press Ctrl-C to stop.",
    )
    sys.stdout.flush()
    settings = service.settings
    if service.access.required() and not service.keys.exist():
        terminal.note(
            "nobody has a key yet, so every request is refused; "
            "mien keys create --scope submit --scope read makes one for the same database."
        )
    elif not service.access.required() and not settings.is_local_only:
        terminal.note("no key is asked for: everybody who reaches this address may use the service.")


def _asked_to_end() -> threading.Event:
    """Set by SIGINT and SIGTERM; asked twice, the process ends at once."""
    done = threading.Event()

    def handle(number: int, frame: object) -> None:
        if done.is_set():
            os._exit(130)
        done.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ValueError):  # not in the main thread
            signal.signal(number, handle)
    return done
