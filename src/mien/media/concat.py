"""Finished videos one behind the other into one file: packets are copied, nothing is encoded again."""

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
from mien.media.atomic import Finish, replacing
from mien.media.container import fraction, input_errors, muxing_errors, open_input, video_stream
from mien.media.index import timestamp
from mien.media.join import MAX_AVI_RATE, decoding_times, muxer_options
from mien.media.stale import remove_stale
from mien.media.writable import CONTAINERS, container_of

_FINEST: Final = 1_000_000
"""Ticks a second beyond which times are rounded."""

_START_CODES: Final = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
"""Bit stream filters that put the parameters of a part into the stream itself."""

_CONTAINER_TAGS: Final = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER"}
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the videos: when it begins in the output and how long it lasts, in seconds."""

    path: Path
    begin: Fraction
    length: Fraction
    times: tuple[Fraction, ...]
    """When its pictures are shown, in the order of the packets, from the start of the part."""
    time_base: Fraction
    format: tuple[Any, ...]
    header: bytes | None
    tracks: tuple[tuple[Any, ...], ...]
    tags: dict[str, str]


def concat(
    parts: Sequence[Path],
    output: Path,
    *,
    tags: Mapping[str, str] | None = None,
    finish: Finish | None = None,
) -> tuple[str, ...]:
    """Write ``output``, of the kind that its extension says, from videos of one codec, size and pixel format.

    Sound is kept where all parts have it alike. The tags are those of the first part, but for ``tags``. ``finish`` may
    change the finished file before it appears under its name. Returns sentences about what
    could not be kept; raises OutputError for parts that do not fit together, CorruptMedia for a damaged one, DiskFull
    and OutputNotWritable; then ``output`` is untouched.
    """
    found = _parts(parts)
    _check_alike(found)
    tracks, notices = _common_tracks(found)
    kept = {**found[0].tags, **(tags or {})}
    remove_stale(output)
    with replacing(output) as temporary, ExitStack() as stack:
        container = container_of(output)
        clock = _even_clock(found) if container == "avi" else _time_base(found)
        with muxing_errors(output):
            options = muxer_options(container, clock, kept)
            target = stack.enter_context(
                av.open(str(temporary.absolute()), "w", format=CONTAINERS[container].muxer, options=options)
            )
            target.metadata.update(kept)
            streams = [_pictures(target, found, clock, stack)]
            streams += [_sound(target, found, track, stack) for track in range(tracks)]
            target.start_encoding()
            for packet in heapq.merge(*streams, key=_moment):
                target.mux(packet)
            stack.close()
        if finish is not None:
            finish(temporary)
    return notices


def _parts(paths: Sequence[Path]) -> list[_Part]:
    found: list[_Part] = []
    begin = Fraction(0)
    for path in paths:
        found.append(_look(path, begin))
        begin += found[-1].length
    return found


def _look(path: Path, begin: Fraction) -> _Part:
    with open_input(path) as container:
        stream: Any = video_stream(container, path)
        base = fraction(stream.time_base)
        with input_errors(path):
            packets = [
                (when, p.duration or 0)
                for p in container.demux(stream)
                if p.size and (when := timestamp(p, container.format.name)) is not None
            ]
        if not packets:
            raise OutputError(f"{path.name} holds no picture.")
        shown = sorted(packets)
        step = shown[-1][1] or (shown[-1][0] - shown[-2][0] if len(shown) > 1 else 1)
        context = stream.codec_context
        return _Part(
            path,
            begin,
            (shown[-1][0] + step) * base,
            tuple(pts * base for pts, _ in packets),
            base,
            (context.codec.canonical_name, context.width, context.height, context.pix_fmt),
            context.extradata,
            tuple(_track_format(track) for track in container.streams.audio),
            {key: text for key, text in container.metadata.items() if key not in _CONTAINER_TAGS},
        )


def _track_format(stream: Any) -> tuple[Any, ...]:
    context = stream.codec_context
    if context is None:
        return ("unknown",)
    return context.codec.canonical_name, context.sample_rate, context.layout.name, context.extradata


def _check_alike(parts: Sequence[_Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        alike = part.header == first.header or first.format[0] in _START_CODES
        if part.format == first.format and alike:
            continue
        raise OutputError(
            f"{part.path.name} ({_words(part)}) and {first.path.name} ({_words(first)}) were encoded differently and "
            "cannot be joined without encoding them again; give them outputs of their own."
        )


def _words(part: _Part) -> str:
    codec, width, height, pixels = part.format
    return f"{codec}, {width}×{height}, {pixels}"


def _common_tracks(parts: Sequence[_Part]) -> tuple[int, tuple[str, ...]]:
    """How many sound tracks all parts have alike, and what is to be said about the others."""
    rows = list(zip(*(part.tracks for part in parts), strict=False))
    count = len(list(itertools.takewhile(lambda row: len(set(row)) == 1, rows)))
    if all(len(part.tracks) == count for part in parts):
        return count, ()
    return count, ("The parts have different sound; what they do not share was left out.",)


def _time_base(parts: Sequence[_Part]) -> Fraction:
    ticks = math.lcm(*(time.denominator for part in parts for time in (part.begin, part.time_base)))
    return Fraction(1, min(ticks, _FINEST))


def _even_clock(parts: Sequence[_Part]) -> Fraction:
    """The clock of an AVI file, which has one rate: the longest tick of which all times are multiples."""
    clock = _time_base(parts)
    times = [part.begin + time for part in parts for time in part.times]
    clock *= math.gcd(*(round(time / clock) for time in times)) or 1
    if 1 / clock > MAX_AVI_RATE:
        raise OutputError(
            "The parts have different frame rates, and an AVI file has only one; give them outputs of their own, or "
            "an output that ends in .mp4 or .mkv."
        )
    return clock


def _pictures(
    target: OutputContainer, parts: Sequence[_Part], clock: Fraction, stack: ExitStack
) -> Iterator[av.Packet[Any]]:
    template = video_stream(stack.enter_context(open_input(parts[0].path)), parts[0].path)
    stream: Any = target.add_stream_from_template(template, opaque=True)
    stream.time_base = clock
    if parts[0].format[0] == "hevc" and target.format.name in ("mp4", "mov"):
        stream.codec_context.codec_tag = "hvc1"
    if "alpha_mode" in template.metadata:
        stream.metadata["alpha_mode"] = template.metadata["alpha_mode"]
    own_headers = len({part.header for part in parts}) > 1
    filters = _filters(parts, stream, stack) if own_headers or target.format.name == "avi" else None
    shown = [round((part.begin + time) / clock) for part in parts for time in part.times]
    return _timed(parts, stream, clock, shown, filters)


def _filters(parts: Sequence[_Part], stream: Any, stack: ExitStack) -> list[BitStreamFilterContext] | None:
    """Parameters differ from part to part, so each part carries its own before every key frame."""
    name = _START_CODES.get(parts[0].format[0])
    if name is None:
        return None
    found = []
    for number, part in enumerate(parts):
        source = video_stream(stack.enter_context(open_input(part.path)), part.path)
        found.append(BitStreamFilterContext(name, source, stream if number == 0 else None))
    return found


def _timed(
    parts: Sequence[_Part],
    stream: Any,
    clock: Fraction,
    shown: list[int],
    filters: list[BitStreamFilterContext] | None,
) -> Iterator[av.Packet[Any]]:
    stamps = zip(shown, decoding_times(shown), strict=True)
    for number, part in enumerate(parts):
        with open_input(part.path) as container, input_errors(part.path):
            for packet in container.demux(video_stream(container, part.path)):
                if not packet.size or timestamp(packet, container.format.name) is None:
                    continue
                length = round((packet.duration or 0) * fraction(packet.time_base) / clock)
                for done in filters[number].filter(packet) if filters else (packet,):
                    done.time_base = clock
                    done.pts, done.dts = next(stamps)
                    done.duration = length
                    done.stream = stream
                    yield done


def _sound(
    target: OutputContainer, parts: Sequence[_Part], track: int, stack: ExitStack
) -> Iterator[av.Packet[Any]]:
    template = stack.enter_context(open_input(parts[0].path)).streams.audio[track]
    stream: Any = target.add_stream_from_template(template)
    for key in ("language", "title"):
        if key in template.metadata:
            stream.metadata[key] = template.metadata[key]
    return _shifted(parts, stream, track)


def _shifted(parts: Sequence[_Part], stream: Any, track: int) -> Iterator[av.Packet[Any]]:
    last = None
    for number, part in enumerate(parts):
        with open_input(part.path) as container, input_errors(part.path):
            source = container.streams.audio[track]
            base = fraction(source.time_base)
            for packet in _inside(container, source, part, number, len(parts)):
                pts = (packet.pts or 0) + round(part.begin / base)
                # Rounded lengths may make two packets meet; their order is what must stay.
                pts = pts if last is None else max(pts, last + 1)
                packet.pts = packet.dts = last = pts
                packet.stream = stream
                yield packet


def _inside(
    container: InputContainer, source: Any, part: _Part, number: int, count: int
) -> Iterator[av.Packet[Any]]:
    """The packets of a part without its lead-in and without what is behind its last picture, but for the outer ends."""
    base = fraction(source.time_base)
    for packet in container.demux(source):
        if not packet.size or packet.pts is None:
            continue
        begin, end = packet.pts * base, (packet.pts + (packet.duration or 0)) * base
        if number > 0 and end <= 0:
            continue
        if number < count - 1 and begin >= part.length:
            return
        yield packet


def _moment(packet: av.Packet[Any]) -> Fraction:
    return (packet.dts or 0) * fraction(packet.time_base)
