"""Finished segments and their sound into one file, without encoding the pictures again."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer

from mien.errors import OutputError
from mien.media import audio as sound
from mien.media.atomic import Finish, replacing
from mien.media.audio import AudioPlan, Track, Window
from mien.media.container import fraction, input_errors, muxing_errors, open_input
from mien.media.index import read_index
from mien.media.segment import Segment
from mien.media.streams import alpha_decoder
from mien.media.writable import CONTAINERS, container_of

_PART_DEMUXERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,nut"

# Containers that count from wherever the recording began; all others begin at 0 and mean it.
_WITHOUT_ZERO: Final = frozenset({"mpegts", "mpeg", "flv", "asf", "mxf"})

MAX_AVI_RATE: Final = 1000
"""Frames a second, empty ones included, beyond which an AVI file is not made."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The picture's clock in the source: ``origin`` is the moment, in seconds, that becomes 0."""

    time_base: Fraction
    origin: Fraction
    frame_count: int


@dataclass(frozen=True, slots=True)
class _Clock:
    """Output times of all pictures: ``pts`` and ``dts`` in the order of the packets, in ``time_base``."""

    time_base: Fraction
    pts: list[int]
    dts: list[int]


def join(
    parts: Sequence[Path],
    segments: Sequence[Segment],
    output: Path,
    *,
    source: Path,
    audio: AudioPlan | None = None,
    tags: Mapping[str, str] | None = None,
    offsets: Sequence[Fraction] | None = None,
    finish: Finish | None = None,
) -> tuple[str, ...]:
    """Write ``output`` from encoded parts, one for each segment, and the sound of ``source``.

    A part holds the pictures of its segment with times relative to ``segment.start_pts`` (``pts -
    start_pts``), and all parts are encoded alike. ``offsets`` overrides where the parts begin in the
    output, in seconds, for parts in a new frame rate. The video keeps the source's times; when frames
    were cut off at its beginning, the first frame is at 0. Sound is cut to the same range. The
    container goes by the extension of ``output``; ``tags`` are stored in it. ``finish`` may change the
    finished file before it appears under its name.

    Returns sentences about what could not be kept as it was. Raises CorruptMedia for a damaged source,
    DiskFull, OutputNotWritable or OutputError; then ``output`` is untouched.
    """
    container = container_of(output)
    audio = audio or AudioPlan()
    notices: list[str] = []
    clock_source = _source_clock(source, segments, container)
    with replacing(output) as temporary, ExitStack() as stack:
        starts = offsets or [s.start_pts * clock_source.time_base - clock_source.origin for s in segments]
        clock = _clock(parts, starts, container, notices)
        options = muxer_options(container, clock.time_base, tags or {})
        with muxing_errors(output):
            target = stack.enter_context(
                av.open(str(temporary.absolute()), "w", format=CONTAINERS[container].muxer, options=options)
            )
            target.metadata.update(tags or {})
            video = _add_video(target, parts[0], clock.time_base, stack)
            start_codes = _start_code_filter(target, parts[0], video, stack)
            tracks = _tracks(target, source, segments, clock, clock_source, container, audio, stack, notices)
            _mux(target, video, parts, clock, tracks, start_codes)
            stack.close()
        if finish is not None:
            finish(temporary)
    return tuple(notices)


def pictures_in(part: Path) -> int:
    """How many pictures an encoded part holds, by its packets. Raises CorruptMedia."""
    with _open_part(part) as container, input_errors(part):
        pictures = container.streams.video
        return sum(1 for p in container.demux(pictures) if p.size and p.pts is not None) if pictures else 0


def _source_clock(source: Path, segments: Sequence[Segment], container: str) -> _Source:
    """Time base of the pictures and the moment that becomes 0."""
    index = read_index(source)
    # An AVI cannot begin with a pause: its first frame is at 0.
    if segments[0].first_index > 0 or container == "avi":
        origin = segments[0].start_pts * index.time_base
    else:
        # The earliest stream, rounded to a tick of the pictures so that their times stay exact.
        ticks = min(math.floor(_beginning(source) / index.time_base), segments[0].start_pts)
        origin = ticks * index.time_base
    return _Source(index.time_base, origin, len(index.times))


