"""Small videos for the tests of the pipeline: a green box that moves over a picture that changes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from mien.media.reader import VideoReader
from mien.types import Frame

SIZE = (160, 120)
RATE = 25
TICKS = 100
"""Ticks of the time base in the time of one frame."""


def picture(number: int, *, box: bool = True, blind: bool = False) -> Frame:
    """Frame ``number``; ``blind`` paints the corner red, which the fake analyser takes for darkness."""
    width, height = SIZE
    image = np.full((height, width, 3), 40, np.uint8)
    image[:, :, 0] = (np.arange(width) + number) % 256
    if box:
        x = (2 * number) % (width - 40)
        image[40:72, x : x + 32] = (0, 255, 0)
    if blind:
        image[:12, :12] = (0, 0, 255)
    return image


def make_clip(
    path: Path,
    frames: int = 100,
    *,
    gop: int = 10,
    sound: bool = True,
    times: Sequence[int] | None = None,
    boxes: bool = True,
    blind: Collection[int] = (),
) -> Path:
    """Write a clip at 25 frames a second; ``times`` (in 1/100 frames) makes it irregular."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE * TICKS)
        stream.codec_context.options = {"crf": "8", "preset": "ultrafast", "g": str(gop), "bf": "2"}
        audio: Any = container.add_stream("aac", rate=48000, layout="stereo") if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, box=boxes, blind=number in blind), "bgr24")
            frame.pts = times[number] if times else number * TICKS
            frame.time_base = Fraction(1, RATE * TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            add_tone(container, audio, frames / RATE)
    return path


def add_tone(container: Any, stream: Any, seconds: float) -> None:
    samples = (np.sin(np.arange(int(seconds * 48000)) * 2 * np.pi * 440 / 48000) * 8000).astype(np.int16)
    for start in range(0, len(samples) - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(np.repeat(samples[start : start + 1024], 2)[None], "s16", "stereo")
        frame.sample_rate, frame.pts = 48000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def decoded(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    with VideoReader(path) as reader:
        return [frame.pts * reader.video.time_base for frame in reader]


def frames_hash(path: Path) -> str:
    digest = hashlib.md5()
    for image in decoded(path):
        digest.update(image.tobytes())
    return digest.hexdigest()


def sound_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        return [
            (packet.pts * Fraction(packet.time_base.numerator, packet.time_base.denominator), bytes(packet))
            for packet in container.demux(audio=0)
            if packet.size and packet.pts is not None and packet.time_base is not None
        ]


def brightness(image: Frame) -> float:
    """Of the place of the box (in every frame), by its row's middle."""
    return float(image[50:60].mean())


def box_value(image: Frame, number: int) -> float:
    """Mean of the inside of the box of that frame."""
    x = (2 * number) % (SIZE[0] - 40)
    return float(image[46:66, x + 6 : x + 26].mean())
