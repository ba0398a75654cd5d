"""mien: swap, edit, debug and anonymise faces in pictures and video.

    import mien

    mien.swap("me.jpg", "clip.mp4", "out.mp4")

    with mien.Engine() as engine:
        engine.run(mien.Step("party.jpg", "out.jpg", processors=("face_anonymizer",)))

Names are imported when they are first used, so that ``import mien`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mien._version import __version__

if TYPE_CHECKING:
    from mien.errors import (
        Canceled,
        InputError,
        MienError,
        ModelError,
        NoFace,
        OptionError,
        OutputError,
        ProviderError,
    )
    from mien.options import Options, option
    from mien.pipeline.engine import Engine, swap
    from mien.pipeline.people import Person
    from mien.pipeline.progress import Cancel, Progress
    from mien.pipeline.step import Result, Step
    from mien.processors.base import FrameContext, Processor, RunContext
    from mien.safety.marking import Marks, read_marks
    from mien.settings import Settings
    from mien.types import Box, Face, Frame, Landmarks, MediaInfo, Pose

__all__ = [
    "Box",
    "Cancel",
    "Canceled",
    "Engine",
    "Face",
    "Frame",
    "FrameContext",
    "InputError",
    "Landmarks",
    "Marks",
    "MediaInfo",
    "MienError",
    "ModelError",
    "NoFace",
    "OptionError",
    "Options",
    "OutputError",
    "Person",
    "Pose",
    "Processor",
    "Progress",
    "ProviderError",
    "Result",
    "RunContext",
    "Settings",
    "Step",
    "__version__",
    "option",
    "read_marks",
    "swap",
]

_HOMES = {
    "mien.errors": (
        "Canceled",
        "InputError",
        "MienError",
        "ModelError",
        "NoFace",
        "OptionError",
        "OutputError",
        "ProviderError",
    ),
    "mien.options": ("Options", "option"),
    "mien.pipeline.engine": ("Engine", "swap"),
    "mien.pipeline.people": ("Person",),
    "mien.pipeline.progress": ("Cancel", "Progress"),
    "mien.pipeline.step": ("Result", "Step"),
    "mien.processors.base": ("FrameContext", "Processor", "RunContext"),
    "mien.safety.marking": ("Marks", "read_marks"),
    "mien.settings": ("Settings",),
    "mien.types": ("Box", "Face", "Frame", "Landmarks", "MediaInfo", "Pose"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            value = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
