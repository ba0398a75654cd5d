from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mien.errors import ModelCorrupt, NoFace, OptionError
from mien.faces.options import MaskOptions
from mien.models.catalogue import load_catalogue
from mien.processors.face_swapper import FaceSwapper, FaceSwapperOptions, ModelName
from mien.processors.neural_swap import models_for
from mien.processors.neural_swap.family import NeuralFamily
from mien.types import Face, Frame
from tests.processors.faces_made import frame_of, made_face, noise
from tests.processors.neural_swap.made import FakeSession, arcface, make_run

NEURAL = [name for name in get_args(ModelName) if name != "mesh"]
SIGNED = ("ghost", "hififace", "hyperswap", "uniface")
FACE = made_face(220, 200, 110)
PLAIN = MaskOptions(blur=0.0)


def negative(kind: str) -> FakeSession:
    """Gives the negative of what it is shown, in the range of the kind."""
    full = 0.0 if kind.startswith(SIGNED) else 1.0
    return FakeSession(lambda source, target: full - target)


def sessions_for(model: str) -> dict[str, FakeSession]:
    made = {id: FakeSession(lambda input: input * 2, ("input",)) for id in models_for(model)[2:]}
    swapper = negative(model)
    if model == "simswap_256":
        mean, std = (np.array(load_catalogue()[model].params[key])[:, None, None] for key in ("mean", "std"))
        swapper = FakeSession(lambda source, target: 1 - (target * std + mean))
    return {**made, "arcface": arcface(), model: swapper}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.png"
    cv2.imwrite(str(path), noise(seed=3))
    return path


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    path = tmp_path / "inswapper.onnx"
    constant = numpy_helper.from_array(np.eye(512, dtype=np.float32), "emap")
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [constant])), path)
    return path


def swap(
    image: Frame, model: str, source: Path, matrix: Path, **changes: object
) -> tuple[Frame, dict[str, FakeSession]]:
    compat = bool(changes.pop("compat", False))
    sessions = sessions_for(model)
    run = make_run(
        sessions, lambda image: (FACE,), PLAIN, sources=(source,), compat=compat, paths={model: matrix}
    )
    swapper = FaceSwapper()
    state = swapper.prepare(run, FaceSwapperOptions(model=model, **changes))
    frame = frame_of(image, FACE)
    swapper.process(frame, state)
    return frame.image, sessions


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("model", NEURAL)
def test_every_network_gets_its_face_and_its_result_is_pasted(
    model: str, compat: bool, source: Path, matrix: Path
) -> None:
    image = cv2.GaussianBlur(noise(440, 440), (0, 0), 6)
    result, sessions = swap(image, model, source, matrix, compat=compat)
    middle = np.s_[190:220, 210:235]
    assert np.abs(result[middle].astype(int) - (255 - image[middle].astype(int))).mean() < 8
    assert np.array_equal(result[:5], image[:5])
    fed = sessions[model].fed[0]
    size = load_catalogue()[model].params["size"]
    assert fed["target"].shape == (1, 3, size, size)
    assert fed["target"].dtype == np.float32
    pictures = {"blendswap_256": (1, 3, 112, 112), "uniface_256": (1, 3, 256, 256)}
    assert fed["source"].shape == pictures.get(model, (1, 512))


@pytest.mark.parametrize("model", NEURAL)
def test_models_that_are_needed_are_all_in_the_catalogue(model: str) -> None:
    catalogue = load_catalogue()
    needed = FaceSwapper().models(FaceSwapperOptions(model=model))
    assert needed[0] == model
    assert all(id in catalogue for id in needed)
    assert ("arcface" in needed) == (model not in ("blendswap_256", "uniface_256"))
    assert not FaceSwapper().in_order(FaceSwapperOptions(model=model))


def test_half_weight_asks_nobody_who_the_target_is(source: Path, matrix: Path) -> None:
    _, sessions = swap(noise(), "hyperswap_1a_256", source, matrix)
    assert sessions["arcface"].runs == 1
    _, sessions = swap(noise(), "hyperswap_1a_256", source, matrix, weight=0.8)
    assert sessions["arcface"].runs == 2


