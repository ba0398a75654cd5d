import cv2
import numpy as np
import pytest

from mien.errors import ModelCorrupt
from mien.faces.options import MaskOptions
from mien.processors.face_enhancer import FaceEnhancer, FaceEnhancerOptions
from mien.types import Frame
from tests.processors.faces_made import frame_of, made_face, noise
from tests.processors.neural_swap.made import FakeSession, make_run

FACE = made_face(220, 200, 110)
SMOOTH = cv2.GaussianBlur(noise(440, 440), (0, 0), 6)
MIDDLE = np.s_[190:220, 210:235]


def enhance(session: FakeSession, *, compat: bool = False, image: Frame = SMOOTH, **options: object) -> Frame:
    made = FaceEnhancerOptions(**options)
    run = make_run({made.model: session}, lambda image: (), MaskOptions(blur=0.0), compat=compat)
    enhancer = FaceEnhancer()
    frame = frame_of(image, FACE)
    enhancer.process(frame, enhancer.prepare(run, made))
    return frame.image


def negative(*names: str) -> FakeSession:
    return FakeSession(lambda input, weight=None: -input, names or ("input",))


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("blend", [0, 50, 80, 100])
def test_the_restored_face_is_blended_in(blend: int, compat: bool) -> None:
    result = enhance(negative(), blend=blend, compat=compat)
    before = SMOOTH[MIDDLE].astype(float)
    wanted = before * (1 - blend / 100) + (255 - before) * blend / 100
    assert np.abs(result[MIDDLE] - wanted).mean() < 6
    assert np.array_equal(result[:5], SMOOTH[:5])


def test_the_crop_is_fed_in_rgb_from_minus_one_to_one() -> None:
    session = negative()
    enhance(session, image=np.full((440, 440, 3), (0, 51, 255), np.uint8), model="gpen_bfr_256")
    fed = session.fed[0]["input"]
    assert fed.shape == (1, 3, 256, 256)
    assert fed[0, :, 128, 128] == pytest.approx([1.0, -0.6, -1.0], abs=1e-6)


def test_only_a_network_that_takes_a_weight_gets_one() -> None:
    weighted = negative("input", "weight")
    enhance(weighted, model="codeformer", weight=0.8)
    assert weighted.fed[0]["weight"].tolist() == [0.8]
    assert weighted.fed[0]["weight"].dtype == np.float64
    plain = negative()
    enhance(plain, weight=0.8)
    assert list(plain.fed[0]) == ["input"]


def test_user_padding_of_the_mask_does_not_count() -> None:
    run = make_run({"gfpgan_1.4": negative()}, lambda image: (), MaskOptions(blur=0.0, padding=(40,)))
    frame = frame_of(SMOOTH, FACE)
    enhancer = FaceEnhancer()
    enhancer.process(frame, enhancer.prepare(run, FaceEnhancerOptions()))
    assert np.array_equal(frame.image, enhance(negative()))


def test_a_foreign_network_is_refused() -> None:
    with pytest.raises(ModelCorrupt, match=r"gfpgan_1\.4"):
        enhance(FakeSession(lambda input: input[:, :, ::2], ("input",)))


def test_models_and_order() -> None:
    assert list(FaceEnhancer().models(FaceEnhancerOptions())) == ["gfpgan_1.4"]
    assert not FaceEnhancer().in_order(FaceEnhancerOptions())
