"""Swap two real portraits both ways, and ask a face recogniser and the mesh whose face it is now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from mien.faces.canonical import EYE_CORNERS, Floats, canonical
from mien.processors.mesh_swap.memory import Memory
from mien.processors.mesh_swap.source import prepare_source
from mien.processors.mesh_swap.swap import MeshSettings, swap_face
from mien.types import Frame

if TYPE_CHECKING:
    from mien.faces.builtin.analyser import BuiltinAnalyser
    from mien.models.store import ModelStore
    from mien.settings import Settings

# Where ArcFace's alignment puts eyes, nose tip and mouth corners in 112×112.
TEMPLATE = np.float32(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


@dataclass(frozen=True)
class Portrait:
    image: Frame
    mesh: Floats


@pytest.fixture(scope="module")
def analyser(builtin_store: ModelStore, builtin_settings: Settings) -> BuiltinAnalyser:
    from mien.faces.builtin.analyser import BuiltinAnalyser
    from mien.inference.runtime import Runtime

    return BuiltinAnalyser(builtin_store, Runtime(builtin_settings))


@pytest.fixture(scope="module")
def portraits(builtin_store: ModelStore, analyser: BuiltinAnalyser) -> tuple[Portrait, Portrait]:
    images = [cv2.imread(str(builtin_store.path(name))) for name in ("sample_astronaut", "sample_hopper")]
    first, second = (Portrait(image, mesh_of(analyser, image)) for image in images)
    return first, second


@pytest.fixture(scope="module")
def results(portraits: tuple[Portrait, Portrait]) -> list[tuple[Portrait, Portrait, Frame]]:
    """(source, target, result) for both directions."""
    made = []
    for source, target in (portraits, portraits[::-1]):
        prepared = prepare_source(source.image, source.mesh)
        assert prepared is not None
        image = target.image.copy()
        assert swap_face(image, target.mesh, prepared, MeshSettings(), Memory())
        made.append((source, target, image))
    return made


def mesh_of(analyser: BuiltinAnalyser, image: Frame) -> Floats:
    mesh = analyser.faces(image)[0].landmarks.mesh
    assert mesh is not None
    return mesh


class Recogniser:
    """MobileFaceNet on five aligned points."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, image: Frame, mesh: Floats) -> Floats:
        eyes = [mesh[list(corners), :2].mean(0) for corners in EYE_CORNERS.values()]
        five = np.float32([*eyes, mesh[1, :2], mesh[61, :2], mesh[291, :2]])
        matrix, _ = cv2.estimateAffinePartial2D(five, TEMPLATE, method=cv2.LMEDS)
        crop = cv2.cvtColor(cv2.warpAffine(image, matrix, (112, 112)), cv2.COLOR_BGR2RGB)
        feed = ((crop.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
        embedding = self.session.run(None, {self.session.get_inputs()[0].name: feed})[0][0]
        return embedding / np.linalg.norm(embedding)


def test_swapped_faces_are_nearer_to_the_source(
    results: list[tuple[Portrait, Portrait, Frame]], shared: Path
) -> None:
    recognise = Recogniser(shared / "weights" / "mobilefacenet.onnx")
    for source, target, image in results:
        swapped = recognise(image, target.mesh)
        to_source = float(swapped @ recognise(source.image, source.mesh))
        to_target = float(swapped @ recognise(target.image, target.mesh))
        assert to_source > to_target + 0.1
        assert to_source > 0.45, "different people stay under 0.25"


def test_lips_and_lids_stay_with_the_target(
    results: list[tuple[Portrait, Portrait, Frame]], analyser: BuiltinAnalyser
) -> None:
    groups = canonical().groups
    features = np.concatenate(
        [groups[name] for name in ("lips_outer", "lips_inner", "eye_left", "eye_right")]
    )
    for _, target, image in results:
        moved = np.linalg.norm((mesh_of(analyser, image) - target.mesh)[:, :2], axis=1)
        between_eyes = np.linalg.norm((target.mesh[33] - target.mesh[263])[:2])
        assert moved[features].mean() / between_eyes < 0.04
        assert moved[:468].mean() / between_eyes < 0.035


def test_no_seam_around_the_face(results: list[tuple[Portrait, Portrait, Frame]]) -> None:
    for _, target, image in results:
        band = np.zeros(image.shape[:2], np.uint8)
        oval = target.mesh[canonical().groups["oval"], :2]
        width = max(2, round(0.04 * float(np.ptp(oval[:, 1]))))
        cv2.polylines(band, [np.rint(oval).astype(np.int32)], True, 255, 2 * width)

        def edges(picture: Frame, band: np.ndarray = band) -> float:
            grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
            steps = [cv2.Sobel(grey, cv2.CV_32F, *axis, ksize=1) for axis in ((1, 0), (0, 1))]
            return float(np.percentile(cv2.magnitude(*steps)[band > 0], 95))

        assert edges(image) < 1.05 * edges(target.image)
        changed = cv2.cvtColor(image, cv2.COLOR_BGR2Lab).astype(float) - cv2.cvtColor(
            target.image, cv2.COLOR_BGR2Lab
        )
        assert np.linalg.norm(changed[band > 0], axis=1).mean() < 8
