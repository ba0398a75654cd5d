"""Which queue a job waits in, so that pictures never wait for a video, and what a worker serves of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mien.errors import AssetMissing, OptionError
from mien.jobs import states
from mien.jobs.engine import Lane
from mien.jobs.rows import JobRow
from mien.service.outputs import Known
from mien.service.scratch import ASSET, Keeps
from mien.service.settings import ServiceSettings
from mien.service.steps import COMFYUI, LOCAL, environment_of

PICTURES: Final = "pictures"
VIDEOS: Final = "videos"
PARTS: Final = "parts"
"""Parts of videos; the job that they belong to waits for them in another queue, or all could wait for each other."""
WORKFLOWS: Final = "workflows"
"""In settings, for all queues of steps that ComfyUI does. Each environment has one that is called as it is, so that
only those take its steps who know it."""
OTHER: Final = "other"
"""Downloads and archives."""
QUEUES: Final = (PICTURES, VIDEOS, PARTS, WORKFLOWS, OTHER)

SLOW_POLL: Final = 0.25
"""Seconds between two looks at queues whose tasks take long: looking costs."""
OTHERS_AT_ONCE: Final = 2
_NOWHERE: Final[Mapping[str, int]] = MappingProxyType({})


def lanes_of(settings: ServiceSettings, places: Mapping[str, int] = _NOWHERE) -> tuple[Lane, ...]:
    """The queues that a worker of these settings serves.

    ``places``: how many runs each ComfyUI environment takes at once, by its full name. Raises OptionError for a queue
    that there is not.
    """
    slow = max(settings.poll_seconds, SLOW_POLL)
    lanes = (
        Lane(PICTURES, settings.workers, settings.poll_seconds),
        Lane(VIDEOS, settings.video_workers, slow),
        Lane(PARTS, settings.video_workers, slow),
        *(Lane(name, at_once, slow) for name, at_once in places.items()),
        Lane(OTHER, OTHERS_AT_ONCE, 4 * slow),
    )
    unknown = sorted(set(settings.queues) - set(QUEUES))
    if unknown:
        raise OptionError(f"There is no queue {unknown[0]}; MIEN_QUEUES can name {', '.join(QUEUES)}.")
    return tuple(lane for lane in lanes if not settings.queues or _word(lane.name) in settings.queues)


def _word(queue: str) -> str:
    """How settings call a queue."""
    return WORKFLOWS if queue.startswith(COMFYUI) else queue


def queue_of(row: JobRow, assets: Keeps) -> str:
    """The queue of a job, by who does its next step, and by what its steps work on."""
    if row.kind not in ("faces", "workflow"):
        return OTHER
    due = next((step for step in row.job.steps if not states.is_done(step)), None)
    name = LOCAL if due is None else environment_of(row, due)
    if name.startswith(COMFYUI):
        return name
    targets = [step.target_path or "" for step in row.job.steps]
    return VIDEOS if any(_is_video(target, row.owner, assets) for target in targets) else PICTURES


def _is_video(target: str, owner: str, assets: Keeps) -> bool:
    if not target.startswith(ASSET):
        return Known.of_url(target).kind == "video"
    try:
        return assets.get(target.removeprefix(ASSET), owner).kind == "video"
    except AssetMissing:
        return False  # the run says so
