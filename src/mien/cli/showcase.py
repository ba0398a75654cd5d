"""What the demo makes besides swaps: a clip of a camera that moves over a portrait, a tone, a contact sheet."""

from __future__ import annotations

import math
import struct
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mien.types import Box, Frame

SIZE = (640, 480)
RATE = 25
SECONDS = 5
SAMPLE_RATE = 44_100
CHORD = (220.0, 277.18, 329.63)
"""Hertz: A major, from A3."""
PCM = bytes.fromhex("0100000000001000800000aa00389b71")
"""KSDATAFORMAT_SUBTYPE_PCM, the kind of samples in an extensible WAV header."""
CLOSEST = 2.4
"""Width of the narrowest view, in widths of the face's box."""
CELL = 300
"""Width of the pictures on the contact sheet, pixels."""
GAP = 8
LABEL = 26
GREY = (210, 210, 210)


def views(width: int, height: int, face: Box, count: int) -> Iterator[Box]:
    """``count`` views of a picture of that size, each 4:3: from all of it that fits, slowly, to a close-up of the face.

    The speed is even in the logarithm of the size, which looks steady, and eased at both ends.
    """
    aspect = SIZE[0] / SIZE[1]
    widest = min(width, height * aspect)
    closest = min(widest, max(face.width * CLOSEST, widest / 3))
    x, y = face.center
    for step in range(count):
        share = 0.5 - 0.5 * math.cos(math.pi * step / max(count - 1, 1))
        view = widest * (closest / widest) ** share
        # The camera drifts a little, so that the face moves in the picture too.
        left = x - view / 2 + 0.06 * view * math.sin(2 * math.pi * share)
        top = y - view / aspect * 0.48
        left = min(max(left, 0.0), width - view)
        top = min(max(top, 0.0), height - view / aspect)
        yield Box(left, top, left + view, top + view / aspect)


def through(picture: Frame, view: Box) -> Frame:
    """What a view shows, as a frame of 640×480."""
    scale = SIZE[0] / view.width
    # Pixel centres are at half integers: (x + 0.5) scaled, minus 0.5.
    shift = 0.5 * scale - 0.5
    matrix = np.array([[scale, 0, shift - view.x1 * scale], [0, scale, shift - view.y1 * scale]], np.float64)
    return np.asarray(
        cv2.warpAffine(picture, matrix, SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    )


def make_clip(picture: Frame, face: Box, output: Path) -> None:
    """Write a clip of 5 s, 640×480, 25 frames/s, H.264 with a soft chord as sound."""
    from mien.media.writer import VideoSpec, VideoWriter

    height, width = picture.shape[:2]
    with tempfile.TemporaryDirectory(prefix="mien-demo-") as name:
        folder = Path(name)
        silent, sound = folder / "silent.mp4", folder / "chord.wav"
        spec = VideoSpec(*SIZE, time_base=Fraction(1, RATE), rate=Fraction(RATE))
        with VideoWriter(silent, spec) as writer:
            for index, view in enumerate(views(width, height, face, RATE * SECONDS)):
                writer.write(through(picture, view), index)
        write_chord(sound)
        with_sound(silent, sound, output)


def write_chord(path: Path) -> None:
    """Write 5 s of a quiet chord that swells and fades, as WAV: 16-bit, mono."""
    time = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in CHORD) / len(CHORD)
    samples = (tones * np.sin(np.pi * time / SECONDS) ** 2 * 0.25 * 32767).astype("<i2").tobytes()
    # The extensible form of the header says which speaker the channel is for (4: the middle); the plain one does not.
    form = struct.pack("<HHIIHHHHI16s", 0xFFFE, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16, 22, 16, 4, PCM)
    chunks = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"data", samples)
    path.write_bytes(_chunk(b"RIFF", chunks))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content


def with_sound(silent: Path, sound: Path, output: Path) -> None:
    """Put a sound under a silent video; the pictures are copied as they are."""
    from mien.media.segments import AudioPlan, join, plan

    whole = plan(silent, seconds=2.0 * SECONDS)
    join([silent], whole, output, source=silent, audio=AudioPlan("replace", sound))


def frames_at(path: Path, shares: Sequence[float]) -> list[Frame]:
    """The frames of a video at these shares of its length (0 to 1)."""
    from mien.media.reader import VideoReader

    with VideoReader(path) as reader:
        count = RATE * SECONDS
        wanted = {round(share * (count - 1)) for share in shares}
        return [frame.image.copy() for frame in reader if frame.index in wanted]


def contact_sheet(rows: Sequence[Sequence[tuple[str, Frame]]]) -> Frame:
    """Pictures with their labels in rows, all of one width, on a dark ground."""
    heights = [max(_height(picture) for _, picture in row) for row in rows]
    columns = max(len(row) for row in rows)
    sheet = np.full(
        (GAP + sum(height + LABEL + GAP for height in heights), GAP + columns * (CELL + GAP), 3), 32, np.uint8
    )
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, (label, picture) in enumerate(row):
            left = GAP + column * (CELL + GAP)
            _place(sheet, picture, left, top)
            cv2.putText(
                sheet, label, (left, top + height + 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, GREY, 1, cv2.LINE_AA
            )
        top += height + LABEL + GAP
    return sheet


def _height(picture: Frame) -> int:
    return max(1, round(int(picture.shape[0]) * CELL / int(picture.shape[1])))


def _place(sheet: Frame, picture: Frame, left: int, top: int) -> None:
    height = _height(picture)
    interpolation = cv2.INTER_AREA if picture.shape[1] > CELL else cv2.INTER_CUBIC
    sheet[top : top + height, left : left + CELL] = cv2.resize(
        picture, (CELL, height), interpolation=interpolation
    )
