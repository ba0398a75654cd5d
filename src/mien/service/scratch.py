"""The files of a run: a folder of its own for what it makes, and its inputs as files of this machine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from mien.errors import AssetMissing, InputError, MienError
from mien.fetch import is_url
from mien.jobs.job import Job
from mien.media.atomic import output_errors

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mien.service.asset_rows import Asset

ASSET: Final = "asset:"
STEP: Final = "step:"
RESULT: Final = "result:"
FACE_MAP: Final = "face_map"
ABANDONED: Final = 24 * 3600.0
"""Age in seconds at which the folder of a run that nobody ended is removed."""


class Keeps(Protocol):
    """What a run needs of the assets."""

    def get(self, id: str, owner: str | None) -> Asset:
        """One asset; raises AssetMissing."""

    def add_url(self, url: str, owner: str) -> Asset:
        """Fetch a file of the web; raises FetchError, UnsafeInput and others."""

    def local_copy(self, id: str, owner: str | None) -> AbstractContextManager[Path]:
        """A copy on this machine; raises AssetMissing, StorageError, DiskFull."""


@contextmanager
def run_folder(root: Path, name: str) -> Iterator[Path]:
    """A new folder for one run, gone afterwards. Raises OutputNotWritable, DiskFull."""
    folder = root / f"{name}-{os.getpid()}-{time.monotonic_ns()}"
    with output_errors(folder):
        folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned(root: Path, older_than: float = ABANDONED) -> None:
    """Remove folders of runs whose process died."""
    with suppress(OSError):
        for folder in root.iterdir():
            with suppress(OSError):
                if folder.stat().st_mtime < time.time() - older_than:
                    shutil.rmtree(folder, ignore_errors=True)


class Inputs:
    """The inputs of one step, as long as the block lasts. Use as a context manager.

    Errors that leave the block speak of files by the names that their owner gave them.
    """

    def __init__(self, assets: Keeps, owner: str) -> None:
        self._assets = assets
        self._owner = owner
        self._names: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Inputs:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MienError):
            error.args = (self.said(str(error)), *error.args[1:])
        self._stack.close()

    def fetched(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """``args`` with assets in the place of addresses. Raises what fetching raises."""
        return dict(_each(args, lambda text: self._fetch(text) if is_url(text) else text))

    def local(self, args: Mapping[str, Any], job: Job) -> dict[str, Any]:
        """``args`` with files of this machine in the place of assets and of results of earlier steps.

        Raises AssetMissing, StorageError, DiskFull, InputError.
        """
        return dict(_each(args, lambda text: self._file(text, job)))

    def media_of(self, reference: str | None, job: Job) -> Asset | None:
        """The asset behind the reference to a target; None when it is none."""
        id = asset_id(reference or "", job)
        return None if id is None else self._assets.get(id, self._owner)

    def _fetch(self, url: str) -> str:
        return ASSET + self._assets.add_url(url, self._owner).id

    def _file(self, text: str, job: Job) -> str:
        id = asset_id(text, job)
        if id is None:
            return text
        path = str(self._stack.enter_context(self._assets.local_copy(id, self._owner)))
        self._names[path] = self._assets.get(id, self._owner).name
        return path

    def said(self, text: str) -> str:
        """A sentence about the files of this machine with the names that their owner gave them."""
        for path, name in self._names.items():
            text = text.replace(path, name).replace(Path(path).name, name)
        return text


def asset_id(reference: str, job: Job) -> str | None:
    """The asset that a reference means; None for text that is no reference. Raises InputError for a step without
    result.
    """
    if reference.startswith(ASSET):
        return reference.removeprefix(ASSET)
    if not reference.startswith(STEP):
        return None
    number = reference.removeprefix(STEP)
    finished = (
        job.steps[int(number)].finished if number.isdecimal() and int(number) < len(job.steps) else None
    )
    if finished is None:
        raise InputError(f"The target is the result of step {number}, which has none.")
    return finished.path.removeprefix(ASSET)


def lost_results(job: Job, assets: Keeps, owner: str) -> list[int]:
    """Completed steps whose result is gone."""
    lost = []
    for index, step in enumerate(job.steps):
        if step.finished is not None:
            try:
                assets.get(step.finished.path.removeprefix(ASSET), owner)
            except AssetMissing:
                lost.append(index)
    return lost


def _each(args: Mapping[str, Any], change: Any) -> Iterator[tuple[str, Any]]:
    """``args`` with every text that can be a reference changed."""
    for key, value in args.items():
        if key == "source_paths":
            yield key, [change(text) for text in value or ()]
        elif key == FACE_MAP:
            people = value or ()
            yield key, [{**item, "sources": [change(text) for text in item["sources"]]} for item in people]
        elif isinstance(value, str) and (key == "target_path" or value.startswith(ASSET)):
            yield key, change(value) if value else value
        else:
            yield key, value
