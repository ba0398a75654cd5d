"""Detectors with real weights on real portraits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.faces.neural.detectors import detect
from mien.faces.neural.networks import Networks
from mien.types import Box
from tests.faces.neural.conftest import OpenIn

if TYPE_CHECKING:
    from mien.models.store import ModelStore

# Where the faces are, by eye: from brow to chin, from ear to ear.
PORTRAITS = {"sample_astronaut": Box(178, 68, 270, 178), "sample_hopper": Box(180, 125, 355, 335)}


@pytest.fixture(scope="module")
def real(shared: Path, open_in: OpenIn, tmp_path_factory: pytest.TempPathFactory) -> Networks:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "scrfd_2.5g.onnx").symlink_to(shared / "weights" / "scrfd_2.5g.onnx")
    (folder / "yunet_2023_mar.onnx").symlink_to(shared / "weights" / "yunet_n_640_640.onnx")
    return open_in(folder)


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("portrait", PORTRAITS)
@pytest.mark.parametrize(("model", "size"), [("scrfd", 640), ("scrfd", 320), ("yunet", 640)])
def test_faces_are_found_where_they_are(
    builtin_store: ModelStore, real: Networks, model: str, size: int, portrait: str, compat: bool
) -> None:
    import cv2

    image = np.asarray(cv2.imread(str(builtin_store.path(portrait))), np.uint8)
    found = detect(image, real.detectors(model, size), compat=compat)
    assert len(found) == 1
    assert Box(*map(float, found.boxes[0])).iou(PORTRAITS[portrait]) > 0.75
    (left, right), nose, mouth = found.points[0, :2], found.points[0, 2], found.points[0, 3:]
    assert left[0] < nose[0] < right[0]
    assert max(left[1], right[1]) < nose[1] < mouth[:, 1].min()
    turned = detect(np.ascontiguousarray(np.rot90(image)), real.detectors(model, size), angles=(0, 270))
    assert len(turned) == 1
