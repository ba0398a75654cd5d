"""A video: cut into segments, each worked on alone and kept when it is finished, then joined with the sound."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from mien._version import __version__
from mien.errors import UnsupportedMedia
from mien.faces.options import FrameDistributionOptions, SelectorOptions, TrackerOptions
from mien.faces.select import make_selector
from mien.media import encoders
from mien.media import segments as cutting
from mien.media.writer import VideoSpec, VideoWriter
from mien.pipeline.job import Job, Outcome
from mien.pipeline.segment import Scene, SegmentRun
from mien.pipeline.shots import WARM_UP, Resampler, Span
from mien.pipeline.work import Note, WorkArea, hash_of, open_area
from mien.types import Box, MediaInfo, VideoInfo


def run_video(job: Job) -> Outcome:
    """Work on a video, starting where an interrupted run of the same work ended."""
    video = _Video(job)
    root = job.settings.work_folder()
    waiting = "waiting for another run of the same step"
    with open_area(root, video.identity, cancel=job.cancel, on_wait=lambda: job.meter.say(waiting)) as area:
        outcome = video.run(area)
        area.remove()
    return outcome
