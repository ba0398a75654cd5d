"""Whether callers need a key, and who a caller is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mien.errors import RateLimited, Unauthorized
from mien.service.callers import LOCAL, Caller
from mien.service.keys import Keys
from mien.service.sessions import Sessions
from mien.service.settings import ServiceSettings

FAILURES = 20
"""Wrong keys that one address may try in a minute."""
MINUTE = 60.0
_MOST = 10_000


class Access:
    """Finds out who calls, from a key or from the cookie of a session. Shared by any number of threads."""

    def __init__(
        self,
        settings: ServiceSettings,
        keys: Keys,
        sessions: Sessions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._sessions = sessions
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, float] = {}

    def required(self) -> bool:
        """Whether callers need a key: not where only this machine reaches the service and no key was ever made."""
        if self._settings.auth != "auto":
            return self._settings.auth == "on"
        return not self._settings.is_local_only or self._keys.exist()

    def remembered(self, key: str | None, session: str | None) -> Caller | None:
        """Who calls, if that was looked up within the last seconds; asks no database."""
        if key is not None:
            return self._keys.remembered(key)
        if session is not None:
            return self._sessions.remembered(session)
        open_to_all = self._settings.auth == "off" or (
            self._settings.auth == "auto" and self._settings.is_local_only and self._keys.surely_none()
        )
        return LOCAL if open_to_all else None

    def caller(self, key: str | None, session: str | None, address: str) -> Caller:
        """Who calls. ``key`` counts before ``session``; ``address`` is where the request came from.

        Raises Unauthorized, or RateLimited for an address that tried too many wrong keys; keys that this process
        saw to be good still work from there.
        """
        if key is not None:
            return self._by_key(key, address)
        found = self._sessions.find(session) if session is not None else None
        if found is not None:
            return found[0]
        if self.required():
            raise Unauthorized(
                "A key is needed: send it as Authorization: Bearer mien_…; mien keys create --scope submit makes one."
            )
        return LOCAL

    def by_key(self, key: str, address: str) -> Caller:
        """Who uses a key, whatever else the request says; raises like ``caller``."""
        return self._by_key(key, address)

    def _by_key(self, key: str, address: str) -> Caller:
        if not self._keys.worked_before(key):
            self._check_failures(address)
        try:
            return self._keys.caller(key)
        except Unauthorized:
            self._note_failure(address)
            raise

    def _check_failures(self, address: str) -> None:
        with self._lock:
            ahead = self._failures.get(address, 0.0) - self._clock() - MINUTE
        if ahead > 0:
            raise RateLimited("Too many wrong keys were sent from this address; wait a little.", ahead)

    def _note_failure(self, address: str) -> None:
        moment = self._clock()
        with self._lock:
            if len(self._failures) >= _MOST:
                self._failures.clear()
            self._failures[address] = max(self._failures.get(address, 0.0), moment) + MINUTE / FAILURES
