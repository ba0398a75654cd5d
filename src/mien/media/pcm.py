"""Sound as numbers: decoded in blocks at any rate, so that a file of any length needs little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph
from numpy.typing import NDArray

from mien.media.audio import require_audio
from mien.media.container import fraction, input_errors, open_input

Channels = Literal["mono", "stereo"]
Samples = Literal["int16", "float32"]

_FORMATS: Final = {"int16": "s16", "float32": "flt"}
_WIDTHS: Final = {"mono": 1, "stereo": 2}


def read_sound(
    path: Path,
    rate: int,
    channels: Channels = "stereo",
    samples: Samples = "float32",
    *,
    seconds: float | None = None,
) -> Iterator[NDArray[Any]]:
    """The first sound stream of a file from its beginning, in blocks of N×channels; -1 to 1 for floats.

    Gaps in the stream are filled with silence. With ``seconds`` no more than so much is read, rounded up to a
    sample. Raises UnsupportedMedia if there is no sound, and what opening and decoding raise.
    """
    with open_input(path) as container:
        stream = require_audio(container, path)
        left = None if seconds is None else -int(-seconds * rate // 1)
        for frame in _converted(container, stream, path, rate, channels, samples):
            block = frame.to_ndarray().reshape(-1, _WIDTHS[channels])
            if left is None:
                yield block
                continue
            if left > 0:
                yield block[:left]
            left -= len(block)
            if left <= 0:
                return


def resampled(blocks: Iterable[NDArray[np.float32]], rate: int, wanted: int) -> Iterator[NDArray[np.float32]]:
    """One channel of sound (blocks of N float32) at another rate; sample 0 stays at time 0."""
    resampler = AudioResampler("flt", "mono", wanted)
    for block in blocks:
        if not len(block):
            continue
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32)[None], "flt", "mono")
        frame.sample_rate = rate
        for part in resampler.resample(frame):
            yield _floats(part)
    with suppress(ValueError):  # nothing was ever put in
        for part in resampler.resample(None):
            yield _floats(part)


def _floats(frame: AudioFrame) -> NDArray[np.float32]:
    return np.asarray(frame.to_ndarray().reshape(-1), np.float32)


def _converted(
    container: InputContainer,
    stream: AudioStream,
    path: Path,
    rate: int,
    channels: Channels,
    samples: Samples,
) -> Iterator[AudioFrame]:
    graph: Graph | None = None
    for frame in _decoded(container, stream, path):
        if graph is None:
            graph = _graph(frame, fraction(stream.time_base), rate, channels, samples)
        graph.push(frame)
        yield from _pulled(graph)
    if graph is not None:
        with suppress(av.error.EOFError):
            graph.push(None)
        yield from _pulled(graph)


def _decoded(container: InputContainer, stream: AudioStream, path: Path) -> Iterator[AudioFrame]:
    """Frames up to where the file is torn; packets that make no sense are left out."""
    with input_errors(path):
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.InvalidDataError):
                return
            with suppress(av.error.InvalidDataError):
                yield from (frame for frame in packet.decode() if isinstance(frame, AudioFrame))


def _graph(frame: AudioFrame, time_base: Fraction, rate: int, channels: Channels, samples: Samples) -> Graph:
    graph = Graph()
    source: Any = frame
    nodes = [
        graph.add(
            "abuffer",
            f"time_base={time_base.numerator}/{time_base.denominator}:sample_rate={frame.sample_rate}"
            f":sample_fmt={source.format.name}:channel_layout={source.layout.name}",
        ),
        graph.add("asetpts", "PTS-STARTPTS"),
        graph.add("aresample", f"{rate}:async=1:first_pts=0"),
        graph.add(
            "aformat", f"sample_fmts={_FORMATS[samples]}:sample_rates={rate}:channel_layouts={channels}"
        ),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    return graph


def _pulled(graph: Graph) -> Iterator[AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, AudioFrame)
        yield frame
