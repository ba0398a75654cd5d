"""Sound for a finished video: packets copied as they are, or decoded, scaled and encoded again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import InputContainer, OutputContainer
from av.filter import Graph

from mien.errors import CorruptMedia, OptionError, UnsupportedMedia
from mien.media import encoders
from mien.media.container import fraction, input_errors
from mien.media.writable import CONTAINERS

AudioMode = Literal["copy", "replace", "none"]


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """What becomes of the sound.

    ``copy`` takes that of the source, as packets where the container allows it and nothing else is
    asked for; ``replace`` takes the first stream of the file ``source`` from its beginning, cut to the
    length of the video; ``none`` leaves it out. ``volume`` is in percent (0 to 100; 0 is ``none``).
    ``encoder`` forces an encoder, ``quality`` 0 to 100 is for what is encoded.
    """

    mode: AudioMode = "copy"
    source: Path | None = None
    volume: int = 100
    encoder: str | None = None
    quality: int = 80

    def __post_init__(self) -> None:
        if not 0 <= self.volume <= 100:
            raise OptionError(f"The volume is 0 to 100 percent, not {self.volume}.")
        if not 0 <= self.quality <= 100:
            raise OptionError(f"The quality of sound is 0 to 100, not {self.quality}.")
        if self.mode == "replace" and self.source is None:
            raise OptionError("Replacing the sound needs a sound file.")

    @property
    def is_silent(self) -> bool:
        """Whether the result has no sound."""
        return self.mode == "none" or self.volume == 0


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a sound that is taken, in seconds of its own clock; ``origin`` becomes time 0."""

    origin: Fraction
    start: Fraction | None = None
    end: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """A sound stream of the output: its packets in order, each with the output stream set."""

    packets: Iterator[av.Packet[Any]]
    notice: str | None = None


# kbit/s at quality 0 and 100, for two channels; lossless encoders take none.
_BIT_RATES: Final = {"aac": (64, 256), "libmp3lame": (64, 320), "libopus": (64, 256), "libvorbis": (64, 320)}

_MUXERS_WITH_EDITS: Final = frozenset({"mp4", "mov"})


def audio_streams(container: InputContainer, path: Path) -> list[AudioStream]:
    """The sound streams that can be used; those whose codec is unknown are left out."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def require_audio(container: InputContainer, path: Path) -> AudioStream:
    """The first sound stream; raises UnsupportedMedia when there is none."""
    streams = audio_streams(container, path)
    if not streams:
        raise UnsupportedMedia(f"{path} has no sound.")
    return streams[0]


def can_copy(stream: AudioStream, container: str, audio: AudioPlan) -> bool:
    """Whether the packets of a stream can go into a container as they are."""
    codec = stream.codec_context.codec.canonical_name
    if audio.volume != 100 or codec not in CONTAINERS[container].audio:
        return False
    return audio.encoder is None or Codec(audio.encoder, "w").canonical_name == codec


def copied(output: OutputContainer, stream: AudioStream, path: Path, window: Window) -> Track:
    """A track of the source's own packets, shifted."""
    target: Any = output.add_stream_from_template(stream)
    _label(target, stream)
    return Track(_copied_packets(output, target, stream, path, window))


def encoded(
    output: OutputContainer,
    stream: AudioStream,
    path: Path,
    window: Window,
    *,
    container: str,
    audio: AudioPlan,
) -> Track:
    """A track that is decoded, cut to the sample, scaled in volume and encoded for the container."""
    choice = encoders.choose_audio(container, audio.encoder)
    target = _encoder_stream(output, stream, choice.name, audio.quality)
    _label(target, stream)
    packets = _encoded_packets(target, stream, path, window, audio.volume)
    if container == "avi":
        # The encoder's lead-in comes before 0, for which an AVI has no place.
        packets = (packet for packet in packets if packet.pts is None or packet.pts >= 0)
    return Track(packets, choice.notice)


def _copied_packets(
    output: OutputContainer, target: Any, stream: AudioStream, path: Path, window: Window
) -> Iterator[av.Packet[Any]]:
    container = stream.container
    assert isinstance(container, InputContainer)
    time_base = fraction(stream.time_base)
    shift = round(window.origin / time_base)
    # Only an edit list can hide the part of a packet that lies before the beginning.
    may_overlap = output.format.name in _MUXERS_WITH_EDITS
    earliest = window.origin - _priming(stream, output)
    with input_errors(path):
        for packet in _readable(container, stream):
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None or not packet.size:
                continue
            begin = pts * time_base
            end = begin + (packet.duration or 0) * time_base
            if window.end is not None and begin >= window.end:
                return
            if window.start is not None and (end <= window.start if may_overlap else begin < window.start):
                continue
            if not may_overlap and begin < earliest:
                continue
            packet.pts = pts - shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = target
            yield packet


def _priming(stream: AudioStream, output: OutputContainer) -> Fraction:
    """Seconds of lead-in that the container stores as such: Matroska does for Opus, whose header
    says how much.
    """
    context = stream.codec_context
    header = context.extradata or b""
    if context.codec.canonical_name != "opus" or output.format.name not in ("matroska", "webm"):
        return Fraction(0)
    # Pre-skip, in samples of 48 kHz, at byte 10 of the header (RFC 7845); a millisecond for rounded times.
    return Fraction(int.from_bytes(header[10:12], "little"), 48000) + Fraction(1, 1000)


