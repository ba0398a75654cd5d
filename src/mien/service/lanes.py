"""Which queue a job waits in, so that pictures never wait for a video, and what a worker serves of each."""

from __future__ import annotations

from typing import Final

from mien.errors import AssetMissing, OptionError
from mien.jobs.engine import Lane
from mien.jobs.rows import JobRow
from mien.service.outputs import Known
from mien.service.scratch import ASSET, Keeps
from mien.service.settings import ServiceSettings

PICTURES: Final = "pictures"
VIDEOS: Final = "videos"
PARTS: Final = "parts"
"""Parts of videos; the job that they belong to waits for them in another queue, or all could wait for each other."""
WORKFLOWS: Final = "workflows"
"""Steps that another program does."""
OTHER: Final = "other"
"""Downloads and archives."""
QUEUES: Final = (PICTURES, VIDEOS, PARTS, WORKFLOWS, OTHER)

SLOW_POLL: Final = 0.25
"""Seconds between two looks at queues whose tasks take long: looking costs."""
WORKFLOWS_AT_ONCE: Final = 16
OTHERS_AT_ONCE: Final = 2


def lanes_of(settings: ServiceSettings) -> tuple[Lane, ...]:
    """The queues that a worker of these settings serves. Raises OptionError for a queue that there is not."""
    slow = max(settings.poll_seconds, SLOW_POLL)
    lanes = (
        Lane(PICTURES, settings.workers, settings.poll_seconds),
        Lane(VIDEOS, settings.video_workers, slow),
        Lane(PARTS, settings.video_workers, slow),
        Lane(WORKFLOWS, WORKFLOWS_AT_ONCE, 2 * slow),
        Lane(OTHER, OTHERS_AT_ONCE, 4 * slow),
    )
    unknown = sorted(set(settings.queues) - set(QUEUES))
    if unknown:
        raise OptionError(f"There is no queue {unknown[0]}; MIEN_QUEUES can name {', '.join(QUEUES)}.")
    return tuple(lane for lane in lanes if not settings.queues or lane.name in settings.queues)


def queue_of(row: JobRow, assets: Keeps) -> str:
    """The queue of a job, by what its steps work on."""
    if row.kind not in ("faces", "workflow"):
        return OTHER
    if row.kind == "workflow" or any(step.args.get("workflow") for step in row.job.steps):
        return WORKFLOWS
    targets = [step.target_path or "" for step in row.job.steps]
    return VIDEOS if any(_is_video(target, row.owner, assets) for target in targets) else PICTURES


def _is_video(target: str, owner: str, assets: Keeps) -> bool:
    if not target.startswith(ASSET):
        return Known.of_url(target).kind == "video"
    try:
        return assets.get(target.removeprefix(ASSET), owner).kind == "video"
    except AssetMissing:
        return False  # the run says so
