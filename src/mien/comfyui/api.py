"""The HTTP calls of one instance, each with its defined failures."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.comfyui.settings import ComfySettings, shown_url
from mien.errors import ComfyError, ComfyUnreachable, MediaTooLarge

if TYPE_CHECKING:
    import httpx2

Place = Literal["waiting", "running", "ended", "absent"]


class Unsent(ComfyUnreachable):
    """There was no connection, so that nothing can have been received."""


class Unclear(ComfyError):
    """Whether a submission was received is not known."""


class Missing(ComfyError):
    """There is no such file."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the instance's version can do beyond the oldest protocol."""

    version: str
    job_view: bool
    """`GET /api/jobs`: states without graphs."""
    job_cancel: bool
    """`POST /api/jobs/{id}/cancel`."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Where a prompt was seen; ``entry`` is its history once it has ended."""

    place: Place
    entry: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """Ids of the prompts of an instance, whoever submitted them; waiting ones in the order in which they will run."""

    running: tuple[str, ...]
    waiting: tuple[str, ...]


class Api:
    """Calls to one instance; safe to use from many threads."""

    def __init__(self, url: str, settings: ComfySettings) -> None:
        import httpx2

        self.url = url
        self.shown = shown_url(url)
        timeout = httpx2.Timeout(settings.answer_seconds, connect=settings.connect_seconds)
        limits = httpx2.Limits(max_connections=64, max_keepalive_connections=8)
        # Nothing of the environment (proxies, netrc) may decide where an operator's instance is looked for.
        self._client = httpx2.Client(timeout=timeout, limits=limits, trust_env=False, follow_redirects=False)
        self._lock = threading.Lock()
        self._abilities: Abilities | None = None

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def forget(self) -> None:
        """Ask for the version again at the next occasion; another process may answer at the address."""
        with self._lock:
            self._abilities = None

    def abilities(self) -> Abilities:
        """What the instance can do, asked once."""
        with self._lock:
            known = self._abilities
        if known is None:
            known = _abilities(str(self._get("/system_stats").get("system", {}).get("comfyui_version", "")))
            with self._lock:
                self._abilities = known
        return known

    def remaining(self) -> int:
        """Prompts that run or wait, of all clients; the cheapest call, and so the probe."""
        return int(self._get("/prompt")["exec_info"]["queue_remaining"])

    def queue(self) -> Queue:
        """Who runs and who waits."""
        if self.abilities().job_view:
            with contextlib.suppress(
                ComfyError
            ):  # one malformed entry of another client breaks the view for all
                return self._job_queue()
        answer = self._get("/queue")
        waiting = sorted((item[0], item[1]) for item in answer["queue_pending"])
        return Queue(tuple(item[1] for item in answer["queue_running"]), tuple(id for _, id in waiting))

    def _job_queue(self) -> Queue:
        jobs = self._get("/api/jobs?status=pending,in_progress&sort_order=asc")["jobs"]
        waiting = sorted((job["priority"], job["id"]) for job in jobs if job["status"] == "pending")
        return Queue(
            tuple(job["id"] for job in jobs if job["status"] == "in_progress"), tuple(id for _, id in waiting)
        )

    def look(self, prompt_id: str) -> Sight:
        """Where the prompt is.

        History is read again after the queue: a prompt that ended in between is in neither at its own time.
        """
        entry = self.history(prompt_id)
        if entry is None:
            queue = self.queue()
            if prompt_id in queue.running:
                return Sight("running")
            if prompt_id in queue.waiting:
                return Sight("waiting")
            entry = self.history(prompt_id)
        return Sight("absent") if entry is None else Sight("ended", entry)

    def history(self, prompt_id: str) -> Mapping[str, Any] | None:
        """The entry of a prompt that has ended."""
        entry: Mapping[str, Any] | None = self._get(f"/history/{prompt_id}").get(prompt_id)
        return entry

    def forget_history(self, prompt_id: str) -> None:
        """Delete the entry; the graph and what was typed into it go with it."""
        self._post("/history", {"delete": [prompt_id]})

    def submit(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Submit a graph; the answer, which is a refusal if it has ``error``. Raises Unclear and Unsent."""
        try:
            response = self._call("POST", "/prompt", json=body)
        except Unsent:
            raise
        except ComfyUnreachable as error:
            raise Unclear(str(error)) from None
        if response.status_code == 413:
            raise MediaTooLarge(
                f"The graph is larger than {self.shown} takes; use fewer or smaller values in it."
            )
        if response.status_code >= 500:
            raise Unclear(f"{self.shown} answered {response.status_code} to a submission.")
        if response.status_code not in (200, 400):
            raise self._refusal("POST", "/prompt", response)
        return self._object(response)

    def stop(self, prompt_id: str) -> None:
        """Ask that the prompt does not run on; that it was asked says nothing about what becomes of it."""
        if self.abilities().job_cancel:
            self._post(f"/api/jobs/{prompt_id}/cancel", {})
            return
        self._post("/queue", {"delete": [prompt_id]})
        self._post("/interrupt", {"prompt_id": prompt_id})

    def free(self) -> None:
        """Unload models and drop cached results as soon as nothing runs; for all users of the instance."""
        self._post("/free", {"unload_models": True, "free_memory": True})

    def upload(self, path: Path, name: str, subfolder: str) -> str:
        """Put a file into the input folder; the name by which a graph names it."""
        with path.open("rb") as file:
            response = self._call(
                "POST",
                "/upload/image",
                data={"type": "input", "subfolder": subfolder, "overwrite": "true"},
                files={"image": (name, file, "application/octet-stream")},
            )
        if response.status_code == 413:
            raise MediaTooLarge(
                f"{path.name} is larger than {self.shown} takes; start it with --max-upload-size."
            )
        if response.status_code != 200:
            raise self._refusal("POST", "/upload/image", response)
        answer = self._object(response)
        folder = answer.get("subfolder", "")
        return f"{folder}/{answer['name']}" if folder else str(answer["name"])

    @contextlib.contextmanager
    def view(self, filename: str, subfolder: str, kind: str) -> Iterator[httpx2.Response]:
        """A file, streamed; raises Missing."""
        query = {"filename": filename, "subfolder": subfolder, "type": kind}
        with (
            self._answering("GET", "/view"),
            self._client.stream("GET", self.url + "/view", params=query) as got,
        ):
            if got.status_code == 404:
                raise Missing(f"{self.shown} has no file {filename} any more.")
            if got.status_code != 200:
                raise self._refusal("GET", "/view", got)
            yield got

    def object_info(self, name: str | None = None) -> Mapping[str, Any]:
        """All node classes, or one; empty when there is none of that name."""
        return self._get("/object_info" if name is None else f"/object_info/{name}")

    def system_stats(self) -> Mapping[str, Any]:
        """Memory and devices; the start arguments, which show paths, are left out."""
        stats = dict(self._get("/system_stats"))
        stats["system"] = {key: value for key, value in stats.get("system", {}).items() if key != "argv"}
        return stats

    def _get(self, path: str) -> Mapping[str, Any]:
        response = self._call("GET", path)
        if response.status_code != 200:
            raise self._refusal("GET", path, response)
        return self._object(response)

    def _post(self, path: str, body: Mapping[str, Any]) -> None:
        response = self._call("POST", path, json=body)
        if response.status_code != 200:
            raise self._refusal("POST", path, response)

    def _call(self, method: str, path: str, **more: Any) -> httpx2.Response:
        with self._answering(method, path):
            return self._client.request(method, self.url + path, **more)

    @contextlib.contextmanager
    def _answering(self, method: str, path: str) -> Iterator[None]:
        import httpx2

        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            raise Unsent(
                f"The ComfyUI instance {self.shown} cannot be reached; check that it runs and its address."
            ) from None
        except httpx2.TransportError as error:
            raise ComfyUnreachable(
                f"The ComfyUI instance {self.shown} did not answer {method} {path.partition('?')[0]}"
                f" ({type(error).__name__})."
            ) from None

    def _refusal(self, method: str, path: str, response: httpx2.Response) -> ComfyError:
        status, what = response.status_code, f"{method} {path.partition('?')[0]}"
        if status in (502, 503, 504):
            return ComfyUnreachable(
                f"What stands before the ComfyUI instance {self.shown} answered {status}."
            )
        return ComfyError(f"The ComfyUI instance {self.shown} answered {status} to {what}.")

    def _object(self, response: httpx2.Response) -> Mapping[str, Any]:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ComfyError(f"What answers at {self.shown} is not a ComfyUI instance; check the address.")
        return answer


def _abilities(version: str) -> Abilities:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    parts = (int(found[1]), int(found[2])) if found else (0, 0)
    return Abilities(version, job_view=parts >= (0, 7), job_cancel=parts >= (0, 26))