def _beginning(path: Path) -> Fraction:
    """The time, in seconds, at which a file that is played from its beginning starts."""
    with open_input(path) as container:
        if not any(name in _WITHOUT_ZERO for name in container.format.name.split(",")):
            return Fraction(0)
        starts = [fraction(s.time_base) * s.start_time for s in container.streams if s.start_time is not None]
        return min(starts, default=Fraction(0))


def _clock(parts: Sequence[Path], starts: Sequence[Fraction], container: str, notices: list[str]) -> _Clock:
    """Times for all packets of all parts. Decoding times are made anew: each encoder counted its own
    from its start.
    """
    time_base = Fraction(0)
    exact: list[int] = []
    header: tuple[Any, ...] | None = None
    for path, start in zip(parts, starts, strict=True):
        with _open_part(path) as part:
            stream = part.streams.video[0]
            time_base = fraction(stream.time_base)
            shift = round(start / time_base)
            header = header or _header(stream)
            if _header(stream) != header:
                raise OutputError(f"{path.name} was encoded with other settings than the parts before it.")
            with input_errors(path):
                exact += [p.pts + shift for p in part.demux(stream) if p.size and p.pts is not None]
    if not exact:
        raise OutputError("No frames were encoded; there is nothing to write.")
    if container == "avi":
        time_base, exact = _even_grid(time_base, exact, notices)
    return _Clock(time_base, exact, decoding_times(exact))


def decoding_times(pts: list[int]) -> list[int]:
    """The smallest constant delay with which each packet is decoded no later than it is shown, in
    rising order.
    """
    shown = sorted(pts)
    position = {time: number for number, time in enumerate(shown)}
    delay = max((number - position[time] for number, time in enumerate(pts)), default=0)
    step = min((b - a for a, b in itertools.pairwise(shown)), default=1)
    before = [shown[0] - step * n for n in range(delay, 0, -1)]
    return (before + shown)[: len(pts)]


