"""A live picture over a websocket: JPEG frames in, JPEG frames out, the newest first.

The first message is JSON, a LiveRequest; the answer is ``{"ready": true, "models": [...], "notices": [...]}``. Then
each binary message is a frame. Frames that come while one is being worked on replace each other, so a slow machine
drops frames and never lags behind. An answer begins with the number of its frame, counted from 0 as they came, and the
milliseconds that it took, both as unsigned 32 bit numbers, the most significant byte first. What goes wrong is told as
an error envelope in a text message, then the connection is closed.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from fastapi import APIRouter, WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from mien.errors import InputError, NotReady, TimedOut
from mien.server.deps import ServiceDep, Submitter
from mien.server.errors import answer
from mien.server.visit import visit_of
from mien.service.looking import jpeg
from mien.service.requests import LiveRequest

if TYPE_CHECKING:
    from mien.pipeline.live import LiveSession
    from mien.service.callers import Caller
    from mien.service.service import Service
    from mien.types import Frame

router = APIRouter(tags=["live"])

SESSIONS: Final = 4
"""Live pictures of one process at the same time."""
GREETING: Final = 15.0
"""Seconds in which the first message has to come."""
HEADER: Final = struct.Struct(">II")
SILENCE: Final = 60.0
"""Seconds without a frame after which a connection makes room for others."""
REFUSED: Final = 1008
"""Code with which a connection ends after an error."""


@router.websocket("/live")
async def live(socket: WebSocket, service: ServiceDep, caller: Submitter) -> None:
    """Work on a live picture until the client goes."""
    await socket.accept()
    state = socket.app.state
    state.live = getattr(state, "live", 0) + 1
    try:
        if state.live > SESSIONS:
            raise NotReady("As many live pictures are being worked on as may be; try again later.", 10)
        await _converse(socket, service, caller)
    except WebSocketDisconnect:
        pass
    except Exception as error:  # the border of the connection: the client is told, as by every route
        response = answer(error, visit_of(socket.scope).request_id, service.log)
        await _tell(socket, bytes(response.body).decode())
    finally:
        state.live -= 1


async def _converse(socket: WebSocket, service: Service, caller: Caller) -> None:
    request = await _greeting(socket)
    with ExitStack() as stack:
        session = await anyio.to_thread.run_sync(
            lambda: stack.enter_context(service.desk.looking.live(request, caller))
        )
        marks = service.desk.looking.marks(tuple(link.name for link in session.job.plan.chain))
        desk = _Desk(session, marks, request.size, service.settings.max_pixels)
        await socket.send_json({"ready": True, "models": session.models, "notices": list(session.notices)})
        await _first_of(desk.read(socket), desk.work(socket))


async def _first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Do all until one of them ends; the others are stopped, and what it raised is raised."""
    tasks = [asyncio.create_task(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _greeting(socket: WebSocket) -> LiveRequest:
    try:
        async with asyncio.timeout(GREETING):
            text = await socket.receive_text()
    except TimeoutError:
        raise TimedOut("The first message, which says what to do, did not come.") from None
    except KeyError:
        raise InputError(
            "The first message must be text: a JSON object with sources and processors."
        ) from None
    try:
        return LiveRequest.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InputError(
            f"The field {field or 'body'} of the first message is wrong: {first['msg']}."
        ) from None
    except (ValueError, RecursionError):
        raise InputError("The first message is not well-formed JSON.") from None


class _Desk:
    """Keeps the newest frame until the one before it is done."""

    def __init__(
        self, session: LiveSession, marks: dict[str, str], size: int | None, max_pixels: int
    ) -> None:
        self._session = session
        self._marks = marks
        self._size = size
        self._max_pixels = max_pixels
        self._newest: tuple[int, bytes] | None = None
        self._news = asyncio.Event()

    async def read(self, socket: WebSocket) -> None:
        """Take in frames until the client goes. Raises InputError for what is no frame, TimedOut when none comes."""
        number = 0
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    message: dict[str, Any] = dict(await socket.receive())
            except TimeoutError:
                raise TimedOut(f"No frame came for {SILENCE:.0f} seconds.") from None
            if message["type"] == "websocket.disconnect":
                return
            if not message.get("bytes"):
                raise InputError("Behind the first message only frames are expected, as binary messages.")
            self._newest = number, message["bytes"]
            self._news.set()
            number += 1

    async def work(self, socket: WebSocket) -> None:
        """Work on the newest frame, again and again."""
        while True:
            await self._news.wait()
            self._news.clear()
            taken = self._newest
            if taken is None:
                continue
            number, data = taken
            started = time.perf_counter()
            content = await anyio.to_thread.run_sync(self._processed, data)
            milliseconds = int((time.perf_counter() - started) * 1000)
            await socket.send_bytes(HEADER.pack(number, milliseconds) + content)

    def _processed(self, data: bytes) -> bytes:
        from mien.media.images import decode_jpeg

        frame = decode_jpeg(data, "The frame", max_pixels=self._max_pixels)
        return jpeg(self._session.process(self._fitted(frame)), self._marks)

    def _fitted(self, frame: Frame) -> Frame:
        from mien.pipeline.resize import resized

        height, width = frame.shape[:2]
        if self._size is None or max(height, width) <= self._size:
            return frame
        share = self._size / max(height, width)
        return resized(frame, max(1, round(width * share)), max(1, round(height * share)))


async def _tell(socket: WebSocket, text: str) -> None:
    """Say what was wrong, to a client that may have gone."""
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.send_text(text)
        await socket.close(REFUSED)
