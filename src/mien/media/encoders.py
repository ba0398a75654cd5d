"""Encoders: which ones open on this machine, what each container holds, and how quality and preset are
said to each.

Quality 0 to 100 and the preset names are those of FaceFusion, linear between the ends of each encoder's
own scale.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

import av.error
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.codec.context import CodecContext

from mien.errors import OptionError, ProviderError, UnsupportedMedia
from mien.media.writable import CONTAINERS

Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]

PRESETS: Final[tuple[Preset, ...]] = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip


_CPU_AVX512F: Final = 13
"""OpenCV's number of the processor feature (CV_CPU_AVX_512F)."""


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """An encoder that has been opened once on this machine."""

    name: str
    kind: Literal["video", "audio"]
    codec: str
    hardware: bool = False
    alpha: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The encoder to use, and a sentence when it is not the one that was asked for."""

    name: str
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class _Video:
    """What is particular about one video encoder."""

    codec: str
    options: Callable[[int, int], Mapping[str, str]]  # quality 0–100, index of the preset
    pixel_format: str = "yuv420p"
    alpha_format: str | None = None
    hardware: bool = False


def _scale(quality: int, low: float, high: float) -> int:
    """Linear from ``low`` at 0 to ``high`` at 100, rounded half to even."""
    return round(low + (high - low) * quality / 100)


def _x26x(quality: int, preset: int) -> dict[str, str]:
    return {"crf": str(_scale(quality, 51, 0)), "preset": PRESETS[preset]}


def _x264(quality: int, preset: int) -> dict[str, str]:
    return {**_x26x(quality, preset), **_repeatable()}


@functools.cache
def _repeatable() -> Mapping[str, str]:
    """What x264 needs so that equal pictures always give an equal stream.

    Its AVX-512 code for macroblock trees gives other results each time at some widths (848 and 854, not 1280;
    measured), so it is kept to AVX2 on processors that have both.
    """
    import cv2

    return {"x264-params": "asm=avx2"} if cv2.checkHardwareSupport(_CPU_AVX512F) else {}


def _x265(quality: int, preset: int) -> dict[str, str]:
    # x265 prints its settings to the standard error stream unless it is told not to, and writes processor and number
    # of threads into the head of the stream, so that parts from two machines would not fit together.
    return {**_x26x(quality, preset), "x265-params": "log-level=none:info=0"}


def _vp9(quality: int, preset: int) -> dict[str, str]:
    speed, deadline = (
        ((8, "realtime"), (7, "realtime"), (6, "realtime"))[preset] if preset < 3 else (8 - preset, "good")
    )
    return {
        "crf": str(_scale(quality, 63, 0)),
        "b": "0",
        "deadline": deadline,
        "cpu-used": str(speed),
        "row-mt": "1",
        "auto-alt-ref": "0",  # hidden reference frames cannot carry alpha
    }


def _svtav1(quality: int, preset: int) -> dict[str, str]:
    return {"crf": str(max(_scale(quality, 63, 0), 1)), "preset": str((12, 11, 10, 9, 8, 7, 6, 5, 4)[preset])}


def _nvenc(quality: int, preset: int) -> dict[str, str]:
    name = "fast" if preset < 5 else "medium" if preset == 5 else "slow"
    return {"rc": "vbr", "cq": str(_scale(quality, 51, 0)), "b": "0", "preset": name}


def _amf(quality: int, preset: int) -> dict[str, str]:
    name = "speed" if preset < 3 else "balanced" if preset < 6 else "quality"
    level = str(_scale(quality, 51, 0))
    return {"rc": "cqp", "qp_i": level, "qp_p": level, "qp_b": level, "quality": name}


def _qsv(quality: int, preset: int) -> dict[str, str]:
    return {"global_quality": str(max(_scale(quality, 51, 0), 1)), "preset": PRESETS[max(preset, 2)]}


def _videotoolbox(quality: int, preset: int) -> dict[str, str]:
    return {"b": f"{_scale(quality, 1024, 50512)}k"}


def _lossless(quality: int, preset: int) -> dict[str, str]:
    return {}


def _prores(quality: int, preset: int) -> dict[str, str]:
    return {"vendor": "apl0", "bits_per_mb": str(_scale(quality, 200, 8000))}


_VIDEO: Final[dict[str, _Video]] = {
    "libx264": _Video("h264", _x264),
    "libx264rgb": _Video("h264", _x264, "bgr24"),
    "libx265": _Video("hevc", _x265),
    "libvpx-vp9": _Video("vp9", _vp9, alpha_format="yuva420p"),
    "libsvtav1": _Video("av1", _svtav1),
    "h264_nvenc": _Video("h264", _nvenc, hardware=True),
    "hevc_nvenc": _Video("hevc", _nvenc, hardware=True),
    "av1_nvenc": _Video("av1", _nvenc, hardware=True),
    "h264_amf": _Video("h264", _amf, hardware=True),
    "hevc_amf": _Video("hevc", _amf, hardware=True),
    "h264_qsv": _Video("h264", _qsv, "nv12", hardware=True),
    "hevc_qsv": _Video("hevc", _qsv, "nv12", hardware=True),
    "h264_videotoolbox": _Video("h264", _videotoolbox, hardware=True),
    "hevc_videotoolbox": _Video("hevc", _videotoolbox, hardware=True),
    "prores_ks": _Video("prores", _prores, "yuv422p10le", "yuva444p10le"),
    "ffv1": _Video("ffv1", _lossless, "bgr0", "bgra"),
    "rawvideo": _Video("rawvideo", _lossless),
}

_AUDIO: Final[dict[str, str]] = {
    "flac": "flac",
    "aac": "aac",
    "libmp3lame": "mp3",
    "libopus": "opus",
    "libvorbis": "vorbis",
    "pcm_s16le": "pcm_s16le",
    "pcm_s32le": "pcm_s32le",
}


_ALPHA: Final = {"webm": "libvpx-vp9", "mkv": "libvpx-vp9", "mov": "prores_ks"}


def available() -> tuple[EncoderInfo, ...]:
    """The video and audio encoders that really open here, in the order of the options' choices."""
    video = tuple(
        EncoderInfo(name, "video", entry.codec, entry.hardware, entry.alpha_format is not None)
        for name, entry in _VIDEO.items()
        if opens(name)
    )
    return video + tuple(EncoderInfo(name, "audio", codec) for name, codec in _AUDIO.items() if opens(name))


