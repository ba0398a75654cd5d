"""Options of reading the target and writing the output; keys and defaults are those of FaceFusion 3.8.1."""

from __future__ import annotations

from typing import ClassVar, Literal

from mien.faces.options import GROUPS as FACE_GROUPS
from mien.options import Options, option
from mien.processors.voice.options import VoiceOptions
from mien.safety.content import ContentOptions
from mien.safety.options import ConsentOptions, ProvenanceOptions

VideoEncoder = Literal[
    "libx264",
    "libx264rgb",
    "libx265",
    "libvpx-vp9",
    "libsvtav1",
    "h264_nvenc",
    "hevc_nvenc",
    "av1_nvenc",
    "h264_amf",
    "hevc_amf",
    "h264_qsv",
    "hevc_qsv",
    "h264_videotoolbox",
    "hevc_videotoolbox",
    "prores_ks",
    "ffv1",
    "rawvideo",
]
AudioEncoder = Literal["flac", "aac", "libmp3lame", "libopus", "libvorbis", "pcm_s16le", "pcm_s32le"]
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]


class FrameExtractionOptions(Options):
    """Which part of the target is worked on."""

    group: ClassVar[str] = ""
    section: ClassVar[str] = "frame_extraction"
    title: ClassVar[str] = "Part of the target"

    trim_frame_start: int | None = option(None, help="First frame to work on; the video begins there.")
    trim_frame_end: int | None = option(None, help="Frame to stop before.")
    temp_frame_format: Literal["bmp", "jpeg", "png", "tiff"] = option(
        "png", help="Accepted for compatibility; there are no temporary frames.", advanced=True
    )
    temp_pixel_format: Literal["bgr24", "bgra"] = option(
        "bgr24",
        help="Accepted for compatibility; transparency is kept where the output can hold it.",
        advanced=True,
    )


class OutputOptions(Options):
    """How the output is written."""

    group: ClassVar[str] = "output"
    section: ClassVar[str] = "output_creation"
    title: ClassVar[str] = "Output"

    image_quality: int = option(80, ge=0, le=100, step=1, help="Quality of JPEG, WebP and AVIF pictures.")
    image_scale: float = option(
        1.0, ge=0.25, le=8.0, step=0.25, help="Size of a picture relative to the target."
    )
    audio_encoder: AudioEncoder | None = option(
        None, help="Encoder of the sound; unset: the sound is copied where the output can hold it."
    )
    audio_quality: int = option(
        80, ge=0, le=100, step=1, help="Quality of the sound where it is encoded anew."
    )
    audio_volume: int = option(100, ge=0, le=100, step=1, help="Volume of the sound; 0 leaves it out.")
    video_encoder: VideoEncoder | None = option(
        None, help="Encoder of the video; unset: the usual one of the output's format."
    )
    video_preset: Preset = option("veryfast", help="How much time the encoder takes to save space.")
    video_quality: int = option(80, ge=0, le=100, step=1, help="Quality of the video.")
    video_scale: float = option(
        1.0, ge=0.25, le=8.0, step=0.25, help="Size of a video relative to the target."
    )
    video_fps: float | None = option(
        None,
        help="Frames per second, 1 to 60: frames are dropped or repeated; unset: the target's own timestamps.",
    )
    hdr: Literal["tonemap", "refuse"] = option(
        "tonemap",
        help="What to do with a video in high dynamic range: convert it to the ordinary one, or refuse it.",
    )
    marking: bool = option(
        True, help="Write into the output that it was changed by a program, and how; readable by machines."
    )

    @property
    def rate_limit(self) -> float | None:
        """The frame rate that was asked for, brought into 1 to 60."""
        return None if self.video_fps is None else min(max(self.video_fps, 1.0), 60.0)


class WorkflowOptions(Options):
    """How the work is done as a whole."""

    group: ClassVar[str] = "workflow"
    section: ClassVar[str] = "workflow"
    title: ClassVar[str] = "Workflow"

    mode: Literal["auto", "image-to-image", "image-to-video"] = option(
        "auto", help="The kind of target that is expected; auto takes it as it is."
    )
    strategy: Literal["disk", "memory"] = option(
        "memory", help="Accepted for compatibility; work is always done in memory.", advanced=True
    )
    compat: Literal["off", "facefusion"] = option(
        "off",
        key="compat",
        help="Repeat the arithmetic and the default models of FaceFusion 3.8.1, also where mien does better.",
        advanced=True,
    )
    analysis: Literal["exact", "fast"] = option(
        "exact",
        key="analysis",
        help="exact: downloaded networks look at every frame of a video; fast: at some frames, and the motion of the "
        "picture tells where faces are between them. Built-in models always follow faces.",
    )
    no_face: Literal["refuse", "keep"] = option(
        "refuse", help="A picture without a face to work on: refuse it, or write it as it is."
    )


GROUPS: tuple[type[Options], ...] = (
    *FACE_GROUPS,
    VoiceOptions,
    FrameExtractionOptions,
    OutputOptions,
    ProvenanceOptions,
    WorkflowOptions,
    ContentOptions,
    ConsentOptions,
)
"""The option groups that all steps share: of face analysis, of the pipeline itself, of content, marks and consent."""
