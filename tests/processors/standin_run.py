"""Runs of processors on our own stand-in models."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from mien.inference.runtime import Runtime
from mien.inference.session import Session
from mien.models.store import ModelStore
from mien.options import Options
from mien.processors.base import RunContext
from mien.types import MediaInfo

PICTURE = MediaInfo("image", "png", 200, 200, 0.0)


@dataclass(frozen=True)
class StandIns:
    store: ModelStore
    runtime: Runtime
    notices: list[str] = field(default_factory=list)

    def run(
        self,
        *groups: Options,
        sources: tuple[Path, ...] = (),
        target: MediaInfo = PICTURE,
        compat: bool = False,
    ) -> RunContext:
        """What a processor is prepared with; option groups that are not given have their defaults."""
        given = {type(group): group for group in groups}
        return RunContext(
            models=self.store,
            runtime=self.runtime,
            analyser=cast(Any, None),
            sources=sources,
            target=target,
            settings_of=lambda kind: given.get(kind, kind()),
            notice=self.notices.append,
            compat=compat,
        )

    def session(self, id: str) -> Session:
        return self.runtime.load(self.store.path(id))

    def runs(self, id: str) -> int:
        """How often a model has run."""
        return self.session(id).runs
