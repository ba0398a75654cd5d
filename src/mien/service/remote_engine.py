"""Another face engine that does swaps for this service: ``GET /health`` and ``POST /process``, as gateways know them.

A swap costs time and money, so it is asked for again only when it was certainly not begun, or when the other engine is
mien, which knows a repetition by its Idempotency-Key. Whatever else is unclear ends the step.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mien.errors import Forbidden, InputError, MienError, RemoteFailed, TimedOut, TryLater, kind_of
from mien.pipeline.progress import Cancel
from mien.service.settings import ServiceSettings

if TYPE_CHECKING:
    import httpx2

FRESH: Final = 5.0
"""Seconds for which an answer to a question of health counts."""
CONNECT: Final = 10.0
ANSWER: Final = 10.0
"""Longest times to a connection, and to an answer about health, in seconds."""
_SLICE: Final = 0.2
_BUSY: Final = frozenset({429, 503})
_CONFLICT: Final = 409
"""With the header Retry-After: the first request with this Idempotency-Key is under way."""
_LONGEST_PAUSE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Swapped:
    """What the other engine made."""

    url: str
    facts: Mapping[str, Any]
    """Its ``metadata``."""


class _NotBegun(Exception):
    """The swap was certainly not begun; ``pause`` is what the engine asks for, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class _Unclear(Exception):
    """Nobody knows whether the swap was begun, or it goes on; ``pause`` is what the engine asks for, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class RemoteEngine:
    """One other engine. Safe to use from many threads; nothing is sent before the first question."""

    def __init__(self, settings: ServiceSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Needs ``settings.remote_engine_url``."""
        assert settings.remote_engine_url is not None
        self.url = settings.remote_engine_url.rstrip("/")
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._alive = False

    def alive(self) -> bool:
        """Whether the engine answers that it is well; asked at most every few seconds."""
        with self._lock:
            if self._asked_at is None or self._clock() - self._asked_at > FRESH:
                self._alive = self._asked("/health") is not None
                self._asked_at = self._clock()
            return self._alive

    def is_mien(self) -> bool:
        """Whether the engine says that it is mien; False also when it does not answer."""
        return (self._asked("/") or {}).get("service") == "mien"

    def swap(self, wish: Mapping[str, Any], key: str, cancel: Cancel) -> Swapped:
        """Have a swap done; ``wish`` is the body, ``key`` the same for the same swap and no other.

        Raises Canceled, what the engine says is wrong with the swap, RemoteFailed when it did not begin it, and
        TimedOut when nobody knows what became of it.
        """
        deadline = self._clock() + self._settings.remote_engine_timeout
        left, pause = self._settings.remote_engine_retries, 0.5
        while True:
            asked_for = 0.0
            try:
                return self._processed(wish, key, cancel, deadline)
            except _NotBegun as error:
                if left <= 0 or self._clock() + error.pause > deadline:
                    raise RemoteFailed(
                        f"The face engine at {self.url} did not begin the swap: {error}."
                    ) from None
                asked_for = error.pause
            except _Unclear as error:
                if left <= 0 or self._clock() > deadline or not self.is_mien():
                    raise TimedOut(
                        f"The face engine at {self.url} gave no answer to a swap ({error}); it may have done it, so "
                        "it is not asked again by itself."
                    ) from None
                asked_for = error.pause
            left -= 1
            cancel.wait(max(asked_for, pause) * random.uniform(1.0, 1.25))
            pause *= 2

    def stream(self, url: str) -> Any:
        """The content of a file that the engine itself gives out, as httpx2 streams it."""
        import httpx2

        return httpx2.stream(
            "GET",
            url,
            headers=self._headers(),
            timeout=httpx2.Timeout(self._settings.remote_engine_timeout, connect=CONNECT),
            trust_env=False,
        )

    def owns(self, url: str) -> bool:
        """Whether an address is one of the engine itself."""
        return _origin(url) == _origin(self.url)

    def _processed(self, wish: Mapping[str, Any], key: str, cancel: Cancel, deadline: float) -> Swapped:
        answer = self._posted(wish, key, cancel, deadline)
        if answer.status_code in _BUSY:
            raise _NotBegun(f"it answered with status {answer.status_code}", _pause(answer))
        if answer.status_code == _CONFLICT and "retry-after" in answer.headers:
            raise _Unclear("an earlier try is still being done", _pause(answer))
        if answer.status_code >= 500:
            raise _Unclear(f"it answered with status {answer.status_code}")
        found = _body(answer)
        if answer.status_code >= 400:
            raise self._refusal(answer.status_code, found)
        facts = found.get("metadata")
        facts = facts if isinstance(facts, dict) else {}
        if facts.get("status") in ("queued", "running"):
            raise _Unclear("it is still working on it")
        if found.get("status") != "success":
            raise self._failure(facts.get("code"), str(found.get("error") or "It does not say why."))
        return Swapped(self._address(found.get("output_path")), facts)

    def _posted(self, wish: Mapping[str, Any], key: str, cancel: Cancel, deadline: float) -> httpx2.Response:
        """Send the request in a thread of its own, so that a request to stop is heard while it lasts."""
        import httpx2

        left = max(deadline - self._clock(), 1.0)
        answers: SimpleQueue[httpx2.Response | Exception] = SimpleQueue()
        client = httpx2.Client(timeout=httpx2.Timeout(left, connect=CONNECT), trust_env=False)

        def post() -> None:
            try:
                headers = {**self._headers(), "Idempotency-Key": key, "Accept": "application/json"}
                answers.put(client.post(f"{self.url}/process", json=dict(wish), headers=headers))
            except Exception as error:  # handed to the thread that waits for it
                answers.put(error)

        threading.Thread(target=post, name="remote-engine", daemon=True).start()
        try:
            while True:
                try:
                    found = answers.get(timeout=_SLICE)
                    break
                except Empty:
                    cancel.raise_if_set()
        finally:
            client.close()
        if isinstance(found, httpx2.ConnectError | httpx2.ConnectTimeout):
            raise _NotBegun("no connection was made")
        if isinstance(found, httpx2.TimeoutException):
            raise _Unclear(f"none within {self._settings.remote_engine_timeout:.0f} seconds")
        if isinstance(found, httpx2.HTTPError):
            raise _Unclear("the connection broke")
        if isinstance(found, Exception):
            raise found
        return found

    def _asked(self, path: str) -> Mapping[str, Any] | None:
        """The answer to a question that changes nothing; None without a good one."""
        import httpx2

        try:
            answer = httpx2.get(
                f"{self.url}{path}",
                headers={**self._headers(), "Accept": "application/json"},
                timeout=ANSWER,
                trust_env=False,
            )
        except httpx2.HTTPError:
            return None
        return _body(answer) if answer.is_success else None

    def _headers(self) -> dict[str, str]:
        key = self._settings.remote_engine_key
        return {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}

    def _address(self, place: Any) -> str:
        text = str(place or "")
        if not text.startswith(("http://", "https://")):
            raise InputError(
                f"The face engine at {self.url} answered with {text[:80]!r}, which is no address: a path means "
                "something on its own machine only, so have it store results where their address can be fetched."
            )
        return text

    def _refusal(self, status: int, body: Mapping[str, Any]) -> MienError:
        said = body.get("error")
        if status in (401, 403):
            return Forbidden(
                f"The face engine at {self.url} refuses this service; MIEN_REMOTE_ENGINE_KEY is its key."
            )
        if isinstance(said, dict):
            return self._failure(said.get("code"), str(said.get("message") or status))
        return self._failure(None, str(said or body.get("detail") or f"status {status}")[:300])

    def _failure(self, code: Any, message: str) -> MienError:
        """What the engine says is wrong; what may pass has been tried again over there."""
        kind = kind_of(str(code)) if code else None
        if kind is None or kind is MienError or issubclass(kind, TryLater | RemoteFailed):
            return InputError(f"The face engine at {self.url} failed: {message}")
        return kind(message)


def _body(answer: httpx2.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _pause(answer: httpx2.Response) -> float:
    try:
        return min(max(float(answer.headers.get("retry-after", "")), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return 0.0


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
