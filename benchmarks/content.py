"""What the content policy costs: each look at a frame, and for a video one frame a second before and after the work.

    python benchmarks/content.py --models FOLDER      a folder with nsfw_1.onnx, nsfw_2.onnx and nsfw_3.onnx

Milliseconds of CPU time on a made 720p frame, in one thread for each network; the vote is unanimous, so the third and
largest network does not run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mien.inference.runtime import Runtime
from mien.models.catalogue import load_catalogue
from mien.models.store import ModelStore
from mien.pipeline.policy import Policy
from mien.processors.base import FrameContext
from mien.safety.content import make_vote
from mien.settings import Settings

RATE = 30
ROUNDS = 20


def frame_of(target: np.ndarray, image: np.ndarray) -> FrameContext:
    return FrameContext(
        image=image, target=target, index=0, time=0.0, find_faces=tuple, select_faces=lambda faces: faces
    )


def cost(work: Callable[[], object]) -> float:
    """Milliseconds of CPU of one call."""
    work()
    started = time.process_time()
    for _ in range(ROUNDS):
        work()
    return 1000 * (time.process_time() - started) / ROUNDS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path)
    given = parser.parse_args()
    settings = Settings.from_environment()
    if given.models:
        settings = settings.model_copy(update={"models_dir": given.models, "models_verify": False})
    store, runtime = ModelStore(settings, load_catalogue()), Runtime(settings)
    policy = Policy(make_vote(store.catalogue, lambda id: runtime.load(store.path(id))), refuses=True)
    target = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), np.uint8)
    changed = target.copy()
    changed[300:500, 500:700] = 90
    target_only = cost(lambda: policy.flags(target))
    same = cost(lambda: policy.look(frame_of(target, target.copy())))
    both = cost(lambda: policy.look(frame_of(target, changed)))
    for name, found in (("target", target_only), ("unchanged result", same), ("target and result", both)):
        print(f"{name:20}{found:8.2f} ms a look{found / RATE:8.3f} ms a frame of a video at {RATE} frames/s")


if __name__ == "__main__":
    main()
