"""The client for ordinary code; may be shared by threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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


class Client:
    """Speaks to one service. A context manager.

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
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = calls.check_url(url)
        self._timeout, self._tries = timeout, tries
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(
            base_url=self.url, headers=headers, timeout=timeout, transport=transport, trust_env=False
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def run(
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
        job = self.process(sources, target, processors=processors, options=options, **fields)
        job = self.wait(job.id, on_progress=on_progress)
        self.download(job.id, output)
        return job

    def process(self, sources: Iterable[str | Path], target: str | Path, **more: Any) -> Job:
        """Send files and make a job of them; see ``calls.process``. The job may not have ended when this returns."""
        known = ("processors", "options", "wait", "key")
        given = {name: more.pop(name) for name in known if name in more}
        return self._do(calls.process(sources, target, fields=more, **given))

    def submit(self, request: Mapping[str, Any], key: str | None = None) -> Job:
        """Make a job; ``request`` is the body of POST jobs. The same ``key`` never makes a second job."""
        return self._do(calls.submit(request, key))

    def job(self, id: str) -> Job:
        """A job as it is now."""
        return self._do(calls.job(id))

    def jobs(self, **query: Any) -> JobPage:
        """A page of jobs, newest first: ``status``, ``batch``, ``limit``, ``cursor``."""
        return self._do(calls.jobs(**query))

    def every_job(self, **query: Any) -> Iterator[Job]:
        """All jobs, newest first, page by page."""
        while True:
            page = self.jobs(**query)
            yield from page.jobs
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def wait(
        self,
        id: str,
        *,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Job:
        """Wait until a job has ended. With ``check``, raises its failure. Raises TimedOut; the job goes on then."""
        following = Following(id, timeout)
        while not is_over(job := self.job(id)):
            following.check_time()
            try:
                self._follow(following, on_progress)
            except httpx2.HTTPError:
                time.sleep(RECONNECT)
        failure = failure_of(job)
        if check and failure is not None:
            raise failure
        return job

    def cancel(self, id: str) -> Job:
        """Ask a job to stop."""
        return self._do(calls.act(id, "cancel"))

    def retry(self, id: str) -> Job:
        """Put a job that failed or was canceled into the queue again."""
        return self._do(calls.act(id, "retry"))

    def delete(self, id: str) -> None:
        """Delete a job that has ended, with its files; cancel one that has not."""
        self._do(calls.delete_job(id))

    def download(self, id: str, output: str | Path, *, index: int = 0) -> Path:
        """Write a result of a job to a file, which appears as a whole or not at all."""
        output = Path(output)
        with (
            self._stream("GET", calls.result_path(id), params={"index": index}) as response,
            replacing(output) as temporary,
            temporary.open("wb") as file,
        ):
            for chunk in response.iter_bytes():
                file.write(chunk)
        return output

    def upload(self, path: str | Path) -> Asset:
        """Send a file; the asset's id can be used in any number of jobs."""
        return self._do(calls.upload(path))

    def asset(self, id: str) -> Asset:
        """An asset."""
        return self._do(calls.asset(id))

    def delete_asset(self, id: str) -> None:
        """Delete an asset."""
        self._do(calls.delete_asset(id))

    def faces(self, path: str | Path, **more: Any) -> FaceList:
        """The faces of a picture, or of one ``frame`` of a video."""
        return self._do(calls.detect(path, **more))

    def verify(self, path: str | Path) -> Verification:
        """What a file says about how it was made."""
        return self._do(calls.verify(path))

    def estimate(self, request: Mapping[str, Any]) -> Estimate:
        """How long a job will work."""
        return self._do(calls.estimate(request))

    def submit_batch(self, request: Mapping[str, Any], key: str | None = None) -> BatchCreated:
        """Make a job of each combination of sources, targets and settings."""
        return self._do(calls.submit_batch(request, key))

    def batch(self, id: str, **query: Any) -> Batch:
        """How far a batch is."""
        return self._do(calls.batch(id, **query))

    def models(self) -> list[ModelEntry]:
        """All models of the service's catalogue."""
        return self._do(calls.models())

    def download_models(self, names: Sequence[str]) -> Job:
        """Have the service download models, by id or by processor."""
        return self._do(calls.download_models(names))

    def capabilities(self) -> Capabilities:
        """What the service can do."""
        return self._do(calls.capabilities())

    def health(self) -> Health:
        """Whether the service works, part by part."""
        return self._do(calls.health())

    def system(self) -> System:
        """The service, its machines and how busy they are."""
        return self._do(calls.system())

    def _do(self, call: Call[T]) -> T:
        for attempt in range(1, self._tries + 1):
            is_last = attempt == self._tries or not call.may_be_repeated
            try:
                response = self._send(call)
            except httpx2.HTTPError as error:
                # Without a connection nothing was sent, so the next try is the first for the service.
                if attempt == self._tries or (is_last and not isinstance(error, httpx2.ConnectError)):
                    raise unreachable(self.url, error) from None
                time.sleep(growing_pause(attempt))
            else:
                if response.is_success or response.status_code in call.answers:
                    return call.read(response)
                if is_last or not may_pass(response):
                    raise error_of(response)
                time.sleep(pause_of(response, attempt))
        raise AssertionError("unreachable")

    def _send(self, call: Call[Any]) -> httpx2.Response:
        with ExitStack() as opened:
            files = [
                (field, (path.name, opened.enter_context(path.open("rb")))) for field, path in call.files
            ]
            return self._http.request(
                call.method,
                call.path,
                params=call.query,
                json=call.body,
                data=call.form,
                files=files or None,
                headers=call.headers,
                timeout=httpx2.Timeout(self._timeout, read=self._timeout + call.patience),
            )

    @contextmanager
    def _stream(self, method: str, path: str, **more: Any) -> Iterator[httpx2.Response]:
        try:
            with self._http.stream(method, path, follow_redirects=True, **more) as response:
                if not response.is_success:
                    response.read()
                    raise error_of(response)
                yield response
        except httpx2.HTTPError as error:
            raise unreachable(self.url, error) from None

    def _follow(self, following: Following, on_progress: OnProgress | None) -> None:
        """Listen to a job until it has ended or the connection breaks."""
        with self._http.sse(calls.events_path(following.id), headers=following.headers) as events:
            if not events.response.is_success:
                events.response.read()
                raise error_of(events.response)
            for event in events:
                progress = following.take(event)
                if progress is not None and on_progress is not None:
                    on_progress(progress)
                if following.has_ended:
                    return
