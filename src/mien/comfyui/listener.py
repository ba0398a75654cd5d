"""The websocket of one prompt, read by a thread of its own that never stops reading."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from mien.comfyui.settings import ComfySettings
from mien.comfyui.tally import Tally

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_HELLO = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
_MAX_FRAME = 64 << 20


def fresh_client_id(settings: ComfySettings) -> str:
    """A name for a socket that no other has: two sockets of one name take each other's messages away."""
    return f"{settings.client_id}-{uuid4()}"


class Listener:
    """Opens the socket, keeps it alive and open again after a loss, and gives every message to the tally.

    A socket that was seen to close is reopened under its own name, since messages follow the name and the instance
    has seen it close as well. After a silence the instance may not have noticed yet, and would take the registration
    of the new socket away when it does: then a fresh name is used, which hears of the queue only.
    """

    def __init__(self, url: str, client_id: str, settings: ComfySettings, tally: Tally) -> None:
        self._base = "ws" + url.removeprefix("http") + "/ws?clientId="
        self._client_id = client_id
        self._settings = settings
        self._tally = tally
        self._stopped = threading.Event()
        self._answered = threading.Event()
        self._open = threading.Event()
        self._lock = threading.Lock()
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, name="comfyui-socket", daemon=True)
        self.unbroken = True
        """True as long as no message can have been missed."""

    @property
    def is_open(self) -> bool:
        """True while messages can arrive."""
        return self._open.is_set()

    def __enter__(self) -> Listener:
        """Open and negotiate; where that fails the run goes on by polling."""
        self._thread.start()
        self._answered.wait(self._settings.connect_seconds)
        self.unbroken = self.is_open
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        with self._lock:
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.socket.shutdown(2)
        self._thread.join(self._settings.connect_seconds)

    def _run(self) -> None:
        from websockets.exceptions import ConnectionClosedError, WebSocketException

        while not self._stopped.is_set():
            try:
                self._listen()
            except ConnectionClosedError as error:
                silent = error.sent is not None and error.rcvd is None
                if silent:  # the ping went unanswered
                    self._client_id = fresh_client_id(self._settings)
            except (OSError, WebSocketException, ValueError):
                pass
            self._open.clear()
            self.unbroken = False
            self._answered.set()
            self._stopped.wait(self._settings.poll_fast_seconds)

    def _listen(self) -> None:
        from websockets.sync.client import connect

        settings = self._settings
        with connect(
            self._base + quote(self._client_id),
            proxy=None,
            open_timeout=settings.connect_seconds,
            ping_interval=settings.ping_seconds,
            ping_timeout=settings.pong_seconds,
            close_timeout=1,
            max_size=_MAX_FRAME,
        ) as socket:
            with self._lock:
                self._socket = socket
                if self._stopped.is_set():
                    return
            socket.send(_HELLO)
            for message in socket:
                self._take(message)
                self._open.set()
                self._answered.set()

    def _take(self, message: Any) -> None:
        if isinstance(message, bytes):
            self._tally.take_frame(message)
            return
        with suppress(ValueError):
            self._tally.take(json.loads(message))
