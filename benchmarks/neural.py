"""What a swap in a video costs with downloaded networks, beside FaceFusion 3.8.1, and what fast analysis loses.

    python benchmarks/neural.py ../shared/standins --yunet ../shared/weights/yunet_n_640_640.onnx
    python benchmarks/neural.py ../shared/standins --yunet … --size realistic      1.3 GB of models, minutes

The first argument is the folder of the generator of stand-in models. The clip is made here: 720p, 125 frames, one face,
a portrait that sways, nods and comes nearer. Every run is a whole process (``mien headless-run``): CPU seconds of all
its threads, wall time, and peak resident memory. The first run of each size makes the optimised graphs of the models
and is not counted. Beside each run stands what its runs of the swap network cost by themselves at that moment, since
the same work takes more CPU time where other programs share the cores. The last line compares the landmarks and the
pictures of fast analysis with those of exact analysis.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.faces.neural.analyser import NeuralAnalyser
from mien.faces.neural.following import Following
from mien.faces.neural.networks import networks_of
from mien.inference.runtime import Runtime
from mien.media.reader import VideoReader
from mien.pipeline.engine import Engine
from mien.pipeline.fast import frames_between
from mien.settings import Settings
from mien.types import Frame
from video import make_clip

RATE, SECONDS, SIZE = 25, 5.0, (1280, 720)
NEEDED = ("yoloface_8n", "2dfan4", "fan_68_5", "arcface_w600k_r50", "fairface", "hyperswap_1a_256", "nsfw_*")


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    cpu: float
    wall: float
    memory: float
    """Peak resident memory in MB."""

    def over(self, other: Cost) -> str:
        """Ratios to another one."""
        return (
            f"{self.cpu / other.cpu:5.2f} CPU {self.wall / other.wall:5.2f} wall "
            f"{self.memory / other.memory:5.2f} memory"
        )


# FaceFusion 3.8.1 with the same stand-ins, 720p, 125 frames, one face, defaults, on two cores.
REFERENCE: Mapping[str, Cost] = {"small": Cost(23, 14, 940), "realistic": Cost(192, 104, 3300)}
RUNS: Mapping[str, tuple[str, ...]] = {
    "exact": (),
    "exact, one face": ("--face-selector-mode", "one"),
    "fast": ("--analysis", "fast"),
    "fast, one face": ("--analysis", "fast", "--face-selector-mode", "one"),
}


def make_models(generator: Path, folder: Path, size: str, yunet: Path | None) -> None:
    """Stand-ins for the networks of the run, unless they are there."""
    if (folder / "manifest.json").is_file():
        return
    words = [str(generator / "make_standins.py"), str(folder), "--size", size]
    words += ["--only", *(f"{name}.onnx" for name in NEEDED)]
    words += [] if yunet is None else ["--yunet", str(yunet)]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)


def run(models: Path, cache: Path, source: Path, clip: Path, output: Path, extra: Sequence[str]) -> Cost:
    """One swap as a process of its own."""
    settings = {"MIEN_MODELS_DIR": models, "MIEN_MODELS_VERIFY": "off", "MIEN_CACHE_DIR": cache}
    words = ["-m", "mien", "headless-run", "-s", source, "-t", clip, "-o", output, "--quiet"]
    words += ["--processors", "face_swapper", "--face-swapper-model", "hyperswap_1a_256", *extra]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *map(str, words)], env={**os.environ, **{key: str(v) for key, v in settings.items()}}
    )
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit("the run failed")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / unit)


def bare(models: Path, cache: Path) -> float:
    """CPU seconds of the swap network alone for all frames, on two threads: how fast the machine is just now."""
    runtime = Runtime(Settings(cache_dir=cache))
    session = runtime.load(models / "hyperswap_1a_256.onnx")
    feeds = [np.full(spec.shape, 0.1, np.float32) for spec in session.inputs]
    rounds = 10
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: session.run(feeds), range(2)))
        began = time.process_time()
        list(threads.map(lambda _: session.run(feeds), range(rounds)))
    return (time.process_time() - began) / rounds * RATE * SECONDS


def frames_of(clip: Path) -> Iterator[Frame]:
    with VideoReader(clip) as reader:
        for frame in reader:
            yield frame.image


def landmark_error(models: Path, cache: Path, clip: Path) -> tuple[float, float]:
    """(mean, largest) distance of a fast landmark from the exact one, in percent of the distance of the eyes."""
    settings = Settings(models_dir=models, models_verify=False, cache_dir=cache)
    with Engine(settings) as engine:
        analyser = NeuralAnalyser(networks_of(engine.models, engine.runtime))
        following = Following(analyser, lambda analysis: analysis.faces[:1], frames_between(RATE))
        images = list(frames_of(clip))
        seen = [following.see(image, index) for index, image in enumerate(images)]
        errors = []
        for image, frame in zip(images, seen, strict=True):
            (exact, *_), (fast, *_) = analyser.faces(image), frame.settle()
            eyes = exact.landmarks.five_of_68[:2]
            away = np.linalg.norm(exact.landmarks.sixty_eight - fast.landmarks.sixty_eight, axis=1)
            errors.append(100 * away.mean() / np.linalg.norm(eyes[1] - eyes[0]))
    return float(np.mean(errors)), float(np.max(errors))


def picture_difference(clip: Path, exact: Path, fast: Path) -> tuple[float, float]:
    """Mean difference (0 to 255) of fast from exact pictures, and of exact ones from the clip, where that changed."""
    differences, changes = [], []
    for before, a, b in zip(frames_of(clip), frames_of(exact), frames_of(fast), strict=True):
        change = np.abs(a.astype(np.int16) - before).max(axis=2)
        where = change > 8
        changes.append(change[where].mean())
        differences.append(np.abs(a.astype(np.int16) - b).mean(axis=2)[where].mean())
    return float(np.mean(differences)), float(np.mean(changes))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("generator", type=Path, help="folder with make_standins.py")
    parser.add_argument("--size", choices=REFERENCE, default="small")
    parser.add_argument("--yunet", type=Path, help="real weights to build the detector round")
    parser.add_argument(
        "--models", type=Path, help="folder to keep the stand-ins in; a temporary one if not given"
    )
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="flags for all runs")
    given = parser.parse_args()
    reference = REFERENCE[given.size]
    with tempfile.TemporaryDirectory() as name, Engine(Settings.from_environment()) as engine:
        folder = Path(name)
        models = given.models or folder / "models"
        make_models(given.generator, models, given.size, given.yunet)
        portrait, source = (engine.models.path(id) for id in ("sample_astronaut", "sample_hopper"))
        clip, cache = folder / "clip.mp4", folder / "cache"
        make_clip(clip, portrait, SIZE, SECONDS, RATE)
        run(models, cache, source, clip, folder / "warm.mp4", ["--trim-frame-end", "2", *given.more])
        print(f"{given.size} stand-ins, FaceFusion 3.8.1: {reference}")
        for label in given.runs:
            cost = run(models, cache, source, clip, folder / f"{label}.mp4", [*RUNS[label], *given.more])
            print(
                f"{label:17}{cost.cpu:7.1f} s CPU {cost.wall:7.1f} s wall {cost.memory:6.0f} MB  = "
                f"{cost.over(reference)}; its 125 runs of the swap network {bare(models, cache):5.1f} s CPU, "
                f"load of the machine {os.getloadavg()[0]:.1f}",
                flush=True,
            )
        if {"exact", "fast"} <= set(given.runs):
            mean, largest = landmark_error(models, cache, clip)
            away, change = picture_difference(clip, folder / "exact.mp4", folder / "fast.mp4")
            print(
                f"fast against exact: landmarks {mean:.2f} % of the eye distance (worst frame {largest:.2f} %), "
                f"pictures {away:.2f} levels where the swap itself changes {change:.1f}"
            )


if __name__ == "__main__":
    main()