@pytest.mark.parametrize(
    ("model", "boost", "runs"),
    [
        ("inswapper_128", "256x256", 4),
        ("inswapper_128", "384x384", 9),
        ("hyperswap_1a_256", "512x512", 4),
        ("blendswap_256", "384x384", 4),
        ("simswap_unofficial_512", "768x768", 4),
    ],
)
def test_pixel_boost_works_at_every_size_offered(
    model: str, boost: str, runs: int, source: Path, matrix: Path
) -> None:
    image = cv2.GaussianBlur(noise(440, 440), (0, 0), 6)
    result, sessions = swap(image, model, source, matrix, pixel_boost=boost)
    assert sessions[model].runs == runs
    middle = np.s_[190:220, 210:235]
    assert np.abs(result[middle].astype(int) - (255 - image[middle].astype(int))).mean() < 8


def test_a_network_that_takes_many_at_once_gets_them_at_once(source: Path) -> None:
    session = FakeSession(lambda source, target: 1 - target, batch=True)
    run = make_run({"blendswap_256": session}, lambda image: (FACE,), PLAIN, sources=(source,))
    family = NeuralFamily("blendswap_256")
    state = family.prepare(run, FaceSwapperOptions(model="blendswap_256", pixel_boost="512x512"), (source,))
    family.process(frame_of(noise(), FACE), state)
    assert session.runs == 1
    assert session.fed[0]["target"].shape == (4, 3, 256, 256)
    assert session.fed[0]["source"].shape == (4, 3, 112, 112)


def test_a_boost_that_the_model_does_not_offer_is_refused(source: Path, matrix: Path) -> None:
    with pytest.raises(OptionError, match="384x384 with hyperswap_1a_256: choose from 256x256, 512x512"):
        swap(noise(), "hyperswap_1a_256", source, matrix, pixel_boost="384x384")


def test_a_source_without_a_face_is_named(source: Path) -> None:
    run = make_run(sessions_for("hyperswap_1a_256"), lambda image: (), sources=(source,))
    with pytest.raises(NoFace, match=r"source\.png"):
        FaceSwapper().prepare(run, FaceSwapperOptions(model="hyperswap_1a_256"))


def test_the_largest_face_of_each_source_counts(tmp_path: Path, source: Path) -> None:
    small, large = made_face(40, 40, 30), made_face(120, 110, 100)
    second = tmp_path / "second.png"
    cv2.imwrite(str(second), noise(seed=9))
    found: list[tuple[Face, ...]] = [(small, large), ()]
    sessions = sessions_for("hyperswap_1a_256")
    run = make_run(sessions, lambda image: found.pop(0), sources=(source, second))
    FaceSwapper().prepare(run, FaceSwapperOptions(model="hyperswap_1a_256"))
    assert sessions["arcface"].runs == 1


def test_another_network_under_the_name_is_refused(source: Path) -> None:
    sessions = {
        **sessions_for("hyperswap_1a_256"),
        "hyperswap_1a_256": FakeSession(lambda input: input, ("input",)),
    }
    run = make_run(sessions, lambda image: (FACE,), sources=(source,))
    with pytest.raises(ModelCorrupt, match="instead of source and target"):
        FaceSwapper().prepare(run, FaceSwapperOptions(model="hyperswap_1a_256"))
    sessions["hyperswap_1a_256"] = FakeSession(lambda source, target: target[:, :, ::2])
    state = FaceSwapper().prepare(run, FaceSwapperOptions(model="hyperswap_1a_256"))
    with pytest.raises(ModelCorrupt, match="gives an array of shape"):
        FaceSwapper().process(frame_of(noise(), FACE), state)


def test_faces_are_moved_into_an_enlarged_frame(source: Path) -> None:
    sessions = sessions_for("hyperswap_1a_256")
    run = make_run(sessions, lambda image: (FACE,), PLAIN, sources=(source,))
    state = FaceSwapper().prepare(run, FaceSwapperOptions(model="hyperswap_1a_256"))
    image = cv2.GaussianBlur(noise(440, 440), (0, 0), 6)
    frame = frame_of(image, FACE)
    frame.image = cv2.resize(image, (880, 880))
    before = frame.image.copy()
    FaceSwapper().process(frame, state)
    changed = np.argwhere((frame.image != before).any(axis=2))
    assert np.abs(changed.mean(axis=0) - np.array(FACE.box.center)[::-1] * 2).max() < 40
