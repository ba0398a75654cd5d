"""The websockets of one process life, and the one loop that serves all of them."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.testing.comfyui.faults import Faults

Message = dict[str, Any]


class Sockets:
    """Registered sockets by client id; the newest of an id gets its messages."""

    def __init__(self, faults: Faults, features: Message) -> None:
        self._faults = faults
        self._features = features
        self._registered: dict[str, WebSocket] = {}
        self._metadata: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Queue[tuple[str | None, Message | bytes]] = asyncio.Queue()
        self._held: list[tuple[str | None, Message | bytes]] = []
        self.opened: list[str] = []
        """Client ids of all sockets that were ever opened, in order."""

    async def serve(self) -> None:
        """Send what waits, one message after the other: a socket that is not read stops everybody's."""
        self._loop = asyncio.get_running_loop()
        while True:
            client, message = await self._waiting.get()
            sockets = list(self._registered.values()) if client is None else [self._registered.get(client)]
            for socket in sockets:
                if socket is not None:
                    await _send(socket, message)

    async def accept(self, socket: WebSocket, greet: Callable[[str], list[Message]]) -> None:
        """Serve one socket until it closes."""
        client = socket.query_params.get("clientId", "") or uuid4().hex
        await socket.accept()
        self.opened.append(client)
        self._registered[client] = socket
        self._metadata.discard(client)
        for message in greet(client):
            await _send(socket, message)
        first = True
        try:
            while True:
                if not first:
                    await _ignore(socket)
                    continue
                first = False
                await self._negotiate(socket, client, await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            # As on the real server: the id is let go even if a newer socket holds it by now.
            self._registered.pop(client, None)

    async def _negotiate(self, socket: WebSocket, client: str, text: str) -> None:
        message = json.loads(text)
        if message.get("type") == "feature_flags":
            if message["data"].get("supports_preview_metadata"):
                self._metadata.add(client)
            await _send(socket, {"type": "feature_flags", "data": self._features})

    def send(self, kind: str, data: Message, client: str | None) -> None:
        """Send to a client, or to all; from any thread."""
        message: Message = {"type": kind, "data": data}
        if self._faults.foreign_messages:
            other = str(uuid4())
            foreign = {"type": kind, "data": {**data, "prompt_id": other}}
            for extra in (
                foreign,
                foreign,
                {"type": "crystools.monitor", "data": {"cpu": 1}},
                b"\0\0\0\x63??",
            ):
                self._put(client, extra)
            self._put(client, {"type": kind, "data": data})
        if self._faults.shuffled_messages and kind in ("executing", "progress_state") and data.get("node", 1):
            self._held.append((client, message))
            return
        self._put(client, message)
        while self._held:
            self._put(*self._held.pop())

    def preview(self, image: bytes, ids: Message, client: str | None) -> None:
        """Send a JPEG preview in the layout that the client negotiated."""
        if client in self._metadata:
            head = json.dumps({**ids, "image_type": "image/jpeg"}).encode()
            self._put(client, struct.pack(">II", 4, len(head)) + head + image)
        else:
            self._put(client, struct.pack(">II", 1, 1) + image)

    def text(self, node: str, words: str, client: str | None) -> None:
        """Send a progress text."""
        name = node.encode()
        self._put(client, struct.pack(">II", 3, len(name)) + name + words.encode())

    def _put(self, client: str | None, message: Message | bytes) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, (client, message))


async def _send(socket: WebSocket, message: Message | bytes) -> None:
    try:
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_text(json.dumps(message))
    except (WebSocketDisconnect, RuntimeError):
        pass  # it closes; its own task takes it out


async def _ignore(socket: WebSocket) -> None:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
