"""How long a job will take, from what the same work took before on the machines of this service."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mien.db import Database
from mien.jobs.job import JobStep
from mien.options import declared
from mien.pipeline.registry import AnyProcessor
from mien.service.intake import Media

Basis = Literal["measured", "benchmark", "guess"]

WINDOW: Final = 20
"""Runs over which averages move."""
UNKNOWN_MEGAPIXELS: Final = 2.0
"""Size of a target of which nothing is known yet."""
BENCHMARK: Final[Mapping[str, float]] = {
    "face_swapper=mesh": 0.1,
    "face_anonymizer": 0.15,
    "face_debugger": 0.1,
}
"""Seconds for a megapixel on two cores, as measured with pictures of 0.3 and 4 megapixels, of what needs no network
that has to be downloaded."""
GUESS: Final = 1.0
"""Seconds for a megapixel of anything else."""
OVERHEAD: Final = 1.0
"""Seconds for opening files and models, where nothing was measured."""
_SPREAD: Final[Mapping[Basis, tuple[float, float]]] = {
    "measured": (0.7, 1.5),
    "benchmark": (0.4, 3.0),
    "guess": (0.2, 8.0),
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a kind of work takes on average."""

    count: int
    seconds_per_megapixel: float
    overhead_seconds: float


_AVERAGES: Final = ("count", "seconds_per_megapixel", "overhead_seconds")


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one step, as far as its time is concerned."""

    what: str
    megapixels: float
    """Of all frames together."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of work: the likely number, and between which two it will be."""

    seconds: float
    low: float
    high: float
    basis: Basis


class Measurements:
    """Moving averages of what work took, shared by all processes of a service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        step: JobStep,
        processors: Mapping[str, AnyProcessor],
        *,
        kind: str,
        frames: int,
        width: int,
        height: int,
        seconds: float,
        overhead: float | None = None,
    ) -> None:
        """Note what a step took: ``seconds`` in all, of them ``overhead`` before its first frame, where that is known.

        ``kind`` is image or video; ``width`` and ``height`` are those of a frame of the target.
        """
        megapixels = max(frames, 1) * width * height / 1e6
        if megapixels <= 0 or seconds <= 0:
            return
        before = min(seconds, OVERHEAD if overhead is None else overhead)
        what = signature(step, processors, kind)
        self._mix(what, (seconds - before) / megapixels, None if overhead is None else before)

    def of(self, what: str) -> Measurement | None:
        """What this work takes on average; None when it was never measured."""
        import sqlalchemy as sa

        from mien.db.tables import measurements

        with self._database.read() as connection:
            row = (
                connection.execute(sa.select(measurements).where(measurements.c.what == what))
                .mappings()
                .first()
            )
        return None if row is None else Measurement(*(row[name] for name in _AVERAGES))

    def _mix(self, what: str, per_megapixel: float, overhead: float | None) -> None:
        import sqlalchemy as sa

        from mien.db.tables import measurements
        from mien.service.blobs import insert_new

        values = {
            "what": what,
            "count": 1,
            "seconds_per_megapixel": per_megapixel,
            "overhead_seconds": OVERHEAD if overhead is None else overhead,
            "updated_at": time.time(),
        }
        with self._database.begin() as connection:
            if insert_new(connection, measurements, values):
                return
            row = measurements.c
            share = 1.0 / sa.case((row.count < WINDOW, row.count + 1.0), else_=float(WINDOW))
            changes: dict[str, Any] = {
                "count": row.count + 1,
                "seconds_per_megapixel": row.seconds_per_megapixel
                + (per_megapixel - row.seconds_per_megapixel) * share,
                "updated_at": values["updated_at"],
            }
            if overhead is not None:
                changes["overhead_seconds"] = row.overhead_seconds + (overhead - row.overhead_seconds) * share
            connection.execute(sa.update(measurements).where(row.what == what).values(**changes))


@dataclass(frozen=True)
class Estimator:
    """Estimates steps from measurements, else from figures of this package."""

    measurements: Measurements

    def estimate(self, works: Sequence[Work]) -> tuple[Estimate, list[Estimate]]:
        """The time of a job of these steps, and of each."""
        steps = [self.step(work) for work in works]
        order: Sequence[Basis] = ("measured", "benchmark", "guess")
        basis: Basis = max((step.basis for step in steps), key=order.index, default="guess")
        total = Estimate(
            round(sum(step.seconds for step in steps), 2),
            round(sum(step.low for step in steps), 2),
            round(sum(step.high for step in steps), 2),
            basis,
        )
        return total, steps

    def step(self, work: Work) -> Estimate:
        """The time of one step."""
        found = self.measurements.of(work.what)
        if found is not None:
            return _spread(
                found.overhead_seconds + found.seconds_per_megapixel * work.megapixels,
                "measured",
                found.count,
            )
        known = all(part in BENCHMARK for part in _parts(work.what))
        return _spread(
            OVERHEAD + _from_tables(work.what) * work.megapixels, "benchmark" if known else "guess"
        )


def _spread(seconds: float, basis: Basis, count: int = 0) -> Estimate:
    low, high = _SPREAD[basis]
    if count:
        high *= 1 + 1 / count
    return Estimate(round(seconds, 2), round(seconds * low, 2), round(seconds * high, 2), basis)


def works_of(
    steps: Sequence[JobStep], media_of: Callable[[str], Media], processors: Mapping[str, AnyProcessor]
) -> list[Work]:
    """The work of the steps of a job. ``media_of`` tells what an asset holds, by its id."""
    found: list[Work] = []
    kinds: list[str] = []
    for step in steps:
        kind, megapixels = _target(step, media_of)
        if step.target_path and step.target_path.startswith("step:"):
            before = int(step.target_path.removeprefix("step:"))
            kind, megapixels = kinds[before], found[before].megapixels
        kinds.append(kind)
        found.append(Work(signature(step, processors, kind), megapixels))
    return found


def _target(step: JobStep, media_of: Callable[[str], Media]) -> tuple[str, float]:
    target = step.target_path or ""
    if not target.startswith("asset:"):
        return "image", UNKNOWN_MEGAPIXELS
    media = media_of(target.removeprefix("asset:"))
    frames = max(media.frames, 1)
    start = min(max(step.args.get("trim_frame_start") or 0, 0), frames)
    end = min(max(step.args.get("trim_frame_end") or frames, start), frames)
    return media.kind, max(end - start, 1) * media.width * media.height / 1e6


def signature(step: JobStep, processors: Mapping[str, AnyProcessor], kind: str) -> str:
    """The kind of work that a step is: its processors with their models, and the kind of its target."""
    call = step.args.get("workflow")
    parts = [f"workflow {call['name']}"] if call else []
    for name in step.processors:
        chosen = step.args.get(f"{name}_model")
        default = _default_model(processors.get(name)) if chosen is None else None
        model = chosen or default
        parts.append(name if model is None else f"{name}={model}")
    return "+".join(parts) + f" on {kind}"


def _default_model(processor: AnyProcessor | None) -> str | None:
    """``auto`` for a processor that has models: which it takes depends on which are here."""
    if processor is None:
        return None
    return "auto" if any(item.name == "model" for item in declared(processor.Options)) else None


def _parts(what: str) -> list[str]:
    return what.rpartition(" on ")[0].split("+")


def _from_tables(what: str) -> float:
    return sum(BENCHMARK.get(part, GUESS) for part in _parts(what))
