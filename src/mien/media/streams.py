"""What the streams of a video or sound file hold, looked at with FFmpeg."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mien.errors import CorruptMedia, UnsupportedMedia
from mien.media.color import is_hdr
from mien.media.container import fraction, input_errors, open_input, tags_of, video_stream
from mien.media.index import FrameIndex, read_index
from mien.media.orientation import UPRIGHT, Orientation, from_display_matrix
from mien.media.probe import check_pixels
from mien.media.sniff import Sniffed
from mien.types import AudioInfo, ColorTags, MediaInfo, VideoInfo


def stream_info(path: Path, sniffed: Sniffed, max_pixels: int, max_frames: int | None = None) -> MediaInfo:
    """Describe a file that is no picture; limits and errors are those of ``probe``."""
    with open_input(path, sniffed) as container:
        if sniffed.kind == "audio" or not container.streams.video:
            return _audio_info(container, path, sniffed)
        video = _video_info(container, path, max_pixels)
        audio, tags = _first_audio(container), tags_of(container)
    # Once the first reading has let go of its frame and packets, which may be large.
    index = read_index(path, sniffed, most=max_frames)
    video = replace(
        video,
        rate=video.rate if 0 < video.rate <= 1000 else _counted_rate(index),
        time_base=index.time_base,
        start_pts=index.times[0],
        frame_count=len(index.times),
    )
    duration = float((index.times[-1] - index.times[0]) * index.time_base + 1 / video.rate)
    return MediaInfo("video", sniffed.format, video.width, video.height, duration, video, audio, tags)


def orientation_of(frame: VideoFrame) -> Orientation:
    """What makes a decoded frame upright, from its display matrix."""
    # Not frame.side_data: it and the frame refer to each other, so that both stay until garbage is collected.
    blocks: Any = SideDataContainer
    try:
        data = blocks(frame)[SideDataType.DISPLAYMATRIX]
    except KeyError:
        return UPRIGHT
    return from_display_matrix(struct.unpack_from("9i", bytes(data)))


def color_of(frame: VideoFrame) -> ColorTags:
    """The colour description that a decoded frame carries."""
    full = {1: False, 2: True}.get(int(frame.color_range))
    return ColorTags(int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc), full)


def first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    """Decode the first frame that can be decoded; raises CorruptMedia when there is none."""
    with input_errors(path):
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            if frames:
                return frames[0]
    raise CorruptMedia(f"{path} holds no frame that can be decoded.")


def sample_aspect_of(frame: VideoFrame, stream: VideoStream, orientation: Orientation) -> Fraction:
    """Width of a pixel divided by its height, in the upright picture; 1 when unknown."""
    aspect = fraction(stream.sample_aspect_ratio) or fraction(stream.codec_context.sample_aspect_ratio)
    aspect = aspect or Fraction(1)
    return 1 / aspect if orientation.transpose else aspect


def alpha_decoder(stream: VideoStream) -> str | None:
    """Name of the decoder that keeps the alpha of VP8 and VP9 streams, which FFmpeg's own decoders drop."""
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if tags.get("alpha_mode") == "1":
        return {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    return None


def _video_info(container: InputContainer, path: Path, max_pixels: int) -> VideoInfo:
    """What the first frame and the head say; the packets are still to be counted."""
    stream = video_stream(container, path)
    context = stream.codec_context
    check_pixels(path, context.width, context.height, max_pixels)
    frame = first_frame(container, stream, path)
    check_pixels(path, frame.width, frame.height, max_pixels)
    orientation = orientation_of(frame)
    width, height = orientation.size(frame.width, frame.height)
    color = color_of(frame)
    return VideoInfo(
        codec=context.codec.canonical_name,
        width=width,
        height=height,
        rate=fraction(stream.average_rate) or fraction(stream.guessed_rate),
        time_base=fraction(stream.time_base),
        start_pts=0,
        frame_count=0,
        pixel_format=frame.format.name,
        rotation=orientation.rotation,
        sample_aspect=sample_aspect_of(frame, stream, orientation),
        color=color,
        bit_depth=max(component.bits for component in frame.format.components),
        has_alpha=alpha_decoder(stream) is not None or _has_alpha(frame),
        is_hdr=is_hdr(color),
        is_interlaced=frame.interlaced_frame,
    )


def _counted_rate(index: FrameIndex) -> Fraction:
    """Frames per second where the container says nothing of use."""
    span = (index.times[-1] - index.times[0]) * index.time_base
    return (len(index.times) - 1) / span if span else Fraction(25)


def _has_alpha(frame: VideoFrame) -> bool:
    return any(component.is_alpha for component in frame.format.components)


def _audio_info(container: InputContainer, path: Path, sniffed: Sniffed) -> MediaInfo:
    audio = _first_audio(container)
    if audio is None:
        raise UnsupportedMedia(f"{path} has neither a video nor an audio stream.")
    duration = (container.duration or 0) / 1_000_000
    # Ogg keeps its tags with the stream.
    tags = {**tags_of(container.streams.audio[0]), **tags_of(container)}
    return MediaInfo("audio", sniffed.format, 0, 0, duration, None, audio, tags)


def _first_audio(container: InputContainer) -> AudioInfo | None:
    for stream in container.streams.audio:
        if stream.codec_context is not None:
            context = stream.codec_context
            return AudioInfo(context.codec.canonical_name, context.sample_rate or 0, context.channels)
    return None