@functools.cache
def opens(name: str) -> bool:
    """Whether an encoder opens: tried once with a small picture, since drivers decide and names say
    nothing.
    """
    try:
        context = CodecContext.create(name, "w")
        _prepare(context, name)
        context.open()
    except (av.error.FFmpegError, UnknownCodecError, ValueError):
        return False
    return True


def choose(container: str, wanted: str | None = None, *, alpha: bool = False) -> Choice:
    """The video encoder for a container (a key of CONTAINERS).

    A wanted encoder whose codec the container cannot hold is replaced, with a notice. Raises
    ProviderError when the wanted one, or every possible one, does not open here, OptionError for an
    unknown name, and UnsupportedMedia when alpha is needed in a container without it.
    """
    codecs = CONTAINERS[container].video
    if alpha:
        return _choose_alpha(container, wanted)
    if wanted is not None:
        entry = _video(wanted)
        if entry.codec in codecs:
            _require(wanted)
            return Choice(wanted)
    default = next((name for name, e in _by_preference(codecs) if opens(name)), None)
    if default is None:
        raise ProviderError(f"No encoder for .{container} files opens on this machine.")
    notice = wanted and f"{wanted} cannot be stored in .{container} files; {default} was used instead."
    return Choice(default, notice)


def choose_audio(container: str, wanted: str | None = None) -> Choice:
    """The audio encoder for a container; a wanted one that it cannot hold is replaced, with a notice."""
    codecs = CONTAINERS[container].audio
    if wanted is not None:
        if wanted not in _AUDIO:
            raise OptionError(f"{wanted} is not an audio encoder; choose from {', '.join(_AUDIO)}.")
        if _AUDIO[wanted] in codecs:
            _require(wanted)
            return Choice(wanted)
    default = next(
        (name for codec in codecs for name, c in _AUDIO.items() if c == codec and opens(name)), None
    )
    if default is None:
        raise ProviderError(f"No audio encoder for .{container} files opens on this machine.")
    notice = wanted and f"{wanted} cannot be stored in .{container} files; {default} was used instead."
    return Choice(default, notice)


def video_codec(name: str) -> str:
    """Codec that a video encoder writes: h264 for libx264; raises OptionError for an unknown encoder."""
    return _video(name).codec


def video_options(name: str, quality: int, preset: str) -> dict[str, str]:
    """The encoder's own options for a quality of 0 to 100 and a preset name."""
    if not 0 <= quality <= 100:
        raise OptionError(f"The quality of a video is 0 to 100, not {quality}.")
    if preset not in PRESETS:
        raise OptionError(f"{preset} is not a preset; choose from {', '.join(PRESETS)}.")
    if name == "libsvtav1":
        _silence_svt()
    return dict(_video(name).options(quality, PRESETS.index(preset)))


def pixel_format(name: str, *, alpha: bool = False) -> str:
    """The pixel format that an encoder is given unless another one is asked for."""
    entry = _video(name)
    if not alpha:
        return entry.pixel_format
    if entry.alpha_format is None:
        raise UnsupportedMedia(f"{name} cannot store transparency; use libvpx-vp9 or prores_ks.")
    return entry.alpha_format


def _choose_alpha(container: str, wanted: str | None) -> Choice:
    default = _ALPHA.get(container)
    if default is None:
        known = ", ".join(f".{name}" for name in _ALPHA)
        raise UnsupportedMedia(f".{container} files cannot hold transparency; use one of {known}.")
    if wanted is not None:
        entry = _video(wanted)
        if entry.alpha_format is not None and entry.codec in CONTAINERS[container].video:
            default = wanted
    _require(default)
    differs = wanted is not None and wanted != default
    return Choice(
        default, f"{wanted} cannot store transparency; {default} was used instead." if differs else None
    )


def _by_preference(codecs: tuple[str, ...]) -> list[tuple[str, _Video]]:
    entries = [
        (name, entry) for name, entry in _VIDEO.items() if entry.codec in codecs and name != "libx264rgb"
    ]
    return sorted(entries, key=lambda item: (codecs.index(item[1].codec), item[1].hardware))


def _video(name: str) -> _Video:
    entry = _VIDEO.get(name)
    if entry is None:
        raise OptionError(f"{name} is not a video encoder; choose from {', '.join(_VIDEO)}.")
    return entry


def _require(name: str) -> None:
    if not opens(name):
        raise ProviderError(f"The encoder {name} does not open on this machine.")


def _prepare(context: Any, name: str) -> None:
    if name in _AUDIO:
        context.sample_rate = 48000
        context.layout = "stereo"
        formats = Codec(name, "w").audio_formats
        context.format = formats[0].name if formats else "s16"
        return
    context.width, context.height = 256, 256
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.pix_fmt = _VIDEO[name].pixel_format
    context.options = video_options(name, 50, "veryfast")


def _silence_svt() -> None:
    # The library prints its settings to the standard error stream; it has no other switch. 1: errors only.
    os.environ.setdefault("SVT_LOG", "1")
