"""Options of the commands that work on jobs; keys, sections and defaults are FaceFusion's."""

from __future__ import annotations

from typing import ClassVar, Literal

from mien.cli.run_options import PROGRAM_GROUPS, PathOptions
from mien.options import Declared, Options, declared, option

Resolution = Literal["240p", "360p", "540p", "720p", "1080p", "1440p", "2160p"]


class JobsOptions(Options):
    """Where jobs are kept."""

    section: ClassVar[str] = "paths"
    title: ClassVar[str] = "Jobs"

    jobs_path: str = option(".jobs", help="Folder of the job files, or the URL of a database.")


class HaltOptions(Options):
    """When to stop."""

    section: ClassVar[str] = "misc"
    title: ClassVar[str] = "Jobs"

    halt_on_error: bool = option(False, help="Stop at the first one that fails.")


class WorkerOptions(Options):
    """How many at once."""

    section: ClassVar[str] = "execution"
    title: ClassVar[str] = "Jobs"

    workers: int = option(1, ge=1, le=64, help="Jobs that are run at the same time, with shared models.")


class PatternOptions(Options):
    """The files of a batch."""

    section: ClassVar[str] = "patterns"
    title: ClassVar[str] = "Files"

    source_pattern: str | None = option(
        None, help="Pattern of the sources, such as 'faces/*.jpg'; each is combined with each target."
    )
    target_pattern: str | None = option(None, help="Pattern of the targets; quote it.")
    output_pattern: str | None = option(
        None,
        help="Where results go, with {index}, {source_name}, {target_name} and {target_extension} filled in.",
    )


class DownloadScopeOptions(Options):
    """How much is downloaded."""

    group: ClassVar[str] = "download"
    section: ClassVar[str] = "download"
    title: ClassVar[str] = "Downloads"

    scope: Literal["lite", "full"] = option("lite", help="full: all models for deep swapping, not only some.")


class BenchmarkOptions(Options):
    """What is measured."""

    group: ClassVar[str] = "benchmark"
    section: ClassVar[str] = "benchmark"
    title: ClassVar[str] = "Benchmark"

    mode: Literal["warm", "cold"] = option(
        "warm", help="warm: one run before that does not count; cold: models are loaded anew for each run."
    )
    resolutions: tuple[Resolution, ...] = option(("240p",), help="Sizes of the clips.")
    cycle_count: int = option(5, ge=1, le=10, step=1, help="Runs for each size.")


class InterfaceOptions(Options):
    """The browser application."""

    section: ClassVar[str] = "uis"
    title: ClassVar[str] = "Studio"

    open_browser: bool = option(True, help="Open the page in the browser.")
    ui_layouts: tuple[Literal["benchmark", "default", "jobs", "webcam"], ...] = option(
        ("default",), help="Accepted for FaceFusion's command lines."
    )
    ui_workflow: Literal["instant_runner", "job_runner", "job_manager"] = option(
        "instant_runner", help="Accepted for FaceFusion's command lines."
    )


class LegacyOptions(Options):
    """What older command lines say."""

    section: ClassVar[str] = "frame_extraction"
    title: ClassVar[str] = "Part of the target"

    keep_temp: bool = option(
        False,
        help="Accepted for FaceFusion 3.5's command lines; there are no temporary frames.",
        advanced=True,
    )


def only(group: type[Options], *keys: str) -> tuple[Declared, ...]:
    """Some options of a group."""
    return tuple(item for item in declared(group) if item.key in keys)


FILES = ("source_paths", "target_path", "output_path")
LOG: tuple[Declared, ...] = tuple(
    item for group in PROGRAM_GROUPS for item in declared(group) if item.key == "log_level"
)
TEMP = only(PathOptions, "temp_path")
EVERYWHERE: tuple[type[Options], ...] = (
    *PROGRAM_GROUPS,
    PathOptions,
    JobsOptions,
    HaltOptions,
    WorkerOptions,
    PatternOptions,
    DownloadScopeOptions,
    BenchmarkOptions,
    InterfaceOptions,
    LegacyOptions,
)
"""Groups that some command reads, so that their keys in an ini file are no mistake."""
