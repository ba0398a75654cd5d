"""The calls of a gateway that a consumer makes, each sent once; who calls decides what is worth a repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2

from mien.client.answers import error_of, pause_of, unreachable
from mien.consumer.settings import ConsumerSettings
from mien.consumer.task import FetchedTask
from mien.errors import AssetMissing, Canceled, InputMissing, JobBusy, MediaTooLarge, RemoteFailed
from mien.media.atomic import output_errors

TASKS: Final = "/api/comm/task"
_TAKEN: Final = frozenset({404, 409, 410})
"""Statuses of reports about a task that is somebody else's by now, has ended, or is gone."""
_PASSING: Final = frozenset({408, 425, 429})


class Away(Exception):
    """The gateway gave no answer, or one of the moment: the same call is worth a repetition."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause
        """Seconds that the gateway asks to be left alone for."""


class Gateway:
    """One gateway. Safe to use from many threads. A context manager."""

    def __init__(self, settings: ConsumerSettings, transport: httpx2.BaseTransport | None = None) -> None:
        self.url = settings.url
        self._settings = settings
        key = settings.key.get_secret_value() if settings.key else None
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(timeout=settings.answer_seconds, transport=transport, trust_env=False)

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def fetch(self, environments: Sequence[str]) -> FetchedTask | None:
        """Take the task that is due next; None when there is none. Raises Away, and what the gateway refuses."""
        settings = self._settings
        query = {
            "environment": list(environments),
            "lease_seconds": settings.lease_seconds,
            "worker": settings.name,
        }
        answer = self._sent("GET", f"{TASKS}/fetch", params=query)
        if answer.status_code in (404, 405):
            raise self._no_gateway()
        found = self._json(answer)
        return None if found.get("data") is None else FetchedTask.of(found["data"])

    def heartbeat(self, task: FetchedTask, progress: Mapping[str, Any] | None) -> None:
        """Say that the task is worked on.

        Raises Canceled when it is not wanted any more, JobBusy when the lease is lost, Away.
        """
        body = {"lease_seconds": self._settings.lease_seconds}
        data = self._report(task, "heartbeat", {**body, **({"progress": dict(progress)} if progress else {})})
        if data.get("cancel_requested"):
            raise Canceled("The task was canceled at the gateway.")

    def complete(self, task: FetchedTask, result: Mapping[str, Any]) -> None:
        """Say that the task is done; ``result`` is ``asset``, ``assets``, or ``output_data`` with its ``url``.

        The same again changes nothing. Raises JobBusy when the task is somebody else's, Away, and what is refused.
        """
        self._report(task, "complete", result)

    def fail(self, task: FetchedTask, message: str, code: str, retryable: bool) -> None:
        """Say that the task could not be done. Raises JobBusy, Away."""
        body = {"error": message[:1000] or code, "code": code, "retryable": retryable}
        self._report(task, "fail", body)

    def give_back(self, task: FetchedTask) -> None:
        """Let somebody else do the task, at no cost to it. Raises JobBusy, Away."""
        body = {"error": "The consumer ends.", "give_back": True, "retryable": True}
        self._report(task, "fail", body)

    def upload(self, path: Path, name: str) -> str:
        """Send a file; returns the id of the asset. The same again is the same asset. Raises Away, and refusals."""
        with path.open("rb") as file:
            answer = self._sent("POST", "/api/v1/assets", files={"file": (name, file)})
        id = self._json(answer).get("id")
        if not isinstance(id, str):
            raise RemoteFailed("The gateway took the result, but did not say under which id.")
        return id

    def download(self, task: FetchedTask, asset: str, path: Path) -> None:
        """Write an input that the gateway holds into a file. Raises Away, InputMissing, MediaTooLarge, DiskFull."""
        url = f"{self.url}{_at(task, 'inputs')}/{asset}"
        limit = int(self._settings.max_input_mb * (1 << 20))
        headers = {**self._headers, "X-Lease-Token": task.token}
        try:
            with (
                self._http.stream("GET", url, headers=headers) as answer,
                output_errors(path),
                path.open("wb") as file,
            ):
                _check_answer(answer)
                if not answer.is_success:
                    raise InputMissing(
                        f"The gateway has no input for the task {task.id} (status {answer.status_code})."
                    )
                for chunk in answer.iter_bytes():
                    if file.write(chunk) and file.tell() > limit:
                        raise MediaTooLarge(
                            f"An input is larger than {self._settings.max_input_mb:g} MB, the limit here."
                        )
        except httpx2.HTTPError as error:
            raise Away(str(unreachable(self.url, error))) from None

    def _report(self, task: FetchedTask, what: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self._sent("POST", _at(task, what), json=dict(body), headers={"X-Lease-Token": task.token})
        # An asset that is missing is no task that is gone.
        if answer.status_code in _TAKEN and error_of(answer).code != AssetMissing.code:
            raise JobBusy(f"The task {task.id} is not this consumer's any more.")
        data = self._json(answer).get("data")
        return data if isinstance(data, dict) else {}

    def _sent(self, method: str, path: str, **more: Any) -> httpx2.Response:
        headers = {**self._headers, **more.pop("headers", {})}
        try:
            answer = self._http.request(method, f"{self.url}{path}", headers=headers, **more)
        except httpx2.HTTPError as error:
            raise Away(str(unreachable(self.url, error))) from None
        _check_answer(answer)
        return answer

    def _json(self, answer: httpx2.Response) -> Mapping[str, Any]:
        """What was answered. Raises the error that the gateway names, RemoteFailed for another kind of server."""
        if not answer.is_success:
            raise error_of(answer)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._no_gateway()
        return found

    def _no_gateway(self) -> RemoteFailed:
        return RemoteFailed(f"What answers at {self.url} is no gateway of tasks; check TASK_API_URL.")


def _check_answer(answer: httpx2.Response) -> None:
    """Raise Away for an answer of the moment."""
    if answer.status_code >= 500 or answer.status_code in _PASSING:
        message = f"The gateway at {answer.url.host} answered with status {answer.status_code}."
        raise Away(message, pause_of(answer, 0))


def _at(task: FetchedTask, what: str) -> str:
    return f"{TASKS}/{quote(task.id, safe='')}/{what}"
