"""The times of all frames of a video, from its packets: nothing is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from mien.errors import CorruptMedia, MediaTooLarge
from mien.media.container import fraction, open_input, video_stream
from mien.media.sniff import Sniffed, sniff


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """Rising times of all frames that are shown, and of the key frames among them, in ``time_base``."""

    times: tuple[int, ...]
    keys: tuple[int, ...]
    time_base: Fraction


def read_index(path: Path, sniffed: Sniffed | None = None, *, most: int | None = None) -> FrameIndex:
    """Read the packets of the video stream; a torn end is not an error.

    Raises CorruptMedia when there is no frame at all, MediaTooLarge as soon as there are more than ``most``, and what
    ``open_input`` raises.
    """
    sniffed = sniffed or sniff(path)
    times: list[int] = []
    keys: list[int] = []
    with open_input(path, sniffed) as container:
        stream = video_stream(container, path)
        try:
            for packet in container.demux(stream):
                time = timestamp(packet, sniffed.format)
                if time is None or not packet.size or packet.is_discard:
                    continue
                times.append(time)
                if most is not None and len(times) > most:
                    raise MediaTooLarge(f"{path} has more than {most} frames; cut it.")
                if packet.is_keyframe:
                    keys.append(time)
        except av.error.FFmpegError:
            pass
        time_base = fraction(stream.time_base)
    if not times:
        raise CorruptMedia(f"{path} holds no frame.")
    return FrameIndex(tuple(sorted(set(times))), tuple(sorted(set(keys))), time_base)


def timestamp(packet: av.Packet[Any], format: str) -> int | None:
    """When the frame of a packet is shown. AVI stores no such times: there the order of packets is
    all there is.
    """
    return packet.dts if format == "avi" or packet.pts is None else packet.pts
