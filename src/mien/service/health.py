"""Whether the service works, part by part, in plain words."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from mien.db import Database
from mien.errors import MienError
from mien.jobs.database import DatabaseStore
from mien.jobs.executors import Executors
from mien.service.settings import ServiceSettings
from mien.service.space import Space
from mien.storage import Chain

if TYPE_CHECKING:
    from mien.comfyui import Environments
    from mien.models.store import ModelStore
    from mien.settings import Settings

State = Literal["ok", "degraded", "down"]
FRESH: Final = 5.0
"""Seconds for which an answer is given again."""
STORAGE_FRESH: Final = 60.0
"""The same for the round trip to the storage, which costs something."""
LITTLE_SPACE: Final = 1_000_000_000
"""Bytes; with less, videos may not fit."""
LONG_WAIT: Final = 600.0
"""Seconds after which a waiting job is a sign that there are too few workers."""
_RANK: Final = ("ok", "degraded", "down")


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is."""

    state: State
    sentence: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        said = {"message": self.sentence} if self.sentence else {}
        return {"status": self.state, **said, **self.facts}


class Health:
    """Looks at all parts, at most once in a few seconds however often it is asked. Thread-safe."""

    def __init__(
        self,
        settings: ServiceSettings,
        engine_settings: Settings,
        database: Database,
        store: DatabaseStore,
        storage: Chain,
        models: Callable[[], ModelStore],
        space: Space,
        clock: Callable[[], float] = time.monotonic,
        environments: Environments | None = None,
    ) -> None:
        self._settings = settings
        self._environments = environments
        self._engine_settings = engine_settings
        self._database = database
        self._store = store
        self._storage = storage
        self._models = models
        self._space = space
        self._clock = clock
        self._lock = threading.Lock()
        self._last: tuple[float, State, dict[str, Any]] | None = None
        self._stored: tuple[float, Finding] | None = None

    def look(self) -> tuple[State, dict[str, Any]]:
        """The worst state of all parts, and each part."""
        with self._lock:
            if self._last is not None and self._clock() - self._last[0] < FRESH:
                return self._last[1], self._last[2]
            parts = self._parts()
            worst = max((part.state for part in parts.values()), key=_RANK.index)
            checks = {name: part.plain() for name, part in parts.items()}
            self._last = (self._clock(), worst, checks)
            return worst, checks

    def storage_works(self) -> bool:
        """Whether a file can be stored, read and deleted; a recent answer is given again."""
        with self._lock:
            return self._look_at_storage().state == "ok"

    def _parts(self) -> dict[str, Finding]:
        database = _tried(self._look_at_database)
        parts = {"database": database, "storage": self._look_at_storage()}
        if database.state == "ok":
            parts["workers"] = _tried(self._look_at_workers)
            parts["queue"] = _tried(self._look_at_queue)
        if self._environments is not None and self._environments.names:
            parts["comfyui"] = self._look_at_comfyui(self._environments)
        parts["disk"] = self._look_at_disk()
        parts["models"] = _tried(self._look_at_models)
        parts["content_policy"] = _tried(self._look_at_policy)
        return parts

    def _look_at_database(self) -> Finding:
        import sqlalchemy as sa

        started = time.perf_counter()
        with self._database.read() as connection:
            connection.execute(sa.select(1))
        kind = "sqlite" if self._database.is_sqlite else "postgresql"
        return Finding("ok", "", {"kind": kind, "milliseconds": _milliseconds(started)})

    def _look_at_storage(self) -> Finding:
        if self._stored is None or self._clock() - self._stored[0] > STORAGE_FRESH:
            self._stored = (self._clock(), _tried(self._round_trip))
        return self._stored[1]

    def _round_trip(self) -> Finding:
        from mien.storage.check import PICTURE

        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="mien-health-") as folder:
            path = Path(folder, "mien-health.png")
            path.write_bytes(PICTURE)
            stored = self._storage.put_file(path)
        try:
            with self._storage.open(stored.url) as opened:
                same = b"".join(opened) == PICTURE
        finally:
            self._storage.delete(stored.url)
        facts = {"kind": self._storage.storages[0].name, "milliseconds": _milliseconds(started)}
        if not same:
            return Finding("down", "The storage gives back other bytes than it was given.", facts)
        return Finding("ok", "", facts)

    def _look_at_workers(self) -> Finding:
        live = Executors(self._database).live(self._settings.dead_after_seconds)
        working = [executor for executor in live if executor.role != "api"]
        full = [executor.id for executor in working if executor.info.get("disk", {}).get("low")]
        facts = {"count": len(working), "processes": len(live), **({"full": len(full)} if full else {})}
        if not working:
            return Finding(
                "degraded", "No worker is running, so jobs wait; mien worker or mien serve starts one.", facts
            )
        if full:
            return Finding(
                "degraded",
                f"The disks of {len(full)} of {len(working)} workers are nearly full, so these take up no jobs.",
                facts,
            )
        return Finding("ok", "", facts)

    def _look_at_queue(self) -> Finding:
        counts, oldest = self._store.counts(), self._store.oldest_queued()
        waited = 0.0 if oldest is None else max(0.0, time.time() - oldest)
        facts = {
            "queued": counts.get("queued", 0),
            "running": counts.get("running", 0),
            "oldest_seconds": round(waited, 1),
        }
        if waited > LONG_WAIT:
            return Finding(
                "degraded", "Jobs wait for more than ten minutes; there are too few workers.", facts
            )
        return Finding("ok", "", facts)

    def _look_at_comfyui(self, environments: Environments) -> Finding:
        states = {one.url: one.state for found in environments.status() for one in found.instances}
        faulty = sum(state == "faulty" for state in states.values())
        facts = {"instances": len(states), "faulty": faulty}
        if faulty:
            return Finding(
                "degraded",
                "A ComfyUI instance gets no work for now, since it failed; the status of the gateway says why.",
                facts,
            )
        return Finding("ok", "", facts)

    def _look_at_disk(self) -> Finding:
        free = self._space.free()
        if self._space.is_low:
            return Finding(
                "down",
                "The disk of the data folder is full up to what MIEN_MIN_FREE_MB keeps free, so no uploads are taken.",
                {"free_bytes": free},
            )
        if free < LITTLE_SPACE:
            return Finding("degraded", "The disk of the data folder is nearly full.", {"free_bytes": free})
        return Finding("ok", "", {"free_bytes": free})

    def _look_at_models(self) -> Finding:
        models = self._models()
        here = sum(models.is_here(id) for id in models.catalogue)
        facts = {"installed": here, "known": len(models.catalogue)}
        if not here and self._engine_settings.offline:
            return Finding("degraded", "No model is installed, and none may be downloaded.", facts)
        return Finding("ok", "", facts)

    def _look_at_policy(self) -> Finding:
        from mien.safety.content import VOTERS

        policy = self._settings.content_policy
        facts: dict[str, Any] = {"policy": policy, "installed": False}
        if policy == "off":
            return Finding("ok", "The content policy is off: nothing is looked at.", facts)
        models = self._models()
        if all(models.find(id) is not None for id in VOTERS):
            return Finding("ok", "", {**facts, "installed": True})
        return Finding(
            "degraded",
            "The content policy is on, but its analyser is not installed, so nothing is looked at; "
            f"mien models fetch {' '.join(VOTERS)} brings it.",
            facts,
        )


def _tried(look: Callable[[], Finding]) -> Finding:
    """A part that fails is down, and takes no other with it."""
    try:
        return look()
    except MienError as error:
        return Finding("down", _reason(error), {"code": error.code})


def _reason(error: MienError) -> str:
    """Without addresses, which are for the log."""
    return {
        "database_unavailable": "The database cannot be used.",
        "storage_error": "The storage cannot be used.",
        "storage_refused": "The storage refuses to be used as it is set up.",
    }.get(error.code, "It cannot be used.")


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