def _even_grid(time_base: Fraction, pts: list[int], notices: list[str]) -> tuple[Fraction, list[int]]:
    """AVI has a constant rate: the largest step that all times are multiples of, frames being left
    empty between.
    """
    step = math.gcd(*pts) or 1
    if 1 / (time_base * step) <= MAX_AVI_RATE:
        return time_base * step, [time // step for time in pts]
    notices.append(
        "AVI files have one constant frame rate; the times of the frames were rounded to milliseconds."
    )
    grid = Fraction(1, MAX_AVI_RATE)
    rounded: list[int] = []
    for time in pts:
        rounded.append(max(round(time * time_base / grid), rounded[-1] + 1 if rounded else 0))
    return grid, rounded


def muxer_options(container: str, time_base: Fraction, tags: Mapping[str, str]) -> dict[str, str]:
    """Options with which a file is opened for writing, so that MP4 and MOV keep times and tags exactly."""
    if CONTAINERS[container].muxer not in ("mp4", "mov"):
        return {}
    scale = str(time_base.denominator)
    flags = "+faststart+use_metadata_tags" if tags else "+faststart"
    return {"movflags": flags, "movie_timescale": scale, "video_track_timescale": scale}


def _add_video(target: OutputContainer, part: Path, time_base: Fraction, stack: ExitStack) -> Any:
    template = stack.enter_context(_open_part(part)).streams.video[0]
    stream: Any = target.add_stream_from_template(template, opaque=True)
    stream.time_base = time_base
    codec = template.codec_context.codec.canonical_name
    if codec == "hevc" and target.format.name in ("mp4", "mov"):
        stream.codec_context.codec_tag = "hvc1"
    elif codec == "rawvideo":
        # Bare pictures are known by this tag alone; without it they would pass for RGB.
        stream.codec_context.codec_tag = template.codec_context.codec_tag
    if alpha_decoder(template) is not None:
        stream.metadata["alpha_mode"] = "1"
    return stream


def _tracks(
    target: OutputContainer,
    source: Path,
    segments: Sequence[Segment],
    clock: _Clock,
    clock_source: _Source,
    container: str,
    audio: AudioPlan,
    stack: ExitStack,
    notices: list[str],
) -> list[Track]:
    if audio.is_silent:
        return []
    if audio.mode == "replace" and audio.source is not None:
        opened = stack.enter_context(open_input(audio.source))
        sound.check_source(audio.source, opened)
        begin = _beginning(audio.source)
        window = Window(begin, end=begin + _video_end(clock))
        streams, path = sound.audio_streams(opened, audio.source)[:1], audio.source
    else:
        opened = stack.enter_context(open_input(source))
        window, path = _source_window(segments, clock_source), source
        streams = sound.audio_streams(opened, source)
    return [_track(target, stream, path, window, container, audio, notices, stack) for stream in streams]


def _track(
    target: OutputContainer,
    stream: Any,
    path: Path,
    window: Window,
    container: str,
    audio: AudioPlan,
    notices: list[str],
    stack: ExitStack,
) -> Track:
    # Each track reads the file on its own, so that they can be interleaved by time.
    own = stack.enter_context(open_input(path)).streams[stream.index]
    assert isinstance(own, av.AudioStream)
    if sound.can_copy(own, container, audio):
        return sound.copied(target, own, path, window)
    track = sound.encoded(target, own, path, window, container=container, audio=audio)
    if track.notice:
        notices.append(track.notice)
    elif audio.encoder is None and audio.volume == 100:
        codec = own.codec_context.codec.canonical_name
        notices.append(f"Sound in {codec} cannot be stored in .{container} files and was encoded again.")
    return track


def _source_window(segments: Sequence[Segment], clock: _Source) -> Window:
    """The sound that belongs to the pictures: all of it, unless frames were cut off at the beginning
    or the end.
    """
    last = segments[-1]
    start = segments[0].start_pts * clock.time_base if segments[0].first_index > 0 else None
    trimmed = last.first_index + last.frame_count < clock.frame_count
    return Window(clock.origin, start, last.end_pts * clock.time_base if trimmed else None)


def _video_end(clock: _Clock) -> Fraction:
    shown = sorted(clock.pts)
    step = shown[-1] - shown[-2] if len(shown) > 1 else 1
    return (shown[-1] + step) * clock.time_base


def _mux(
    target: OutputContainer,
    video: Any,
    parts: Sequence[Path],
    clock: _Clock,
    tracks: Sequence[Track],
    start_codes: BitStreamFilterContext | None,
) -> None:
    target.start_encoding()
    pictures = _video_packets(video, parts, clock)
    if start_codes is not None:
        pictures = _with_start_codes(pictures, start_codes, video)
    sources = [pictures, *(track.packets for track in tracks)]
    for packet in heapq.merge(*sources, key=_time_of):
        target.mux(packet)


def _time_of(packet: av.Packet[Any]) -> Fraction:
    return (packet.dts or 0) * fraction(packet.time_base)


def _video_packets(video: Any, parts: Sequence[Path], clock: _Clock) -> Iterator[av.Packet[Any]]:
    number = 0
    for path in parts:
        with _open_part(path) as part:
            stream = part.streams.video[0]
            for packet in part.demux(stream):
                if not packet.size or packet.pts is None:
                    continue
                duration = (packet.duration or 0) * fraction(packet.time_base)
                packet.time_base = clock.time_base
                packet.pts, packet.dts = clock.pts[number], clock.dts[number]
                packet.duration = round(duration / clock.time_base)
                packet.stream = video
                number += 1
                yield packet


def _start_code_filter(
    target: OutputContainer, part: Path, video: Any, stack: ExitStack
) -> BitStreamFilterContext | None:
    """AVI wants H.264 as a byte stream, while parts hold it in the layout of MP4."""
    template = stack.enter_context(_open_part(part)).streams.video[0]
    if target.format.name != "avi" or template.codec_context.codec.canonical_name != "h264":
        return None
    return BitStreamFilterContext("h264_mp4toannexb", template, video)


def _with_start_codes(
    packets: Iterator[av.Packet[Any]], start_codes: BitStreamFilterContext, video: Any
) -> Iterator[av.Packet[Any]]:
    for packet in packets:
        time_base = packet.time_base
        for changed in start_codes.filter(packet):
            changed.time_base = time_base
            changed.stream = video
            yield changed


def _header(stream: Any) -> tuple[Any, ...]:
    """What a decoder learns once, from the first part only, so that all others must have the same."""
    context = stream.codec_context
    return context.name, context.width, context.height, context.pix_fmt, context.extradata


def _open_part(path: Path) -> InputContainer:
    options = {"format_whitelist": _PART_DEMUXERS, "protocol_whitelist": "file"}
    with input_errors(path):
        return av.open(str(path.absolute()), "r", options=options)
