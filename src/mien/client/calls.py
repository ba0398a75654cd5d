"""The calls of the API as values: what is sent and how the answer is read. Both clients perform the same calls."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from mien.errors import InputMissing, OptionError
from mien.server.schemas.assets import Asset, FaceList, Verification
from mien.server.schemas.batches import Batch, BatchCreated
from mien.server.schemas.catalogue import Capabilities, Estimate, ModelEntry
from mien.server.schemas.jobs import Job, JobPage
from mien.server.schemas.operation import Health, System

if TYPE_CHECKING:
    from httpx2 import Response
    from pydantic import BaseModel

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and how its answer is read."""

    method: str
    path: str
    read: Callable[[Response], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    """Sent as JSON."""
    form: Mapping[str, Any] | None = None
    """Fields of a multipart form."""
    files: tuple[tuple[str, Path], ...] = ()
    """Field and file; sent as a multipart form, streamed from the disk."""
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0
    """Seconds that the service may take longer than usual."""
    answers: frozenset[int] = frozenset()
    """Statuses beyond 2xx that carry a value as well."""

    @property
    def may_be_repeated(self) -> bool:
        """Whether sending the request twice has the effect of sending it once."""
        return self.method != "POST" or "Idempotency-Key" in self.headers


def submit(request: Mapping[str, Any], key: str | None = None) -> Call[Job]:
    """POST jobs."""
    return Call("POST", f"{API}/jobs", _model(Job), body=dict(request), headers=_once(key))


def process(
    sources: Iterable[str | Path],
    target: str | Path,
    *,
    processors: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    wait: float = 0.0,
    key: str | None = None,
) -> Call[Job]:
    """POST process with files of this machine or addresses, answered with the job."""
    form: dict[str, Any] = {name: value for name, value in (fields or {}).items() if value is not None}
    files: list[tuple[str, Path]] = []
    for name, place in (*(("source", source) for source in sources), ("target", target)):
        if _is_url(place):
            form.setdefault(f"{name}_url", []).append(str(place))
        else:
            files.append((name, existing(place)))
    if processors:
        form["processors"] = list(processors)
    if options:
        form["options"] = json.dumps(dict(options))
    headers = {**_once(key), "Accept": "application/json", "Prefer": f"wait={wait:g}"}
    return Call(
        "POST",
        f"{API}/process",
        _model(Job),
        form=form,
        files=tuple(files),
        headers=headers,
        patience=wait,
    )


def job(id: str) -> Call[Job]:
    """GET jobs/{id}."""
    return Call("GET", _at("jobs", id), _model(Job))


def jobs(**query: Any) -> Call[JobPage]:
    """GET jobs."""
    return Call("GET", f"{API}/jobs", _model(JobPage), query=_said(query))


def act(id: str, what: str) -> Call[Job]:
    """POST jobs/{id}/cancel, retry or submit."""
    return Call("POST", f"{_at('jobs', id)}/{what}", _model(Job))


def delete_job(id: str) -> Call[None]:
    """DELETE jobs/{id}."""
    return Call("DELETE", _at("jobs", id), lambda response: None)


def upload(path: str | Path) -> Call[Asset]:
    """POST assets with a file of this machine."""
    # The same content is the same asset, so the request may be repeated; the key says so.
    return Call(
        "POST", f"{API}/assets", _model(Asset), files=(("file", existing(path)),), headers=_once(None)
    )


def asset(id: str) -> Call[Asset]:
    """GET assets/{id}."""
    return Call("GET", _at("assets", id), _model(Asset))


def delete_asset(id: str) -> Call[None]:
    """DELETE assets/{id}."""
    return Call("DELETE", _at("assets", id), lambda response: None)


def detect(path: str | Path, *, frame: int = 0, options: Mapping[str, Any] | None = None) -> Call[FaceList]:
    """POST faces/detect."""
    form = {"frame": str(frame), **({"options": json.dumps(dict(options))} if options else {})}
    return Call("POST", f"{API}/faces/detect", _model(FaceList), form=form, files=(("file", existing(path)),))


def verify(path: str | Path) -> Call[Verification]:
    """POST verify."""
    return Call("POST", f"{API}/verify", _model(Verification), files=(("file", existing(path)),))


def estimate(request: Mapping[str, Any]) -> Call[Estimate]:
    """POST estimate."""
    return Call("POST", f"{API}/estimate", _model(Estimate), body=dict(request))


def submit_batch(request: Mapping[str, Any], key: str | None = None) -> Call[BatchCreated]:
    """POST batches."""
    return Call("POST", f"{API}/batches", _model(BatchCreated), body=dict(request), headers=_once(key))


def batch(id: str, **query: Any) -> Call[Batch]:
    """GET batches/{id}."""
    return Call("GET", _at("batches", id), _model(Batch), query=_said(query))


def models() -> Call[list[ModelEntry]]:
    """GET models."""

    return Call(
        "GET", f"{API}/models", lambda response: [ModelEntry.model_validate(m) for m in response.json()]
    )


def download_models(names: Sequence[str], key: str | None = None) -> Call[Job]:
    """POST models/download."""
    body = {"models": list(names)}
    return Call("POST", f"{API}/models/download", _model(Job), body=body, headers=_once(key))


def capabilities() -> Call[Capabilities]:
    """GET capabilities."""
    return Call("GET", f"{API}/capabilities", _model(Capabilities))


def health() -> Call[Health]:
    """GET health; a service that is down answers as well."""
    return Call("GET", f"{API}/health", _model(Health), answers=frozenset({503}))


def system() -> Call[System]:
    """GET system."""
    return Call("GET", f"{API}/system", _model(System))


def existing(path: str | Path) -> Path:
    """The path of a file of this machine. Raises InputMissing."""
    found = Path(path)
    if not found.is_file():
        raise InputMissing(f"{path} does not exist or is not a file.")
    return found


def check_url(url: str) -> str:
    """The address of a service without a slash at its end. Raises OptionError."""
    if not url.startswith(("http://", "https://")):
        raise OptionError(f"{url!r} is not the address of a service; give http://… or https://….")
    return url.rstrip("/")


def result_path(id: str) -> str:
    """Where the files of a job are."""
    return f"{_at('jobs', id)}/result"


def events_path(id: str) -> str:
    """Where a job says what happens to it."""
    return f"{_at('jobs', id)}/events"


def _at(kind: str, id: str) -> str:
    return f"{API}/{kind}/{quote(id, safe='')}"


def _model(kind: type[M]) -> Callable[[Response], M]:
    return lambda response: kind.model_validate_json(response.content)


def _once(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or secrets.token_hex(16)}


def _said(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _is_url(place: str | Path) -> bool:
    return isinstance(place, str) and place.startswith(("http://", "https://"))
