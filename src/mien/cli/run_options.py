"""Options of the run rather than of the step: devices, threads, downloads; keys are FaceFusion's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ValidationError

from mien.errors import OptionError
from mien.options import Declared, Options, option
from mien.settings import Settings

Provider = Literal["cuda", "tensorrt", "rocm", "migraphx", "coreml", "openvino", "qnn", "directml", "cpu"]


class ExecutionOptions(Options):
    """Where models run."""

    group: ClassVar[str] = "execution"
    section: ClassVar[str] = "execution"
    title: ClassVar[str] = "Execution"

    providers: tuple[Provider, ...] | None = option(
        None, help="Execution providers in order of preference; the environment's, else cpu, when unset."
    )
    device_ids: tuple[int, ...] | None = option(
        None, ge=0, help="Numbers of the devices to run on.", advanced=True
    )
    thread_count: int | None = option(
        None, ge=1, le=256, help="Frames worked on at once; one per core when unset."
    )
    precision: Literal["exact", "fast"] | None = option(
        None,
        key="precision",
        help="exact: float32 as trained; fast: half precision where that is faster.",
    )


class DownloadOptions(Options):
    """Where models come from."""

    group: ClassVar[str] = "download"
    section: ClassVar[str] = "download"
    title: ClassVar[str] = "Downloads"

    providers: tuple[Literal["github", "huggingface"], ...] | None = option(
        None, help="Model hubs in the order in which they are tried.", advanced=True
    )


class MemoryOptions(Options):
    """How much memory is used."""

    section: ClassVar[str] = "memory"
    title: ClassVar[str] = "Memory"

    video_memory_strategy: Literal["strict", "moderate", "tolerant"] | None = option(
        None,
        help="Models that a step lets go of when it ends: strict: all, moderate: those of its processors, tolerant: "
        "none; the environment's, else tolerant, when unset.",
        advanced=True,
    )
    system_memory_limit: int = option(
        0,
        ge=0,
        le=128,
        help="Stop rather than use more memory than this; 0: no limit.",
        unit="GB",
        advanced=True,
    )


class MiscOptions(Options):
    """What the program says while it works."""

    section: ClassVar[str] = "misc"
    title: ClassVar[str] = "Messages"

    log_level: Literal["error", "warn", "info", "debug"] = option(
        "info", help="error: as --quiet; debug: as --debug.", advanced=True
    )


class PathOptions(Options):
    """The files of a step, as flags."""

    section: ClassVar[str] = "paths"
    title: ClassVar[str] = "Files"

    source_paths: tuple[str, ...] | None = option(
        None, help="Pictures of the face to put in (audio for lip sync)."
    )
    target_path: str | None = option(None, help="The picture or video to work on.")
    output_path: str | None = option(None, help="Where the result goes.")
    temp_path: str | None = option(
        None, help="Folder for the finished parts of unfinished videos.", advanced=True
    )


PROGRAM_GROUPS: tuple[type[Options], ...] = (
    ExecutionOptions,
    DownloadOptions,
    MemoryOptions,
    MiscOptions,
)
"""Groups that tell how to run, not what to do."""

SHORT: Mapping[str, str] = {
    "source_paths": "-s",
    "target_path": "-t",
    "output_path": "-o",
    "source_pattern": "-s",
    "target_pattern": "-t",
    "output_pattern": "-o",
}
"""The only short flags there are; a command takes either paths or patterns."""

_SETTING: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "execution_providers": ("providers", tuple),
    "execution_device_ids": ("device_ids", tuple),
    "execution_thread_count": ("threads", int),
    "precision": ("precision", str),
    "video_memory_strategy": ("memory_strategy", str),
    "download_providers": ("download_providers", tuple),
    "temp_path": ("work_dir", Path),
}


def processors_option(names: tuple[str, ...]) -> Declared:
    """The option that lists the processors of a step; ``names`` are those that are installed."""
    return Declared(
        group="",
        section="processors",
        name="processors",
        key="processors",
        flag="--processors",
        kind="str",
        many=True,
        optional=True,
        choices=names,
        default=None,
        ge=None,
        le=None,
        step=None,
        unit=None,
        advanced=False,
        help="What is done to each frame, in this order.",
    )


def settings_of(values: Mapping[str, Any], base: Settings) -> Settings:
    """The settings of a run: ``base`` (the environment's) with what flags and ini file say.

    Raises OptionError for a combination that the settings refuse.
    """
    changes = {
        name: convert(values[key]) for key, (name, convert) in _SETTING.items() if values.get(key) is not None
    }
    try:
        return Settings.model_validate({**base.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise OptionError(f"The setting {first['loc'][0]} cannot be used: {first['msg']}.") from None
