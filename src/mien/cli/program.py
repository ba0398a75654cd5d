"""What the commands know of the rest of mien; each method imports what it needs, so that help is fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mien.options import Declared, Options, declared

if TYPE_CHECKING:
    from mien.models.store import ModelStore
    from mien.pipeline.engine import Engine
    from mien.pipeline.registry import AnyProcessor
    from mien.settings import Settings

Notice = Callable[[str], None]
OnDownload = Callable[[Any], None]


class Program:
    """The parts that commands are made of; tests put others in their place."""

    def settings(self) -> Settings:
        """The settings of the environment."""
        from mien.settings import Settings

        return Settings.from_environment()

    def processors(self) -> Mapping[str, AnyProcessor]:
        """Processors by name, imported when they are asked for."""
        return self._registry

    @cached_property
    def _registry(self) -> Mapping[str, AnyProcessor]:
        from mien.pipeline.registry import Registry

        return Registry()

    def step_groups(self) -> tuple[type[Options], ...]:
        """The option groups that all steps share."""
        from mien.pipeline.output_options import GROUPS

        return GROUPS

    def engine(self, settings: Settings, *, on_notice: Notice, on_download: OnDownload) -> Engine:
        """An engine; to be used as a context manager."""
        from mien.pipeline.engine import Engine

        return Engine(settings, on_notice=on_notice, on_download=on_download)

    def store(self, settings: Settings, progress: OnDownload | None = None) -> ModelStore:
        """The model store alone, for commands that run no model."""
        from mien.models.catalogue import load_catalogue
        from mien.models.store import ModelStore

        return ModelStore(settings, load_catalogue(), progress=progress)

    def providers(self) -> list[dict[str, Any]]:
        """Execution providers: ``name``, whether it really ``opens``, and a ``remark``."""
        from mien.inference.probe import probe
        from mien.inference.providers import available

        reasons = {name: probe(name) for name in available()}
        return [
            {"name": name, "opens": reason is None, "remark": reason or ""}
            for name, reason in reasons.items()
        ]

    def encoders(self) -> list[dict[str, Any]]:
        """Encoders that open here: ``name`` and ``kind`` (video, audio)."""
        from mien.media import encoders

        return [{"name": item.name, "kind": item.kind} for item in encoders.available()]


def processor_groups(program: Program) -> dict[str, type[Options]]:
    """The option groups of all processors that can be loaded, by processor."""
    from mien.pipeline.registry import PluginError

    groups = {}
    processors = program.processors()
    for name in processors:
        try:
            groups[name] = processors[name].Options
        except PluginError:
            continue
    return groups


def all_groups(program: Program) -> tuple[type[Options], ...]:
    """Every option group that a step can have: those of all steps, then those of each processor."""
    return (*program.step_groups(), *processor_groups(program).values())


def items_of(groups: tuple[type[Options], ...]) -> tuple[Declared, ...]:
    """All options of several groups."""
    return tuple(item for group in groups for item in declared(group))
