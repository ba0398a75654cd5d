"""What this service can do, as data from which clients build requests and forms; derived from the declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mien._version import __version__
from mien.models.catalogue import Model
from mien.models.store import ModelStore
from mien.options import Declared, Options, declared
from mien.pipeline.output_options import GROUPS
from mien.pipeline.registry import AnyProcessor, PluginError
from mien.service.outputs import formats
from mien.service.settings import ServiceSettings
from mien.settings import Settings

_TYPES: Final = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
HIDDEN: Final = frozenset({"consent_ref"})
"""Options that requests give in another place than among the options."""


@dataclass(frozen=True)
class Capabilities:
    """Describes one service; what it says changes only with what is installed, and with whether others are there."""

    settings: ServiceSettings
    engine: Settings
    processors: Mapping[str, AnyProcessor]
    models: ModelStore
    workflows: Callable[[], list[dict[str, Any]]] = list

    def document(self) -> dict[str, Any]:
        """Everything at once."""
        return {
            "version": __version__,
            "processors": self.processor_list(),
            "option_groups": [self._group(group) for group in GROUPS if self._options(group)],
            "workflows": self.workflows(),
            "formats": formats(marked=self.settings.marking_required),
            "limits": self.limits(),
            "policy": self.policy(),
            "features": self.features(),
            "models_licences": [self._licence(model) for model in self.models.catalogue.values()],
        }

    def processor_list(self) -> list[dict[str, Any]]:
        """All processors that can be loaded, with their options."""
        found = []
        for name in self.processors:
            try:
                processor = self.processors[name]
            except PluginError:
                continue
            found.append(self._processor(name, processor))
        return found

    def limits(self) -> dict[str, Any]:
        """How much the service takes."""
        settings = self.settings
        names = ("max_pixels", "max_seconds", "max_steps", "max_sources", "max_batch", "max_wait")
        return {
            "max_upload_bytes": settings.max_upload_bytes,
            "max_request_bytes": int(settings.max_request_mb * (1 << 20)),
            **{name: getattr(settings, name) for name in names},
        }

    def policy(self) -> dict[str, Any]:
        """What the operator asks of requests."""
        settings = self.settings
        return {
            "require_consent": settings.require_consent or self.engine.require_consent,
            "content_policy": settings.content_policy,
            "marking_required": settings.marking_required,
            "allow_noncommercial": self.engine.allow_noncommercial,
            "allow_model_downloads": settings.allow_model_downloads and not self.engine.offline,
        }

    def features(self) -> dict[str, bool]:
        """Parts of the service that may be absent."""
        return {
            "studio": self.settings.studio,
            "metrics": self.settings.metrics,
            "fetch_http": self.settings.fetch_http,
            "signing": self.engine.signing != "off" and self.engine.signing_key is not None,
        }

    def model_list(self) -> list[dict[str, Any]]:
        """All models of the catalogue, and where they stand."""
        users = self._users()
        return [self._model(id, model, users.get(id, [])) for id, model in self.models.catalogue.items()]

    def _model(self, id: str, model: Model, processors: list[str]) -> dict[str, Any]:
        status = self.models.status(id)
        return {
            **self._licence(model),
            "title": model.summary or title_of(id),
            "processors": processors,
            "family": model.family,
            "families": [model.family],
            "installed": status.state == "present",
            "state": status.state,
            "size": model.size,
            "year": model.year,
            "homepage": model.homepage,
        }

    def _licence(self, model: Model) -> dict[str, Any]:
        return {
            "id": model.id,
            "licence": model.licence,
            "vendor": model.vendor,
            "commercial_use": model.commercial_use,
            "allowed": model.commercial_use or self.engine.allow_noncommercial,
        }

    def _processor(self, name: str, processor: AnyProcessor) -> dict[str, Any]:
        return {
            "name": name,
            "title": title_of(name),
            "description": processor.summary,
            "needs": {
                "source": processor.source_kind if processor.needs_source else None,
                "faces": processor.needs_faces,
            },
            "synthetic": processor.synthetic,
            "options": self._options(processor.Options),
        }

    def _group(self, group: type[Options]) -> dict[str, Any]:
        title = group.title or title_of(group.group or group.section)
        return {"name": title.lower().replace(" ", "_"), "title": title, "options": self._options(group)}

    def _options(self, group: type[Options]) -> list[dict[str, Any]]:
        return [self._option(item) for item in declared(group) if item.key not in HIDDEN]

    def _option(self, item: Declared) -> dict[str, Any]:
        found = option_view(item)
        if item.key == "content_policy":
            found["default"] = self.settings.content_policy
        locked = {"output_marking": self.settings.marking_required}
        locked["content_policy"] = self.settings.content_policy == "refuse"
        return {**found, "locked": locked.get(item.key, False)}

    def _users(self) -> dict[str, list[str]]:
        """Models to the processors that may need them, by the choices of their options."""
        return users_of(self.processors, self.models)


def option_view(item: Declared) -> dict[str, Any]:
    """One option as forms need it."""
    return {
        "key": item.key,
        "type": _TYPES[item.kind],
        "multiple": item.many,
        "default": _plain(item.default),
        "choices": list(item.choices),
        "minimum": item.ge,
        "maximum": item.le,
        "step": item.step if item.step is not None else (1 if item.kind == "int" else None),
        "unit": item.unit,
        "title": title_of(item.name),
        "help": item.help,
        "advanced": item.advanced,
    }


def title_of(name: str) -> str:
    """A name as a heading: ``face_swapper`` gives ``Face swapper``."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def users_of(processors: Mapping[str, AnyProcessor], models: ModelStore) -> dict[str, list[str]]:
    """Which processors may need a model: for every choice of their option ``model``, what it needs."""
    from mien.errors import ModelError
    from mien.options import build

    found: dict[str, list[str]] = {}
    for name in processors:
        try:
            processor = processors[name]
        except PluginError:
            continue
        for values in _choices(processor.Options):
            try:
                ids: Iterable[str] = processor.models(build(processor.Options, values))
            except ModelError:
                continue
            for id in ids:
                users = found.setdefault(id, [])
                if name not in users:
                    users.append(name)
    return found


def _choices(group: type[Options]) -> list[dict[str, Any]]:
    item = next((item for item in declared(group) if item.name == "model" and item.choices), None)
    return [{}] if item is None else [{item.key: choice} for choice in item.choices]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
