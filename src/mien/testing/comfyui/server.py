"""The fake as a context manager: a process life that can end and begin again."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from mien.testing.comfyui.builtin import BUILTIN
from mien.testing.comfyui.executor import Ended, Executor
from mien.testing.comfyui.faults import Faults
from mien.testing.comfyui.files import Folders
from mien.testing.comfyui.nodes import Node
from mien.testing.comfyui.prompts import Prompts
from mien.testing.comfyui.routes import FEATURES, Routes
from mien.testing.comfyui.sockets import Message, Sockets
from mien.testing.comfyui.versions import abilities

Action = Callable[[], object]


class FakeComfyUI:
    """A ComfyUI server on 127.0.0.1 that runs small graphs for real and has no models.

        with FakeComfyUI() as comfy:
            requests.post(comfy.url + "/prompt", json={"prompt": graph})
            comfy.faults.history_delay = 2.0

    ``faults`` holds the switches, ``when`` does something as soon as a message is due, ``crash`` and ``restart`` end
    and begin the process, which loses queue and history, not files. Safe to use from any thread.
    """

    def __init__(
        self, *, version: str = "0.33.0", nodes: Iterable[Node] = (), folder: Path | None = None
    ) -> None:
        """``nodes`` are added to the built-in classes; without ``folder`` a temporary one is used."""
        self.version = version
        self.faults = Faults()
        self.nodes = {node.name: node for node in (*BUILTIN, *nodes)}
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request, over all process lives."""
        self._folder = folder
        self._port = 0
        self._life: Life | None = None
        self._triggers: list[tuple[str, int, Action]] = []

    @property
    def url(self) -> str:
        """Address without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def folders(self) -> Folders:
        """The folders of the instance."""
        return self.life.folders

    @property
    def life(self) -> Life:
        """The process that runs now; raises RuntimeError when none does."""
        if self._life is None:
            raise RuntimeError("The fake ComfyUI does not run; enter its context, or call restart().")
        return self._life

    def when(self, kind: str, action: Action, *, after: int = 0) -> None:
        """Call ``action`` once just before the next message of that type is sent (``after`` of them are let pass).

        It is called by the thread that runs prompts, before the message leaves.
        """
        self._triggers.append((kind, after, action))

    def drop_sockets(self) -> None:
        """Cut all websockets without a farewell."""
        self.life.on_loop(lambda: self.life.abort(sockets_only=True))

    def crash(self) -> None:
        """End the process: connections break, queue and history are lost, the port refuses."""
        life, self._life = self.life, None
        life.stop()

    def restart(self) -> None:
        """Begin a new process at the same address, ending the old one if it runs."""
        if self._life is not None:
            self.crash()
        assert self._folder is not None
        self._life = Life(self, Folders(self._folder))
        self._port = self._life.start(self._port)

    def __enter__(self) -> FakeComfyUI:
        self._stack = contextlib.ExitStack()
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fake-comfyui-"))
            self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self.restart()
        return self

    def __exit__(self, *error: object) -> None:
        if self._life is not None:
            self.crash()
        self._stack.close()

    def told(self, kind: str, data: Message) -> None:
        """Called by the worker with each message that is due; fires what ``when`` registered."""
        for at, (wanted, after, action) in enumerate(self._triggers):
            if wanted != kind:
                continue
            if after:
                self._triggers[at] = (wanted, after - 1, action)
            else:
                del self._triggers[at]
                action()
            return


class Life:
    """One process life: queue, history, sockets and worker, over the files that outlive it."""

    def __init__(self, fake: FakeComfyUI, folders: Folders) -> None:
        self.version, self.faults, self.nodes, self.requests = (
            fake.version,
            fake.faults,
            fake.nodes,
            fake.requests,
        )
        self.abilities = abilities(fake.version)
        self.folders = folders
        folders.clear_temp()
        self.sockets = Sockets(fake.faults, FEATURES)
        self.prompts = Prompts(lambda count: self.sockets.send("status", _status(count), None))
        self.executor = Executor(
            fake.nodes,
            folders,
            self.prompts,
            self.sockets,
            fake.faults,
            told=self._told(fake),
            cached_outputs=self.abilities.cached_outputs,
        )
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: asyncio.Task[None] | None = None

    def start(self, port: int) -> int:
        """Listen at the port, any if 0; the port."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        ready = threading.Event()
        app = Starlette(routes=[*Routes(self).routes(), WebSocketRoute("/ws", self._socket)])
        config = uvicorn.Config(
            app, log_config=None, access_log=False, ws_ping_interval=None, ws_max_size=4 << 20, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, ready)), name="fake-comfyui-http", daemon=True
        )
        self._thread.start()
        ready.wait(60)
        self.executor.start()
        bound: int = listener.getsockname()[1]
        return bound

    def stop(self) -> None:
        """End abruptly."""
        self.executor.ended.set()
        assert self._server is not None
        assert self._thread is not None
        self.on_loop(self._end)
        if threading.current_thread() is self.executor:
            return
        self._thread.join(60)
        self.executor.join(60)

    def on_loop(self, action: Action) -> None:
        """Call something in the server's thread, soon."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(action)

    def abort(self, sockets_only: bool = False) -> None:
        """Break connections; to be called in the server's thread."""
        assert self._server is not None
        if not sockets_only:
            for server in self._server.servers:
                server.close()
        for connection in list(self._server.server_state.connections):
            transport: Any = getattr(connection, "transport", None)
            if transport is not None and not (sockets_only and "WebSocket" not in type(connection).__name__):
                transport.abort()

    def _end(self) -> None:
        self.abort()
        assert self._serving is not None
        self._serving.cancel()

    def cut(self, request: Request) -> None:
        """Break the connection of a request before it is answered."""
        assert self._server is not None
        assert request.client is not None
        for connection in list(self._server.server_state.connections):
            if getattr(connection, "client", None) == (request.client.host, request.client.port):
                getattr(connection, "transport").abort()  # noqa: B009

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        assert self._server is not None
        self._loop = asyncio.get_running_loop()
        sender = asyncio.create_task(self.sockets.serve())
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not (self._server.started or self._serving.done()):
            await asyncio.sleep(0.001)
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving
        sender.cancel()

    async def _socket(self, socket: WebSocket) -> None:
        if self.faults.refused_sockets:
            await socket.close()
            return
        await self.sockets.accept(socket, self._greet)

    def _greet(self, client: str) -> list[Message]:
        running = self.prompts.running
        status = {"type": "status", "data": {**_status(self.prompts.remaining()), "sid": client}}
        if running is not None and running.client_id == client and self.executor.node is not None:
            return [status, {"type": "executing", "data": {"node": self.executor.node}}]
        return [status]

    def _told(self, fake: FakeComfyUI) -> Callable[[str, Message], None]:
        def told(kind: str, data: Message) -> None:
            running = self.prompts.running
            if running is not None and not isinstance(running.client_id, str | None):
                # An id that is no text ends the process with the first message that is sent to it.
                fake.crash()
                raise Ended
            fake.told(kind, data)

        return told


def _status(count: int) -> dict[str, Any]:
    return {"status": {"exec_info": {"queue_remaining": count}}}
