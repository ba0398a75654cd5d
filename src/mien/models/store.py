"""Finds model files, and brings those that are missing.

Order: the user's own folder (``settings.models_dir``, by file name), the cache, then a download into the
cache. A file is used only if its size and hash are those of the catalogue; it is hashed once, then again only
when it changes. With ``models_verify`` off, files are taken as they are and nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from mien.errors import ModelCorrupt, ModelForbidden, ModelMissing, OptionError
from mien.models.catalogue import Catalogue, Model, ModelFile, load_catalogue
from mien.models.digest import Verified, is_sound
from mien.models.request import Progress, Wanted
from mien.settings import Settings

State = Literal["present", "absent", "damaged", "forbidden"]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Where a model stands. ``paths`` are the files that are here; ``size`` the bytes of all, where known."""

    id: str
    state: State
    paths: tuple[Path, ...]
    size: int | None
    model: Model


class ModelStore:
    """The models of one engine; may be used from many threads.

    ``progress`` is told of every download; an exception that it raises ends the download (what has arrived is
    kept).
    """

    def __init__(
        self, settings: Settings, catalogue: Catalogue | None = None, *, progress: Progress | None = None
    ) -> None:
        if settings.models_dir is not None and not settings.models_dir.is_dir():
            raise OptionError(f"MIEN_MODELS_DIR names {settings.models_dir}, which is not a folder.")
        self.settings = settings
        self.catalogue = load_catalogue() if catalogue is None else catalogue
        self.folder = settings.cache_folder() / "models"
        self._verified = Verified(settings.cache_folder() / "verified")
        self._progress = progress

    def path(self, id: str) -> Path:
        """The (first) file of a model; downloaded if it is missing.

        Raises ModelUnknown, ModelForbidden, ModelMissing, or ModelCorrupt.
        """
        return self.paths(id)[0]

    def paths(self, id: str) -> tuple[Path, ...]:
        """All files of a model, in the order of the catalogue; downloaded if missing."""
        found = self._find_all(self._allowed(id))
        if None in found:
            self.fetch([id])
            found = self._find_all(self.catalogue[id])
        return tuple(path for path in found if path is not None)

    def find(self, id: str) -> Path | None:
        """The (first) file of a model if all its files are here and may be used; never downloads."""
        model = self.catalogue[id]
        if self._is_forbidden(model):
            return None
        found = self._find_all(model)
        return None if None in found else found[0]

    def is_here(self, id: str) -> bool:
        """Whether all files of a model are here, may be used, and have their size; nothing is read or hashed."""
        model = self.catalogue[id]
        return not self._is_forbidden(model) and all(self._looks_whole(file) for file in model.files)

    def fingerprint(self, id: str) -> str:
        """Hashes of the files of a model as they are here (downloaded if missing), for names of kept results."""
        return " ".join(self._verified.digest(path) for path in self.paths(id))

    def missing(self, ids: Iterable[str]) -> tuple[Model, ...]:
        """Those of the models that would have to be downloaded; raises ModelForbidden or ModelCorrupt."""
        models = [self._allowed(id) for id in dict.fromkeys(ids)]
        return tuple(model for model in models if None in self._find_all(model))

    def fetch(self, ids: Iterable[str]) -> None:
        """Download whatever is missing of the models, several at a time.

        Raises one ModelMissing, for the first file that could not be had, after all others were tried.
        """
        items = self._wanted(self.missing(ids))
        if not items:
            return
        reason = self._no_downloads()
        if reason is not None:
            raise self._refusal(items[0], reason)
        from mien.models.download import Downloader

        downloader = Downloader(self.settings, self.folder, self._verified, self._progress)
        failures = downloader.fetch([*items, *self._companions(items)])
        for item in items:
            if item.file.name in failures:
                raise self._refusal(item, f"could not be downloaded ({failures[item.file.name]})")

    def status(self, id: str) -> ModelStatus:
        """Where a model stands; never downloads."""
        model = self.catalogue[id]
        paths = tuple(path for file in model.files if (path := self._candidate(file)) is not None)
        return ModelStatus(id, self._state(model), paths, model.size, model)

    def verify(self, ids: Iterable[str]) -> tuple[ModelStatus, ...]:
        """Hash the files of models afresh and say how each stands."""
        states = []
        for id in ids:
            for path in self.status(id).paths:
                self._verified.forget(path)
            states.append(self.status(id))
        return tuple(states)

    def _state(self, model: Model) -> State:
        if self._is_forbidden(model):
            return "forbidden"
        try:
            found = self._find_all(model)
        except ModelCorrupt:
            return "damaged"
        if None not in found:
            return "present"
        return "damaged" if all(self._candidate(file) for file in model.files) else "absent"

    def _wanted(self, models: Iterable[Model]) -> list[Wanted]:
        files = {
            file.name: Wanted(model, file)
            for model in models
            for file in model.files
            if self._find(file, model) is None
        }
        return list(files.values())

    def _companions(self, items: Sequence[Wanted]) -> list[Wanted]:
        """The other missing files of wheels that are fetched anyway; they are small."""
        names = {item.file.name for item in items}
        wheels = {wheel for item in items for wheel in item.file.wheels}
        models = [model for model in self.catalogue.values() if not self._is_forbidden(model)]
        files = [
            Wanted(model, file)
            for model in models
            for file in model.files
            if wheels.intersection(file.wheels) and file.name not in names and self._candidate(file) is None
        ]
        return files

    def _find_all(self, model: Model) -> Sequence[Path | None]:
        return [self._find(file, model) for file in model.files]

    def _find(self, file: ModelFile, model: Model) -> Path | None:
        """A usable copy of the file, or None; raises ModelCorrupt for a wrong one in the user's folder."""
        path = self._candidate(file)
        if path is None or not self.settings.models_verify or is_sound(file, path, self._verified):
            return path
        if path.is_relative_to(self.folder):
            return None
        raise ModelCorrupt(
            f"The file {path} is not the {model.id} of the catalogue (wrong size or hash): replace it, "
            "or set MIEN_MODELS_VERIFY=off to use it as it is."
        )

    def _candidate(self, file: ModelFile) -> Path | None:
        """The copy that counts: by its name in the user's folder, with or without its sub-folder."""
        relative = Path(*PurePosixPath(file.name).parts)
        own = self.settings.models_dir
        places = [own / relative, own / relative.name] if own is not None else []
        places.append(self.folder / relative)
        return next((path for path in places if path.is_file()), None)

    def _looks_whole(self, file: ModelFile) -> bool:
        path = self._candidate(file)
        if path is None or not self.settings.models_verify:
            return path is not None
        return file.exact_size in (None, path.stat().st_size)

    def _allowed(self, id: str) -> Model:
        model = self.catalogue[id]
        if self._is_forbidden(model):
            raise ModelForbidden(
                f"The licence of the model {id} ({model.licence}) forbids commercial use, and the settings "
                "allow only models without that limit: choose another, or set MIEN_ALLOW_NONCOMMERCIAL=1."
            )
        return model

    def _is_forbidden(self, model: Model) -> bool:
        return not (model.commercial_use or self.settings.allow_noncommercial)

    def _no_downloads(self) -> str | None:
        if not self.settings.models_verify:
            return "is not here, and nothing is downloaded while MIEN_MODELS_VERIFY is off"
        if self.settings.offline:
            return "is not here, and MIEN_OFFLINE forbids downloads"
        return None

    def _refusal(self, item: Wanted, reason: str) -> ModelMissing | ModelCorrupt:
        size = "" if item.file.size is None else f" ({in_words(item.file.size)})"
        target = self.folder.joinpath(*PurePosixPath(item.file.name).parts)
        if self.settings.models_dir is not None:
            target = self.settings.models_dir / item.file.basename
        if target.is_file():
            return ModelCorrupt(
                f"The file {target} of the model {item.model.id} is damaged, and a new copy{size} {reason}."
            )
        return ModelMissing(
            f"The model {item.model.id} needs the file {item.file.basename}{size}, which {reason}: put it at "
            f"{target}, or run mien models fetch {item.model.id} where downloads work."
        )


def in_words(size: int) -> str:
    """A number of bytes as people write it: 229,714 -> '230 kB'."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= limit:
            value = size / limit
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{size} bytes"
