from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import OptionError
from mien.faces.align import scale_face
from mien.faces.neural.analyser import NeuralAnalyser, Setup
from mien.faces.neural.networks import Networks, mask_models
from mien.faces.options import DetectorOptions, LandmarkerOptions, MaskOptions
from mien.types import Face, Landmarks
from tests.standins.face_analysis import draw_face


class Counting:
    """Networks that count how often each model ran."""

    def __init__(self, networks: Networks) -> None:
        self.runs: Counter[str] = Counter()
        self._open = networks.open
        self.networks = Networks(networks.catalogue, self.open)

    def open(self, id: str) -> Any:
        counting, session = self, self._open(id)

        class Counted:
            def run(self, feeds: Any) -> Any:
                counting.runs[id] += 1
                return session.run(feeds)

        return Counted()


@pytest.fixture
def counting(standins: Networks) -> Counting:
    return Counting(standins)


def picture(*centers: tuple[int, int]) -> NDArray[np.uint8]:
    image = np.full((640, 640, 3), 40, np.uint8)
    for index, center in enumerate(centers):
        draw_face(image, center, tint=index * 40)
    return image


PAIR = picture((176, 208), (464, 432))


def test_faces_cost_the_detector_alone(counting: Counting) -> None:
    analysis = NeuralAnalyser(counting.networks).analyse(PAIR)
    assert not counting.runs
    faces = analysis.faces
    assert len(faces) == 2
    assert analysis.faces is faces
    assert [face.box.width > 0 and face.score > 0.5 for face in faces] == [True, True]
    assert counting.runs == {"yolo_face": 1}


def test_each_thing_is_computed_once_on_first_use(counting: Counting) -> None:
    analysis = NeuralAnalyser(counting.networks).analyse(PAIR)
    face = analysis.faces[0]
    marks = face.landmarks
    for _ in range(2):
        assert marks.five_of_68.shape == (5, 2)
        assert marks.sixty_eight.shape == (68, 2)
        assert face.landmark_score > 0.5
        assert face.angle == 0
        assert marks.mesh is None
    assert counting.runs == {"yolo_face": 1, "2dfan4": 1}
    for _ in range(2):
        assert analysis.embedding(face).raw.shape == (512,)
        assert analysis.attributes(face).gender in ("female", "male")
        assert marks.sixty_eight_of_five.shape == (68, 2)
    assert counting.runs == {"yolo_face": 1, "2dfan4": 1, "arcface": 1, "fairface": 1, "fan_68_5": 1}


def test_an_embedding_needs_no_other_face(counting: Counting) -> None:
    analysis = NeuralAnalyser(counting.networks).analyse(PAIR)
    analysis.embedding(analysis.faces[1])
    assert counting.runs == {"yolo_face": 1, "2dfan4": 1, "arcface": 1}


def test_the_angle_comes_from_the_estimate_in_compat(counting: Counting) -> None:
    analyser = NeuralAnalyser(counting.networks, Setup(compat=True))
    assert [face.angle for face in analyser.faces(PAIR)] == [0, 0]
    assert counting.runs == {"yolo_face": 1, "fan_68_5": 2}


def test_without_a_landmarker_the_detector_is_believed(counting: Counting) -> None:
    face = NeuralAnalyser(counting.networks, Setup(landmarker_score=0)).faces(PAIR)[0]
    assert face.landmark_score == 0
    np.testing.assert_array_equal(face.landmarks.five_of_68, face.landmarks.five)
    np.testing.assert_array_equal(face.landmarks.sixty_eight, face.landmarks.sixty_eight_of_five)
    assert counting.runs == {"yolo_face": 1, "fan_68_5": 1}


def test_a_landmarker_in_doubt_leaves_the_detectors_five_points(counting: Counting) -> None:
    setup = Setup(landmarker_score=1.0)
    face = NeuralAnalyser(counting.networks, setup).faces(PAIR)[0]
    np.testing.assert_array_equal(face.landmarks.five_of_68, face.landmarks.five)
    assert np.abs(face.landmarks.sixty_eight - face.landmarks.sixty_eight_of_five).max() > 1


