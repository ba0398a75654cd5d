"""Clips for tests, made on the spot: every frame carries its own number, so that none can be lost unnoticed.

``make_clip(path)`` writes 48 frames of 25 frames a second; everything else is a keyword. ``frame_number(image)`` reads
the number back from a picture, also after lossy encoding and quarter turns that were undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

BITS = 10
BLOCK = 16

_made: dict[str, bytes] = {}

_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND

_ENCODERS = {"webm": ("libvpx-vp9", "libopus"), "avi": ("mpeg4", "libmp3lame"), "ts": ("libx264", "aac")}
_FAST = {
    "libx264": {"preset": "ultrafast", "crf": "12"},
    "libx265": {"preset": "ultrafast", "crf": "12", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "0"},
}


def draw(number: int, width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    """A colourful picture (BGR) with ``number`` as a row of black and white blocks at the top left."""
    rows = np.linspace(60, 200, height)[:, None]
    columns = np.linspace(200, 60, width)[None, :]
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = rows
    image[..., 1] = columns
    image[..., 2] = (rows + columns) / 2
    left = number * 7 % max(width - 40, 1)
    image[height // 2 : height // 2 + 40, left : left + 40] = (40, 60, 220)
    for bit in range(BITS):
        image[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
    return image


def frame_number(image: NDArray[np.uint8]) -> int:
    """The number that ``draw`` put into a picture."""
    middle = BLOCK // 2
    return sum((int(image[middle, bit * BLOCK + middle].mean()) > 127) << bit for bit in range(BITS))


def make_clip(path: Path, **about: Any) -> Path:
    """Write a clip and return its path; the container goes by the extension. ``about`` are the keywords of
    ``_write_clip``; what was made before in this process is not encoded again.

    ``times`` are in ``time_base`` (default: constant ``rate``). ``rotation`` is the turn counter-clockwise that makes
    the frames upright: they are drawn upright and stored turned. ``matrix`` is what the pixels are made with
    (scaler's number: 1 BT.709, 5 BT.601), ``tags`` are attributes of the encoder (``colorspace``, ``color_trc``, …).
    ``audio`` names an encoder, or "auto".
    """
    key = f"{path.suffix} {sorted(about.items())}"
    if key in _made:
        path.write_bytes(_made[key])
    else:
        _write_clip(path, **about)
        _made[key] = path.read_bytes()
    return path


def _write_clip(
    path: Path,
    *,
    frames: int = 48,
    size: tuple[int, int] = (320, 240),
    time_base: Fraction | None = None,
    times: Sequence[int] | None = None,
    rate: Fraction = Fraction(25),
    encoder: str | None = None,
    pixel_format: str = "yuv420p",
    gop: int = 12,
    rotation: int = 0,
    sample_aspect: Fraction = Fraction(1),
    matrix: int | None = None,
    tags: Mapping[str, int] | None = None,
    alpha: bool = False,
    interlaced: bool = False,
    audio: str | None = None,
    audio_seconds: float | None = None,
    options: Mapping[str, str] | None = None,
) -> None:
    suffix = path.suffix.lstrip(".")
    default_video, default_audio = _ENCODERS.get(suffix, ("libx264", "aac"))
    name = encoder or default_video
    if time_base is None:
        # AVI and MPEG count frames; everything else gets the clock that MP4 files usually have.
        time_base = 1 / rate if suffix in ("avi", "mpg") else Fraction(1, 12800)
    times = times if times is not None else [round(n / rate / time_base) for n in range(frames)]
    with av.open(
        str(path), "w", options={"movflags": "+faststart"} if suffix in ("mp4", "mov") else {}
    ) as container:
        stream: Any = container.add_stream(name, rate=rate)
        turned = rotation in (90, 270)
        stream.width, stream.height = size[::-1] if turned else size
        stream.pix_fmt = pixel_format
        stream.time_base = time_base
        context = stream.codec_context
        context.time_base, context.gop_size = time_base, gop
        context.sample_aspect_ratio = sample_aspect
        context.options = {**_FAST.get(name, {}), **(options or {})}
        if interlaced:
            context.flags |= 1 << 18 | 1 << 29  # interlaced transform and motion
        for key, value in (tags or {}).items():
            setattr(context, key, value)
        if rotation:
            stream.set_display_rotation(rotation)
        if alpha:
            stream.metadata["alpha_mode"] = "1"
        sound = _add_sound(container, default_audio if audio == "auto" else audio)
        for packet in _video(stream, times, size, rotation, pixel_format, time_base, matrix, alpha):
            container.mux(packet)
        if sound is not None:
            length = audio_seconds or float(times[-1] * time_base + 1 / rate)
            for packet in _sound(sound, length):
                container.mux(packet)


def sine(seconds: float, rate: int = 48000) -> NDArray[np.float32]:
    """Two channels of a tone whose pitch rises, so that every moment sounds different: 2×n float32."""
    t = np.arange(round(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * (300 + 100 * t) * t)
    return np.stack((wave, wave * 0.5)).astype(np.float32)


def _video(
    stream: Any,
    times: Sequence[int],
    size: tuple[int, int],
    rotation: int,
    pixel_format: str,
    time_base: Fraction,
    matrix: int | None,
    alpha: bool,
) -> Any:
    reformatter = VideoReformatter()
    for number, time in enumerate(times):
        image = draw(number, *size)
        stored = np.ascontiguousarray(np.rot90(image, -rotation // 90))
        if alpha:
            ramp = np.linspace(0, 255, stored.shape[1]).astype(np.uint8)
            stored = np.dstack((stored, np.broadcast_to(ramp, stored.shape[:2])))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), "bgra" if alpha else "bgr24")
        made = {} if matrix is None else {"dst_colorspace": matrix, "dst_color_range": 1}
        frame = reformatter.reformat(frame, format=pixel_format, interpolation=_EXACT, **made)
        frame.pts, frame.time_base = time, time_base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _add_sound(container: Any, name: str | None) -> Any:
    if name is None:
        return None
    stream = container.add_stream(name, rate=48000)
    stream.codec_context.layout = "stereo"
    return stream


def _sound(stream: Any, seconds: float) -> Any:
    context = stream.codec_context
    resampler = av.AudioResampler(format=context.format, layout="stereo", rate=48000)
    wave = sine(seconds)
    step = context.frame_size or 1024
    for at in range(0, wave.shape[1], step):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, at : at + step]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, at, Fraction(1, 48000)
        for ready in resampler.resample(frame):
            ready.pts, ready.time_base = at, Fraction(1, 48000)
            yield from stream.encode(ready)
    yield from stream.encode(None)


def make_sound(path: Path, *, encoder: str = "pcm_s16le", seconds: float = 2.0) -> Path:
    """Write ``sine(seconds)`` into a sound file."""
    with av.open(str(path), "w", format={"m4a": "ipod", "aac": "adts"}.get(path.suffix[1:])) as container:
        for packet in _sound(_add_sound(container, encoder), seconds):
            container.mux(packet)
    return path
