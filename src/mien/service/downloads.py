"""Jobs that bring models into the store of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import Forbidden
from mien.jobs import states
from mien.jobs.job import Finished
from mien.pipeline.progress import Progress
from mien.service.attempt import Attempt
from mien.service.settings import ServiceSettings
from mien.settings import Settings

if TYPE_CHECKING:
    from mien.models import Download
    from mien.models.store import ModelStore


@dataclass(frozen=True)
class Downloads:
    """A KindRunner. The models stand in the steps' args under ``models``, by id or by the name of a processor."""

    settings: ServiceSettings
    engine_settings: Settings

    def run(self, attempt: Attempt, folder: Path) -> None:
        """Bring what is not here. Raises Forbidden, ModelUnknown, ModelMissing, ModelForbidden, DiskFull, Canceled."""
        from mien.models.catalogue import load_catalogue
        from mien.models.store import ModelStore

        if not self.settings.allow_model_downloads:
            raise Forbidden("Models cannot be downloaded: the operator set MIEN_ALLOW_MODEL_DOWNLOADS.")
        steps = attempt.row.job.steps
        for index, step in enumerate(steps):
            if states.is_done(step):
                continue
            started = time.monotonic()
            attempt.change(lambda job, index=index: states.start_step(job, index, ""))  # type: ignore[misc]
            meter = _Meter(attempt, index, len(steps))
            store = ModelStore(self.engine_settings, load_catalogue(), progress=meter)
            store.fetch(wanted(step.args.get("models") or (), store))
            finished = Finished("models", "", seconds=round(time.monotonic() - started, 3))
            attempt.change(
                lambda job, index=index, finished=finished: states.finish_step(job, index, finished),  # type: ignore[misc]
                ("step", {"index": index, "status": "completed"}),
            )


class _Meter:
    """Sums up the bytes of files that are downloaded side by side."""

    def __init__(self, attempt: Attempt, step: int, steps: int) -> None:
        self._attempt = attempt
        self._step, self._steps = step, steps
        self._files: dict[str, Download] = {}
        self._lock = threading.Lock()

    def __call__(self, download: Download) -> None:
        self._attempt.cancel.raise_if_set()
        with self._lock:  # an older sum told after a newer one would go backwards
            self._files[download.name] = download
            files = self._files.values()
            done = sum(file.done for file in files)
            total = sum(file.total or file.done for file in files)
            progress = Progress("models", done, total, message=download.name)
            self._attempt.report(progress, self._step, self._steps)


def wanted(names: Iterable[str], store: ModelStore) -> list[str]:
    """The models that names stand for: ids, or processors, of which it is the ones that they use by default.

    Raises ModelUnknown.
    """
    from mien.options import build
    from mien.pipeline.registry import Registry

    processors = Registry()
    ids: list[str] = []
    for name in names:
        if name in store.catalogue or name not in processors:
            ids.append(name)
            continue
        processor = processors[name]
        ids += processor.models(build(processor.Options, {}))
    return list(dict.fromkeys(ids))
