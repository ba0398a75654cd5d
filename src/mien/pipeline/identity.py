"""The identity of a piece of work: a hash of everything that determines the frames of its result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mien._version import __version__
from mien.media.writer import VideoSpec
from mien.models.store import ModelStore
from mien.pipeline.job import Job
from mien.pipeline.output_options import GROUPS, OutputOptions
from mien.pipeline.plan import Link
from mien.pipeline.work import file_identity, hash_of
from mien.safety.options import ConsentOptions

LAYOUT = 2
"""Raised when segments of an earlier version must not be used any more."""
LIBRARIES = ("av", "numpy", "opencv-python-headless", "onnxruntime", "ai-edge-litert")
IRRELEVANT = ("audio_", "image_", "marking")
"""Output options, by the start of their name, that leave the frames of a video as they are."""


def identity_of(job: Job, spec: VideoSpec) -> str:
    """The identity of a video's work: 32 hex digits."""
    plan, settings = job.plan, job.settings
    return hash_of(
        {
            "layout": LAYOUT,
            "mien": __version__,
            "libraries": {name: _version(name) for name in LIBRARIES},
            "target": file_identity(plan.step.target),
            "sources": [file_identity(source) for source in plan.step.sources],
            "people": [
                [person.face.frame, person.face.box.as_tuple(), *map(file_identity, person.sources)]
                for person in plan.step.people
            ],
            "options": [_plain(plan.settings_of(group)) for group in GROUPS if group is not ConsentOptions],
            "processors": [(link.name, _code_of(link.processor), _unnamed(link, job)) for link in plan.chain],
            "files": [file_identity(path) for link in plan.chain for path in _files(link, job)],
            "models": {id: _model(job.store, id) for id in job.models},
            "runtime": (settings.providers, settings.precision, settings.segment_seconds),
            "encoding": str(spec),
            "watermark": job.provenance.watermark_id,
        }
    )[:32]


def _plain(options: Any) -> dict[str, Any]:
    values: dict[str, Any] = options.model_dump()
    if isinstance(options, OutputOptions):
        values = {name: value for name, value in values.items() if not name.startswith(IRRELEVANT)}
    return values


def _files(link: Link, job: Job) -> Sequence[Path]:
    return link.processor.files(link.options, job.store)


def _unnamed(link: Link, job: Job) -> dict[str, Any]:
    """The options of a processor without the names of files, whose content counts wherever they lie."""
    names = {str(path) for path in _files(link, job)}
    return {key: value for key, value in link.options.model_dump().items() if str(value) not in names}


def _code_of(processor: object) -> str:
    kind = type(processor)
    return f"{kind.__module__}.{kind.__qualname__} {getattr(kind, 'version', '')}"


def _model(store: ModelStore, id: str) -> list[object]:
    """Hashes of the catalogue, or what identifies the user's own files where hashes are not looked at."""
    files = store.catalogue[id].files
    if store.settings.models_verify and all(file.sha256 or file.crc32 for file in files):
        return [file.sha256 or file.crc32 for file in files]
    return list(_identities(store.paths(id)))


def _identities(paths: Iterable[Path]) -> Iterable[str]:
    return (file_identity(path) for path in paths)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