def test_a_pending_face_is_a_face(counting: Counting) -> None:
    face = NeuralAnalyser(counting.networks).faces(PAIR)[0]
    assert isinstance(face, Face)
    assert isinstance(face.landmarks, Landmarks)
    assert "box=" in repr(face)
    assert "sixty_eight" not in repr(face)
    assert counting.runs == {"yolo_face": 1}
    followed = replace(face, track=3)
    assert (followed.track, followed.box, followed.angle) == (3, face.box, 0)
    again = pickle.loads(pickle.dumps(face))
    np.testing.assert_array_equal(again.landmarks.sixty_eight, face.landmarks.sixty_eight)
    assert not hasattr(face, "beard")
    assert not hasattr(again, "beard")


def test_a_face_is_scaled_without_measuring_it(counting: Counting) -> None:
    face = NeuralAnalyser(counting.networks).faces(PAIR)[0]
    half = scale_face(face, 0.5, 0.25)
    np.testing.assert_allclose(half.landmarks.five, face.landmarks.five * (0.5, 0.25))
    assert counting.runs == {"yolo_face": 1}
    np.testing.assert_allclose(half.landmarks.sixty_eight, face.landmarks.sixty_eight * (0.5, 0.25))
    assert half.landmark_score == face.landmark_score
    assert counting.runs == {"yolo_face": 1, "2dfan4": 1}


def test_a_score_of_nothing_runs_nothing(counting: Counting) -> None:
    assert NeuralAnalyser(counting.networks, Setup(score=0)).faces(PAIR) == ()
    assert not counting.runs


def test_points_that_coincide_are_no_face() -> None:
    class Dot:
        def run(self, feeds: Any) -> list[NDArray[Any]]:
            table = np.zeros((1, 20, 8400), np.float32)
            table[0, :5, 7] = (300, 300, 50, 50, 0.9)
            table[0, 5:, 7] = 300
            return [table]

    from mien.models.catalogue import load_catalogue

    networks = Networks(load_catalogue(), lambda id: Dot())
    assert NeuralAnalyser(networks).faces(PAIR) == ()


def test_every_frame_of_a_clip_is_analysed_for_itself(counting: Counting) -> None:
    tracker = NeuralAnalyser(counting.networks).tracker(25.0)
    for index in range(3):
        observed = tracker.update(PAIR, index)
        assert len(observed.faces) == 2
        assert not observed.cut
        assert observed.analysis is not None
        assert observed.analysis.faces is observed.faces
    assert counting.runs == {"yolo_face": 3}


def test_setups_name_their_models() -> None:
    detector = DetectorOptions(model="many", angles=(0, 90), margin=(10, 20), size="640x640")
    setup = Setup.of(detector, LandmarkerOptions(model="peppa_wutz"), compat=True)
    assert (setup.margin, setup.angles, setup.detector_size) == ((10, 20, 10, 20), (0, 90), 640)
    assert setup.models() == ("retinaface", "scrfd", "yolo_face", "fan_68_5", "peppa_wutz")
    assert setup.models(identity=True, attributes=True)[-2:] == ("arcface", "fairface")
    assert Setup(landmarker_score=0).models() == ("yolo_face", "fan_68_5")
    assert Setup().models() == NeuralAnalyser(Networks({}, lambda id: None)).models()  # type: ignore[arg-type, return-value]


def test_masks_name_their_models() -> None:
    assert mask_models(MaskOptions()) == ()
    options = MaskOptions(types=("occlusion", "region"), occluder_model="many")
    assert mask_models(options) == ("xseg_1", "xseg_2", "xseg_3", "bisenet_resnet_34")


def test_a_size_that_a_detector_lacks_is_refused(standins: Networks) -> None:
    with pytest.raises(OptionError, match="yolo_face has no size 320x320: choose from 640x640"):
        standins.detectors("yolo_face", 320)
    assert standins.detectors("scrfd", 320)[0].size == 320


def test_masks_of_a_crop(standins: Networks) -> None:
    options = MaskOptions(types=("box", "occlusion", "region"), occluder_model="many", blur=0.0)
    masker = standins.masker(options)
    crop = np.zeros((128, 128, 3), np.uint8)
    crop[:, 64:] = (0, 255, 0)
    crop[:64] = (255, 0, 0)
    box, seen = masker.before(crop, list)
    (skin,) = masker.after(crop)
    assert box[64, 64] == 1
    assert seen[20, 100] == 0
    assert seen[100, 20] == pytest.approx(1)
    assert skin[100, 20] == 0
    assert skin[100, 100] == pytest.approx(1)
