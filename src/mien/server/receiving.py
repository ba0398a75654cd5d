"""Bodies of requests, taken in piece by piece: the event loop reads, threads work, nothing is in memory as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from mien.errors import UploadTooLarge
from mien.media.atomic import output_errors
from mien.service.intake import Received, in_mb, scratch_file

if TYPE_CHECKING:
    import hashlib
    from pathlib import Path
    from typing import BinaryIO

    from starlette.requests import Request

    from mien.service.settings import ServiceSettings

PIECE: Final = 1 << 18
"""Bytes that are collected before a thread is asked to work on them."""


async def pump(request: Request, feed: Callable[[bytes], None]) -> None:
    """Give the whole body to ``feed``, which runs in a thread, in order, one call at a time.

    Raises what ``feed`` raises, and ClientDisconnect when the body breaks off.
    """
    pieces: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        pieces.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            data, pieces, size = b"".join(pieces), [], 0
            await to_thread.run_sync(feed, data)
    if size:
        await to_thread.run_sync(feed, b"".join(pieces))


@asynccontextmanager
async def receive_file(
    request: Request, settings: ServiceSettings, limit: int | None = None
) -> AsyncIterator[Received]:
    """A body that is one file, as a scratch file for the length of the block.

    ``limit`` is in bytes, that of the settings when None. Raises UploadTooLarge, DiskFull, ClientDisconnect.
    """
    async with AsyncExitStack() as stack:
        path = stack.enter_context(scratch_file(scratch_folder(settings)))
        sink = _Sink(path, settings.max_upload_bytes if limit is None else limit)
        stack.callback(sink.close)
        await pump(request, sink.write)
        sink.close()
        yield Received(path, sink.size, sink.digest.hexdigest())


def scratch_folder(settings: ServiceSettings) -> Path:
    """Where files of requests lie while they are being received."""
    return settings.data_folder() / "scratch" / "uploads"


class _Sink:
    """A file that is being written, counted and hashed."""

    def __init__(self, path: Path, limit: int) -> None:
        import hashlib

        self._path = path
        self._limit = limit
        self._file: BinaryIO = path.open("wb")
        self.digest: hashlib._Hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self._limit:
            raise UploadTooLarge(
                f"The file is larger than the limit of {in_mb(self._limit)}; send a smaller one."
            )
        self.digest.update(data)
        with output_errors(self._path):
            self._file.write(data)

    def close(self) -> None:
        with output_errors(self._path):
            self._file.close()
