"""Jobs that measure how fast a worker is: clips of several sizes, each worked on several times."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import Field

from mien.errors import InputError, JobExists, OptionError
from mien.jobs import states
from mien.jobs.job import Finished, Job, JobStep, now
from mien.jobs.recipe import options_of
from mien.jobs.rows import NewJob
from mien.options import declared
from mien.pipeline.benchmark import Resolution, Row, bench_step, machine, measure_warm, portraits_of
from mien.pipeline.progress import Progress
from mien.pipeline.registry import option_groups
from mien.service.attempt import Attempt
from mien.service.callers import Caller
from mien.service.checking import FILE_OPTIONS, Checker
from mien.service.problems import Problems
from mien.service.requests import OptionValue, Request
from mien.service.submitting import BENCHMARK, Submissions
from mien.settings import Settings

if TYPE_CHECKING:
    from mien.jobs.rows import JobRow
    from mien.models.store import ModelStore
    from mien.pipeline.engine import Engine
    from mien.service.asset_rows import Asset

SIZE: Final = "benchmark_resolutions"
CYCLES: Final = "benchmark_cycle_count"
"""Keys of a step's args, as in ini files."""
REPORT: Final = "benchmark.json"


class BenchmarkRequest(Request):
    """Measure how fast clips with a face are worked on. The picture is a portrait in the public domain."""

    resolutions: list[Resolution] = Field(
        default=["240p"], min_length=1, max_length=7, description="Sizes of the clips."
    )
    cycles: int = Field(
        default=5, ge=1, le=10, description="Runs for each size, after a first one that does not count."
    )
    processors: list[str] | None = Field(
        default=None, max_length=30, description="What is done; face_swapper unless said otherwise."
    )
    options: dict[str, OptionValue] = Field(default_factory=dict)


def submit_benchmark(
    request: BenchmarkRequest, caller: Caller, seed: str, checker: Checker, submissions: Submissions
) -> JobRow:
    """Store a job with one step for each size. Given twice with one seed it is still one job.

    Raises OptionError, Forbidden, InputError, what limits raise.
    """
    problems = Problems()
    processors = checker.chain(request.processors, problems, "processors")
    for name in processors:
        if name in checker.processors and checker.processors[name].source_kind == "audio":
            text = f"The processor {name} works by sound, of which the clips of a benchmark have none."
            problems.add("processors", InputError(text))
    for key in FILE_OPTIONS & request.options.keys():
        problems.add(
            f"options.{key}", OptionError(f"A benchmark takes no files of yours, so leave {key} out.")
        )
    options = checker.options({k: v for k, v in request.options.items() if k not in FILE_OPTIONS}, problems)
    problems.refuse()
    steps = tuple(
        JobStep({"processors": list(processors), SIZE: size, CYCLES: request.cycles, **options})
        for size in dict.fromkeys(request.resolutions)
    )
    job = states.submit(Job(f"job_{seed}", now(), steps=steps))
    try:
        return submissions.insert([NewJob(job, caller.owner, BENCHMARK)], caller)[0]
    except JobExists:
        return submissions.store.row(job.id, caller.owner)


class Stores(Protocol):
    """What is needed of the assets."""

    def store_file(self, path: Path, owner: str, name: str, origin: Any = "upload") -> Asset:
        """Put a file into the storage and give it to its owner."""


@dataclass(frozen=True)
class Benchmarks:
    """A KindRunner. What was measured is kept with the job, so that another worker goes on with the next size."""

    engine: Callable[[], Engine]
    engine_settings: Settings
    assets: Stores
    portraits: Callable[[ModelStore], tuple[Path, Path]] = portraits_of
    """Who is put in, and who is shown."""

    def run(self, attempt: Attempt, folder: Path) -> None:
        """Measure what is not measured, and store all figures. Raises what the engine raises, Canceled."""
        for index, step in enumerate(attempt.row.job.steps):
            attempt.cancel.raise_if_set()
            if not states.is_done(step):
                self._measure(attempt, index, step, folder)
        self._store(attempt, folder)

    def _measure(self, attempt: Attempt, index: int, step: JobStep, folder: Path) -> None:
        attempt.change(
            lambda job: states.start_step(job, index, ""), ("step", {"index": index, "status": "started"})
        )
        started = time.monotonic()
        engine, size, steps = self.engine(), step.args[SIZE], len(attempt.row.job.steps)
        work = bench_step(
            self.portraits(engine.models), folder, size, step.processors, _options_of(step, engine)
        )

        def report(progress: Progress) -> None:
            attempt.report(replace(progress, message=size), index, steps)

        row = Row(size)
        measure_warm(engine, work, row, int(step.args[CYCLES]), attempt.cancel, report)
        figures = row.as_data()
        frames = row.frames * len(row.seconds)
        finished = Finished(BENCHMARK, "", frames=frames, seconds=round(time.monotonic() - started, 3))
        attempt.change(
            lambda job: states.finish_step(job, index, finished),
            ("step", {"index": index, "status": "completed", "benchmark": figures}),
            external={**attempt.row.external, BENCHMARK: {**_measured(attempt.row), size: figures}},
        )

    def _store(self, attempt: Attempt, folder: Path) -> None:
        row = attempt.row
        measured, step = _measured(row), row.job.steps[0]
        report = {
            "mode": "warm",
            "processors": list(step.processors),
            "machine": machine(self.engine_settings),
            "results": [measured[step.args[SIZE]] for step in row.job.steps],
        }
        path = folder / REPORT
        path.write_text(json.dumps(report, indent=1))
        asset = self.assets.store_file(path, row.owner, REPORT, "result")
        attempt.change(results=[_record(asset, row.job)])


def _options_of(step: JobStep, engine: Engine) -> dict[str, Any]:
    from mien.pipeline.output_options import GROUPS

    groups = (*GROUPS, *option_groups(engine.processors))
    return dict(options_of(step, {item.key for group in groups for item in declared(group)}))


def _measured(row: JobRow) -> dict[str, Any]:
    return dict(row.external.get(BENCHMARK) or {})


def _record(asset: Asset, job: Job) -> dict[str, Any]:
    seconds = sum(step.finished.seconds for step in job.steps if step.finished is not None)
    return {
        "index": 0,
        "step": len(job.steps) - 1,
        "asset": asset.id,
        "name": asset.name,
        "content_type": asset.content_type,
        "size": asset.size,
        "kind": asset.kind,
        "seconds": round(seconds, 3),
    }