def _encoded_packets(
    target: Any, stream: AudioStream, path: Path, window: Window, volume: int
) -> Iterator[av.Packet[Any]]:
    context = target.codec_context
    count = itertools.count()
    for frame in _filtered(stream, path, window, volume, context):
        if next(count) == 0 and frame.pts is None:
            frame.pts = 0
        yield from target.encode(frame)
    yield from target.encode(None)


def _filtered(
    stream: AudioStream, path: Path, window: Window, volume: int, context: Any
) -> Iterator[AudioFrame]:
    """Decoded frames in the encoder's own format, rate and frame size."""
    graph: Graph | None = None
    for frame in _decoded(stream, path):
        if graph is None:
            graph = _graph(frame, fraction(stream.time_base), window, volume, context)
        try:
            graph.push(frame)
        except av.error.EOFError:
            break  # behind the end of the window
        yield from _pull(graph)
    if graph is not None:
        with suppress(av.error.EOFError):
            graph.push(None)
        yield from _pull(graph)


def _decoded(stream: AudioStream, path: Path) -> Iterator[AudioFrame]:
    container = stream.container
    assert isinstance(container, InputContainer)
    with input_errors(path):
        for packet in _readable(container, stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                if frame.pts is not None:
                    yield frame


def _readable(container: InputContainer, stream: AudioStream) -> Iterator[Any]:
    """Packets up to where the file is torn."""
    try:
        yield from container.demux(stream)
    except av.error.InvalidDataError:
        return


def _pull(graph: Graph) -> Iterator[AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, AudioFrame)
        yield frame


def _graph(frame: AudioFrame, time_base: Fraction, window: Window, volume: int, context: Any) -> Graph:
    graph = Graph()
    source: Any = frame
    nodes = [
        graph.add(
            "abuffer",
            f"time_base={time_base.numerator}/{time_base.denominator}:sample_rate={frame.sample_rate}"
            f":sample_fmt={source.format.name}:channel_layout={source.layout.name}",
        )
    ]
    # Seconds with all the digits of a sample; the trimming itself works on samples.
    limits = [f"start={float(window.start):.9f}" if window.start is not None else ""]
    limits += [f"end={float(window.end):.9f}" if window.end is not None else ""]
    if any(limits):
        nodes.append(graph.add("atrim", ":".join(filter(None, limits))))
    nodes.append(graph.add("asetpts", f"PTS-({window.origin.numerator}/{window.origin.denominator})/TB"))
    if volume != 100:
        nodes.append(graph.add("volume", f"{volume / 100}"))
    # Silence where the source has gaps or begins late, so that sound and picture stay together.
    nodes.append(graph.add("aresample", f"{context.sample_rate}:async=1:first_pts=0"))
    nodes.append(
        graph.add(
            "aformat",
            f"sample_fmts={context.format.name}:sample_rates={context.sample_rate}"
            f":channel_layouts={context.layout.name}",
        )
    )
    if context.frame_size:
        nodes.append(graph.add("asetnsamples", f"n={context.frame_size}:p=0"))
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    return graph


def _encoder_stream(output: OutputContainer, stream: AudioStream, name: str, quality: int) -> Any:
    codec = Codec(name, "w")
    rate = _rate(stream.codec_context.sample_rate or 48000, codec.audio_rates)
    target: Any = output.add_stream(name, rate=rate)
    context = target.codec_context
    formats = [entry.name for entry in codec.audio_formats or ()]
    context.format = next(
        (f for f in ("fltp", "flt", "s16p", "s16") if f in formats), formats[0] if formats else "s16"
    )
    channels = stream.codec_context.channels
    context.layout = "stereo" if name == "libmp3lame" and channels > 2 else _layout(channels)
    if name in _BIT_RATES:
        low, high = _BIT_RATES[name]
        per_pair = low + (high - low) * quality / 100
        context.bit_rate = round(per_pair * 1000 * max(context.channels, 1) / 2)
    context.time_base = Fraction(1, rate)
    context.open()
    return target


def _layout(channels: int) -> str:
    """The usual layout of so many channels, which every encoder knows."""
    return {1: "mono", 6: "5.1", 8: "7.1"}.get(channels, "stereo")


def _rate(wanted: int, known: Any) -> int:
    """The wanted rate, or the next higher one that the encoder knows."""
    if not known or wanted in known:
        return wanted
    higher = [rate for rate in known if rate > wanted]
    return int(min(higher) if higher else max(known))


def _label(target: Any, stream: AudioStream) -> None:
    for key in ("language", "title"):
        if key in stream.metadata:
            target.metadata[key] = stream.metadata[key]


def check_source(path: Path, container: InputContainer) -> None:
    """Raise CorruptMedia when a replacement sound says that it has no samples."""
    if require_audio(container, path).codec_context.sample_rate == 0:
        raise CorruptMedia(f"{path} is damaged: its sound has no sample rate.")
