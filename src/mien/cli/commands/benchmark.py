"""``benchmark``: how fast this machine works through a clip with a face, size by size."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.commands.job_runs import run_sections
from mien.cli.job_command import About, Call, Section
from mien.cli.job_options import BenchmarkOptions
from mien.cli.program import Program
from mien.cli.running import open_engine
from mien.cli.step_args import make_step, step_keys, step_sections
from mien.options import declared

if TYPE_CHECKING:
    from mien.pipeline.benchmark import Resolution, Row
    from mien.pipeline.progress import Cancel
    from mien.pipeline.step import Step


def _sections(program: Program) -> list[Section]:
    return [
        Section(BenchmarkOptions.title, declared(BenchmarkOptions)),
        *step_sections(program),
        *run_sections(program),
    ]


def benchmark(call: Call) -> None:
    """``benchmark``: a run that fails ends it with its error, so a refusal is never a fast run."""
    from mien.cli.run_options import settings_of
    from mien.pipeline.benchmark import machine

    mode = call.values.get("benchmark_mode", "warm")
    sizes = call.values.get("benchmark_resolutions", ("240p",))
    cycles = int(call.values.get("benchmark_cycle_count", 5))
    with tempfile.TemporaryDirectory(prefix="mien-benchmark-") as folder, _interruptible(call) as cancel:
        bench = _Bench(call, Path(folder), cycles, mode == "cold", cancel)
        rows = [bench.measure(size).as_data() for size in sizes]
    about = machine(settings_of(call.values, call.program.settings()))
    data = {"mode": mode, "processors": bench.processors, "machine": about, "results": rows}
    call.terminal.result(data, lambda: _table(call, rows))


@contextmanager
def _interruptible(call: Call) -> Iterator[Cancel]:
    from mien.cli.interrupt import stopping
    from mien.pipeline.progress import Cancel

    cancel = Cancel()
    with stopping(cancel, call.terminal.note):
        yield cancel


class _Bench:
    """One call of the command."""

    def __init__(self, call: Call, folder: Path, cycles: int, cold: bool, cancel: Cancel) -> None:
        self._call = call
        self._folder = folder
        self._cycles = cycles
        self._cold = cold
        self._cancel = cancel
        self._stored = make_step(call.program, call.values)
        self.processors = self._stored.processors

    def measure(self, size: Resolution) -> Row:
        """Run through a clip of that size as often as was asked for."""
        from mien.pipeline.benchmark import Row, measure_warm, time_run

        call = self._call
        call.terminal.note(f"measuring {size}")
        row, step = Row(size), self._step(size)
        if self._cold:
            for _ in range(self._cycles):
                with open_engine(call.program, call.terminal, call.values) as (engine, _):
                    time_run(engine, step, row, self._cancel)
            return row
        with open_engine(call.program, call.terminal, call.values) as (engine, _):
            measure_warm(engine, step, row, self._cycles, self._cancel)
        return row

    def _step(self, size: Resolution) -> Step:
        from mien.jobs.recipe import options_of
        from mien.pipeline.benchmark import bench_step, portraits_of

        program = self._call.program
        portraits = portraits_of(program.store(program.settings()))
        options = options_of(self._stored, step_keys(program))
        return bench_step(portraits, self._folder, size, self.processors, options)


COLUMNS = ("target_path", "cycle_count", "average_run", "fastest_run", "slowest_run", "relative_fps")


def _table(call: Call, rows: list[dict[str, Any]]) -> None:
    call.terminal.table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


COMMANDS = (
    About(
        "benchmark",
        "Measure how fast clips of several sizes are worked on.",
        benchmark,
        _sections,
        details="All analysis is done as in a real run; seconds are those of whole runs, from checks to the file.",
    ),
)
"""The command of this module."""
