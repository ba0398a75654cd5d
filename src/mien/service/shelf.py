"""The models of this machine: jobs that bring them, and taking them away."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mien.errors import Forbidden, JobExists, ModelUnknown, NotFound
from mien.jobs import states
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import NewJob
from mien.models.store import ModelStore
from mien.service.callers import Caller
from mien.service.problems import Problems
from mien.service.submitting import DOWNLOAD, Submissions

if TYPE_CHECKING:
    from mien.jobs.rows import JobRow


@dataclass(frozen=True)
class Shelf:
    """Brings and removes models. ``processors`` are names that stand for the models of a processor."""

    models: ModelStore
    processors: Collection[str]
    submissions: Submissions

    def download(self, names: Sequence[str], caller: Caller, seed: str) -> JobRow:
        """Store a job that brings models, by their ids or by names of processors.

        Raises Forbidden where the operator allows no downloads, ModelUnknown, ModelForbidden.
        """
        if not self.submissions.settings.allow_model_downloads:
            raise Forbidden("Models cannot be downloaded: the operator set MIEN_ALLOW_MODEL_DOWNLOADS.")
        problems = Problems()
        for number, name in enumerate(names):
            with problems.at(f"models.{number}"):
                if name not in self.processors:
                    self.models.missing([name])
        problems.refuse()
        step = JobStep({"models": list(dict.fromkeys(names)), "processors": []})
        job = states.submit(Job(f"job_{seed}", now(), steps=(step,)))
        try:
            return self.submissions.insert([NewJob(job, caller.owner, DOWNLOAD)], caller)[0]
        except JobExists:
            return self.submissions.store.row(job.id, caller.owner)

    def delete(self, id: str) -> None:
        """Remove the files of a model that were downloaded. Files that other models need too stay.

        Raises NotFound for a model that is not here, Forbidden for one that lies in the operator's own folder.
        """
        try:
            status = self.models.status(id)
        except ModelUnknown as error:
            raise NotFound(str(error)) from None
        if not status.paths:
            raise NotFound(f"The model {id} is not here.")
        own = [path for path in status.paths if path.is_relative_to(self.models.folder)]
        if not own:
            raise Forbidden(
                f"The model {id} lies in the folder of MIEN_MODELS_DIR, which is the operator's own."
            )
        others = {
            self.models.folder.joinpath(*PurePosixPath(file.name).parts)
            for other in self.models.catalogue.values()
            if other.id != id
            for file in other.files
        }
        for path in own:
            if path not in others:
                with suppress(FileNotFoundError):
                    path.unlink()
