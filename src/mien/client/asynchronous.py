"""The client for asyncio: the same methods as ``Client``, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from mien.client import calls
from mien.client.answers import error_of, failure_of, growing_pause, may_pass, pause_of, unreachable
from mien.client.calls import Call
from mien.client.following import RECONNECT, Following, is_over
from mien.media.atomic import replacing
from mien.server.schemas.assets import Asset, FaceList, Verification
from mien.server.schemas.batches import Batch, BatchCreated
from mien.server.schemas.catalogue import Capabilities, Estimate, ModelEntry
from mien.server.schemas.jobs import Job, JobPage, JobProgress
from mien.server.schemas.operation import Health, System

T = TypeVar("T")
OnProgress = Callable[[JobProgress], None]


class AsyncClient:
    """Speaks to one service. An asynchronous context manager; see ``Client``.

    ``timeout`` is for one answer of the service, in seconds; a request that may be repeated safely is tried up to
    ``tries`` times when the service is too busy or cannot be reached. Methods raise the error that the service
    names, and RemoteFailed when it cannot be reached.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        tries: int = 4,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = calls.check_url(url)
        self._timeout, self._tries = timeout, tries
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.AsyncClient(
            base_url=self.url, headers=headers, timeout=timeout, transport=transport, trust_env=False
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back the connections."""
        await self._http.aclose()

    async def run(
        self,
        sources: Iterable[str | Path],
        target: str | Path,
        output: str | Path,
        *,
        processors: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
        **fields: Any,
    ) -> Job:
        """Send the files, wait for the job to complete, and write its result to ``output``.

        ``fields`` are those of POST process, such as ``consent_ref`` or ``priority``. Raises the job's failure.
        """
        output = Path(output)
        fields.setdefault("format", output.suffix.lstrip(".").lower() or None)
        job = await self.process(sources, target, processors=processors, options=options, **fields)
        job = await self.wait(job.id, on_progress=on_progress)
        await self.download(job.id, output)
        return job

    async def process(self, sources: Iterable[str | Path], target: str | Path, **more: Any) -> Job:
        """Send files and make a job of them; see ``calls.process``. The job may not have ended when this returns."""
        known = ("processors", "options", "wait", "key")
        given = {name: more.pop(name) for name in known if name in more}
        return await self._do(calls.process(sources, target, fields=more, **given))

    async def submit(self, request: Mapping[str, Any], key: str | None = None) -> Job:
        """Make a job; ``request`` is the body of POST jobs. The same ``key`` never makes a second job."""
        return await self._do(calls.submit(request, key))

    async def job(self, id: str) -> Job:
        """A job as it is now."""
        return await self._do(calls.job(id))

    async def jobs(self, **query: Any) -> JobPage:
        """A page of jobs, newest first: ``status``, ``batch``, ``limit``, ``cursor``."""
        return await self._do(calls.jobs(**query))

    async def every_job(self, **query: Any) -> AsyncIterator[Job]:
        """All jobs, newest first, page by page."""
        while True:
            page = await self.jobs(**query)
            for job in page.jobs:
                yield job
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    async def wait(
        self,
        id: str,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Job:
        """Wait until a job has ended. With ``check``, raises its failure. Raises TimedOut; the job goes on then."""
        following = Following(id, timeout)
        while not is_over(job := await self.job(id)):
            following.check_time()
            try:
                await self._follow(following, on_progress)
            except httpx2.HTTPError:
                await asyncio.sleep(RECONNECT)
        failure = failure_of(job)
        if check and failure is not None:
            raise failure
        return job

    async def cancel(self, id: str) -> Job:
        """Ask a job to stop."""
        return await self._do(calls.act(id, "cancel"))

    async def retry(self, id: str) -> Job:
        """Put a job that failed or was canceled into the queue again."""
        return await self._do(calls.act(id, "retry"))

    async def delete(self, id: str) -> None:
        """Delete a job that has ended, with its files; cancel one that has not."""
        await self._do(calls.delete_job(id))

    async def download(self, id: str, output: str | Path, *, index: int = 0) -> Path:
        """Write a result of a job to a file, which appears as a whole or not at all."""
        output = Path(output)
        path, query = calls.result_path(id), {"index": index}
        async with self._stream("GET", path, params=query) as response:
            with replacing(output) as temporary, temporary.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
        return output

    async def upload(self, path: str | Path) -> Asset:
        """Send a file; the asset's id can be used in any number of jobs."""
        return await self._do(calls.upload(path))

    async def asset(self, id: str) -> Asset:
        """An asset."""
        return await self._do(calls.asset(id))

    async def delete_asset(self, id: str) -> None:
        """Delete an asset."""
        await self._do(calls.delete_asset(id))

    async def faces(self, path: str | Path, **more: Any) -> FaceList:
        """The faces of a picture, or of one ``frame`` of a video."""
        return await self._do(calls.detect(path, **more))

    async def verify(self, path: str | Path) -> Verification:
        """What a file says about how it was made."""
        return await self._do(calls.verify(path))

    async def estimate(self, request: Mapping[str, Any]) -> Estimate:
        """How long a job will work."""
        return await self._do(calls.estimate(request))

    async def submit_batch(self, request: Mapping[str, Any], key: str | None = None) -> BatchCreated:
        """Make a job of each combination of sources, targets and settings."""
        return await self._do(calls.submit_batch(request, key))

    async def batch(self, id: str, **query: Any) -> Batch:
        """How far a batch is."""
        return await self._do(calls.batch(id, **query))

    async def models(self) -> list[ModelEntry]:
        """All models of the service's catalogue."""
        return await self._do(calls.models())

    async def download_models(self, names: Sequence[str]) -> Job:
        """Have the service download models, by id or by processor."""
        return await self._do(calls.download_models(names))

    async def capabilities(self) -> Capabilities:
        """What the service can do."""
        return await self._do(calls.capabilities())

    async def health(self) -> Health:
        """Whether the service works, part by part."""
        return await self._do(calls.health())

    async def system(self) -> System:
        """The service, its machines and how busy they are."""
        return await self._do(calls.system())

    async def _do(self, call: Call[T]) -> T:
        for attempt in range(1, self._tries + 1):
            is_last = attempt == self._tries or not call.may_be_repeated
            try:
                response = await self._send(call)
            except httpx2.HTTPError as error:
                # Without a connection nothing was sent, so the next try is the first for the service.
                if attempt == self._tries or (is_last and not isinstance(error, httpx2.ConnectError)):
                    raise unreachable(self.url, error) from None
                await asyncio.sleep(growing_pause(attempt))
            else:
                if response.is_success or response.status_code in call.answers:
                    return call.read(response)
                if is_last or not may_pass(response):
                    raise error_of(response)
                await asyncio.sleep(pause_of(response, attempt))
        raise AssertionError("unreachable")

    async def _send(self, call: Call[Any]) -> httpx2.Response:
        with ExitStack() as opened:
            files = [
                (field, (path.name, opened.enter_context(path.open("rb")))) for field, path in call.files
            ]
            return await self._http.request(
                call.method,
                call.path,
                params=call.query,
                json=call.body,
                data=call.form,
                files=files or None,
                headers=call.headers,
                timeout=httpx2.Timeout(self._timeout, read=self._timeout + call.patience),
            )

    @asynccontextmanager
    async def _stream(self, method: str, path: str, **more: Any) -> AsyncIterator[httpx2.Response]:
        try:
            async with self._http.stream(method, path, follow_redirects=True, **more) as response:
                if not response.is_success:
                    await response.aread()
                    raise error_of(response)
                yield response
        except httpx2.HTTPError as error:
            raise unreachable(self.url, error) from None

    async def _follow(self, following: Following, on_progress: OnProgress | None) -> None:
        """Listen to a job until it has ended or the connection breaks."""
        async with self._http.sse(calls.events_path(following.id), headers=following.headers) as events:
            if not events.response.is_success:
                await events.response.aread()
                raise error_of(events.response)
            async for event in events:
                progress = following.take(event)
                if progress is not None and on_progress is not None:
                    on_progress(progress)
                if following.has_ended:
                    return
