"""Faces and frames made for the tests: the mean face anywhere, of any size, turned and tilted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from mien.faces.canonical import canonical
from mien.faces.views import box_of_mesh, landmarks_of_mesh
from mien.options import Options
from mien.processors.base import FrameContext, RunContext
from mien.types import Face, Frame, MediaInfo, Points


def made_mesh(
    x: float, y: float, height: float, *, yaw: float = 0.0, roll: float = 0.0, mouth: float = 0.0
) -> Points:
    """The mean face, its nose bridge at (x, y), ``height`` pixels high; angles in degrees."""
    shape = canonical().points_full.astype(np.float64).copy()
    if mouth:
        lower = np.unique(np.concatenate([canonical().lip_rows[1].ravel(), [14, 17]]))
        shape[lower, 1] += mouth
    scale = height / np.ptp(shape[:, 1])
    a, b = np.radians((yaw, roll))
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return (scale * shape @ (tilt @ turn).T + [x, y, 0]).astype(np.float32)


def made_face(
    x: float = 100, y: float = 90, height: float = 120, *, track: int | None = None, observed: bool = True,
    **turned: float,
) -> Face:  # fmt: skip
    """A face with the mesh of ``made_mesh``."""
    mesh = made_mesh(x, y, height, **turned)
    return Face(box_of_mesh(mesh), 0.9, landmarks_of_mesh(mesh), track=track, observed=observed)


def noise(height: int = 200, width: int = 200, seed: int = 1) -> Frame:
    """A frame of coarse and fine noise: something to recognise at every scale."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3))
    coarse = np.kron(cells, np.ones((8, 8, 1)))[:height, :width]
    return np.clip(0.7 * coarse + rng.normal(40, 25, (height, width, 3)), 0, 255).astype(np.uint8)


def frame_of(
    image: Frame, *faces: Face, selected: tuple[Face, ...] | None = None, time: float = 0.0, cut: bool = False
) -> FrameContext:
    """A frame on its way, with the faces in it; all of them selected unless said otherwise."""
    return FrameContext(
        image=image.copy(),
        target=image,
        index=round(time * 25),
        time=time,
        find_faces=lambda: faces,
        select_faces=lambda found: found if selected is None else selected,
        cut=cut,
    )


def run_of(
    notices: list[str] | None = None,
    *,
    models: object = None,
    runtime: object = None,
    groups: tuple[Options, ...] = (),
) -> RunContext:
    """What a processor is prepared with; options that are not given have their defaults."""
    given = {type(group): group for group in groups}
    settings: Callable[[type[Options]], Any] = lambda kind: given.get(kind, kind())  # noqa: E731
    return RunContext(
        models=cast(Any, models),
        runtime=cast(Any, runtime),
        analyser=cast(Any, None),
        sources=(),
        target=MediaInfo("image", "png", 200, 200, 0.0),
        settings_of=settings,
        notice=(notices if notices is not None else []).append,
    )


def fake_models(**paths: str) -> Any:
    """A store that only knows where files are."""
    return SimpleNamespace(path=lambda id: Path(paths.get(id, id)))
