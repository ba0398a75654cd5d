"""The range of one segment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """The frames of a video with ``start_pts`` ≤ pts < ``end_pts``, in its own time base.

    ``first_index`` is the number of the first one in the whole video, ``frame_count`` how many packets
    say there are.
    """

    start_pts: int
    end_pts: int
    first_index: int
    frame_count: int
