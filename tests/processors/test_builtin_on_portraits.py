"""The built-in processors on two real portraits, with the real models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from mien.faces.align import align_matrix, warp
from mien.faces.builtin.analyser import BuiltinAnalyser
from mien.faces.canonical import fit_pose
from mien.inference.runtime import Runtime
from mien.media.images import read_image
from mien.processors.background_remover import BackgroundRemover, BackgroundRemoverOptions
from mien.processors.face_anonymizer import FaceAnonymizer, FaceAnonymizerOptions
from mien.processors.face_editor import FaceEditor, FaceEditorOptions
from mien.settings import Settings
from mien.types import Face, Frame
from tests.processors.faces_made import frame_of, run_of

if TYPE_CHECKING:
    from mien.models.store import ModelStore

PORTRAITS = ("sample_astronaut", "sample_hopper")
Portrait = tuple[Frame, Face]


@pytest.fixture(scope="module")
def runtime(builtin_settings: Settings) -> Iterator[Runtime]:
    with Runtime(builtin_settings) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def analyser(builtin_store: ModelStore, runtime: Runtime) -> BuiltinAnalyser:
    return BuiltinAnalyser(builtin_store, runtime)


@pytest.fixture(scope="module", params=PORTRAITS)
def portrait(
    request: pytest.FixtureRequest, builtin_store: ModelStore, analyser: BuiltinAnalyser
) -> Portrait:
    image = read_image(builtin_store.path(request.param)).pixels
    faces = analyser.faces(image)
    assert len(faces) == 1
    return image, faces[0]


@pytest.fixture(scope="module")
def recogniser(shared: Path, runtime: Runtime) -> Any:
    path = shared / "weights" / "mobilefacenet.onnx"
    if not path.is_file():
        pytest.skip("no face recogniser is here")
    session = runtime.load(path)

    def embed(image: Frame, face: Face) -> np.ndarray[Any, np.dtype[np.float64]]:
        crop = warp(image, align_matrix(face.landmarks.five_of_68, "arcface_112_v2", (112, 112)), (112, 112))
        planes = (crop[..., ::-1].astype(np.float32).transpose(2, 0, 1) - 127.5) / 127.5
        vector = np.asarray(session.run([planes[None]])[0], np.float64).ravel()
        return vector / np.linalg.norm(vector)

    return embed


@pytest.mark.parametrize(
    ("mode", "strength", "cells", "most"),
    [("blur", 0.09, 8, 0.15), ("pixelate", 0.12, 10, 0.25), ("solid", 0.12, 8, 0.15)],
)
def test_a_recogniser_does_not_know_the_face_any_more(
    portrait: Portrait,
    recogniser: Any,
    mode: Literal["blur", "pixelate", "solid"],
    strength: float,
    cells: int,
    most: float,
) -> None:
    image, face = portrait
    frame = frame_of(image, face)
    options = FaceAnonymizerOptions(mode=mode, strength=strength, cells=cells)
    FaceAnonymizer().process(frame, FaceAnonymizer().prepare(run_of(), options))
    assert float(recogniser(image, face) @ recogniser(frame.image, face)) < most


@pytest.mark.parametrize(
    ("slider", "value", "measure", "least"),
    [
        ("eye_open_ratio", -0.8, "eyes", -40.0),
        ("eyebrow_direction", 1.0, "brows", 15.0),
        ("mouth_smile", 1.0, "corners", 5.0),
        ("mouth_width", 1.0, "mouth", 40.0),
        ("nose_width", 1.0, "nose", 20.0),
        ("eye_size", 1.0, "eye_width", 15.0),
    ],
)
def test_an_edit_is_seen_by_the_analyser(
    portrait: Portrait, analyser: BuiltinAnalyser, slider: str, value: float, measure: str, least: float
) -> None:
    """Distances in units of the mean face (eyes 1000 apart), measured anew in the edited picture."""
    image, face = portrait
    frame = frame_of(image, face)
    options = FaceEditorOptions(model="mesh", **{slider: value})  # type: ignore[arg-type]
    FaceEditor().process(frame, FaceEditor().prepare(run_of(), options))
    after = analyser.faces(frame.image)
    assert len(after) == 1
    change = measures(after[0])[measure] - measures(face)[measure]
    assert change * np.sign(least) > abs(least)


def measures(face: Face) -> dict[str, float]:
    mesh = face.landmarks.mesh
    assert mesh is not None
    shape = fit_pose(mesh).pose_free(mesh)

    def across(one: int, other: int) -> float:
        return float(np.hypot(*(shape[one, :2] - shape[other, :2])))

    return {
        "eyes": (across(159, 145) + across(386, 374)) / 2,
        "brows": -float(shape[[105, 334, 66, 296], 1].mean()),
        "corners": -float(shape[[61, 291], 1].mean() - shape[[0, 17], 1].mean()),
        "eye_width": (across(33, 133) + across(263, 362)) / 2,
        "mouth": across(61, 291),
        "nose": across(129, 358),
    }


def test_the_person_is_cut_out(portrait: Portrait, builtin_store: ModelStore, runtime: Runtime) -> None:
    image, face = portrait
    frame = frame_of(image, face)
    run = run_of(models=builtin_store, runtime=runtime)
    options = BackgroundRemoverOptions(model="selfie", background="transparent")
    BackgroundRemover().process(frame, BackgroundRemover().prepare(run, options))
    alpha = frame.alpha
    assert alpha is not None
    box = face.box
    assert alpha[int(box.y1) : int(box.y2), int(box.x1) + 8 : int(box.x2) - 8].mean() > 245
    assert alpha[:20, :60].mean() < 10
    assert alpha[:20, -60:].mean() < 10
    assert 0.3 < (alpha > 127).mean() < 0.8
