"""How long previews, frames of a live picture and moments of a timeline take, with the built-in models.

    python benchmarks/preview.py                     720p
    python benchmarks/preview.py --sizes 480p 1080p --frames 500

Makes its own clip: two portraits side by side that move. Times are milliseconds of wall clock: the first, then the
median and the 95th percentile of the others.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.faces.reference import FaceReference
from mien.media.images import read_image
from mien.media.reader import VideoReader
from mien.media.writer import VideoSpec, VideoWriter
from mien.pipeline.engine import Engine
from mien.pipeline.people import Person
from mien.pipeline.step import Step
from mien.types import ColorTags, Frame

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
RATE = 25
COUNT = 15
MESH = {"face_swapper_model": "mesh", "face_detector_model": "blazeface", "face_landmarker_model": "mesh"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["720p"])
    parser.add_argument("--frames", type=int, default=250)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.sizes:
            clip = Path(folder) / f"{name}.mp4"
            with Engine() as engine:
                portraits = [engine.models.path(f"sample_{who}") for who in ("astronaut", "hopper")]
                make_clip(clip, SIZES[name], args.frames, [read_image(path).pixels for path in portraits])
            measure(name, clip, args.frames, portraits)


def make_clip(path: Path, size: tuple[int, int], frames: int, portraits: list[Frame]) -> None:
    """Two portraits that move towards each other and back, over a blurred picture."""
    width, height = size
    rough = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8 + 8, 3), np.uint8)
    noise = cv2.resize(rough, (width + 64, height), interpolation=cv2.INTER_CUBIC)
    people = [cv2.resize(picture, (height * 3 // 4, height * 3 // 4)) for picture in portraits]
    with VideoWriter(path, _spec(size)) as writer:
        for number in range(frames):
            image = noise[:, number % 64 :][:, :width].copy()
            share = 0.5 - 0.5 * np.cos(number / 40)
            for person, left in zip(people, (share * 0.08, 0.5 - share * 0.08), strict=True):
                x = round(left * width) + 10
                part = image[height // 4 :, x : x + person.shape[1]]
                part[:] = person[: part.shape[0], : part.shape[1]]
            writer.write(image, number)


def _spec(size: tuple[int, int]) -> VideoSpec:
    return VideoSpec(
        width=size[0],
        height=size[1],
        time_base=Fraction(1, RATE),
        rate=Fraction(RATE),
        encoder="libx264",
        quality=80,
        preset="veryfast",
        color=ColorTags(1, 1, 1, False),
        sample_aspect=Fraction(1),
        alpha=False,
        container="mp4",
    )


def measure(size: str, clip: Path, frames: int, portraits: list[Path]) -> None:
    numbers = [(37 * number) % frames for number in range(COUNT)]
    with Engine() as engine:
        step = Step(clip, clip, portraits[1:], options=MESH)
        report(size, "preview, another frame each", lambda number: engine.preview(step, number), numbers)
        report(size, "preview, the same frame", lambda number: engine.preview(step, 0), numbers)
        sliders = [
            Step(clip, clip, portraits[1:], options={**MESH, "face_swapper_mesh_identity": place / COUNT})
            for place in range(COUNT)
        ]
        report(size, "preview, another option each", lambda each: engine.preview(each, 0), sliders)
        report(size, "preview, scaled to 640", lambda number: engine.preview(step, number, size=640), numbers)
        faces = sorted(engine.detect(clip)[1], key=lambda face: face.box.x1)
        people = tuple(
            Person(FaceReference(0, face.box), (source,))
            for face, source in zip(faces, portraits[::-1], strict=True)
        )
        mapped = Step(clip, clip, options=MESH, people=people)
        report(size, "preview, two people mapped", lambda number: engine.preview(mapped, number), numbers)
    with Engine() as engine, VideoReader(clip) as reader:
        images = [frame.image for frame in reader]
        with engine.live(portraits[1], rate=RATE, size=SIZES[size]) as session:
            times = enumerate(images)
            report(size, "live", lambda item: session.process(item[1], at=item[0] / RATE), list(times))
    with Engine() as engine:
        moments = engine.scan(clip, every=0.4)
        report(size, "scan, a moment", lambda _: next(moments), range(int(frames / RATE / 0.4)))


def report(size: str, what: str, work: Callable[[Any], object], items: Iterable[Any]) -> None:
    taken = []
    for item in items:
        started = time.perf_counter()
        work(item)
        taken.append(1000 * (time.perf_counter() - started))
    rest = sorted(taken[1:])
    late = rest[min(int(0.95 * len(rest)), len(rest) - 1)]
    print(
        f"{size:6} {what:30} first {taken[0]:6.0f}  median {statistics.median(rest):6.0f}  95 % {late:6.0f}"
    )


if __name__ == "__main__":
    main()
