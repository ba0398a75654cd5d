from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from mien.errors import ModelCorrupt
from mien.faces.masks import Masker, Occluder
from mien.faces.neural.classifier import Attributes
from mien.inference.runtime import Runtime
from mien.models.catalogue import load_catalogue
from mien.options import declared
from mien.processors.age.network import AgeNetwork
from mien.processors.age.ways import AgeState
from mien.processors.age_modifier import AgeModifier, AgeModifierOptions, ModelName, ModifierState
from mien.settings import Settings
from mien.types import Face, Frame
from tests.processors.faces_made import frame_of, made_face, noise
from tests.standins.redrawing import dfm, fran, styleganex

FACE = made_face(210, 190, 200)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with Runtime(Settings(cache_dir=tmp_path_factory.mktemp("cache"))) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("age")
    return {"fran": fran(folder / "fran.onnx"), "styleganex_age": styleganex(folder / "styleganex_age.onnx")}


class Blue:
    """An occluder: what is blue hides the face."""

    def run(self, feeds: Any) -> list[np.ndarray]:
        return [(feeds[0][..., :1] < 0.9).astype(np.float32)]


def state_of(
    runtime: Runtime,
    files: dict[str, Path],
    model: ModelName,
    direction: int,
    *,
    compat: bool = False,
    types: tuple[str, ...] = ("box",),
    blur: float = 0.3,
    networks: Any = None,
) -> ModifierState:
    params = load_catalogue()[model].params
    network = AgeNetwork.of(model, params, runtime.load(files[model]))
    masker = Masker(types=types, blur=blur, occluders=lambda: (Occluder("blue", Blue()),), compat=compat)
    return ModifierState(model, AgeState(network, direction, masker, compat), networks)


def aged(image: Frame, state: ModifierState, *faces: Face, ages: range = range(30, 40)) -> Frame:
    frame = frame_of(image, *(faces or (FACE,)))
    attributes = lambda face: Attributes("female", ages, "white")  # noqa: E731
    frame.analysis = cast(Any, SimpleNamespace(attributes=attributes))
    AgeModifier().process(frame, state)
    return frame.image


def middle_of_face(image: Frame) -> list[int]:
    x, y = FACE.landmarks.five_of_68[2].astype(int)
    return [int(value) for value in image[y, x]]


def test_options_are_those_of_facefusion() -> None:
    found = {item.flag: (item.default, item.ge, item.le) for item in declared(AgeModifierOptions)}
    assert found == {
        "--age-modifier-model": ("fran", None, None),
        "--age-modifier-direction": (0, -100, 100),
    }


def test_only_fran_needs_to_know_ages() -> None:
    models = lambda name: AgeModifier().models(AgeModifierOptions(model=name))  # noqa: E731
    assert models("fran") == ("fran", "fairface")
    assert models("styleganex_age") == ("styleganex_age",)
    catalogue = load_catalogue()
    assert catalogue["fran"].commercial_use
    assert not catalogue["styleganex_age"].commercial_use


@pytest.mark.parametrize(
    ("ages", "direction", "now", "wanted"),
    [
        (range(30, 40), 40, 34.5, 74.5),
        (range(30, 39), 40, 34.0, 74.0),  # a class as FaceFusion counts it
        (range(70, 101), 60, 85.0, 100.0),
        (range(0, 3), -20, 1.0, 0.0),
    ],
)
def test_fran_is_told_the_age_now_and_the_age_wanted(
    ages: range, direction: int, now: float, wanted: float, runtime: Runtime, files: dict[str, Path]
) -> None:
    """The stand-in paints them: green for now, red for then, 255 for a hundred years."""
    made = aged(noise(400, 420), state_of(runtime, files, "fran", direction), ages=ages)
    assert middle_of_face(made) == pytest.approx([0, now * 2.55, wanted * 2.55], abs=0.51)


def test_without_an_analysis_the_classifier_is_asked_about_the_target(
    runtime: Runtime, files: dict[str, Path]
) -> None:
    image, asked = noise(400, 420), []

    def classify(frame: Frame, five: Any, *, compat: bool) -> Attributes:
        asked.append((frame is image, np.array_equal(five, FACE.landmarks.five_of_68), compat))
        return Attributes("male", range(50, 60), "white")

    networks = SimpleNamespace(classifier=lambda: SimpleNamespace(classify=classify))
    frame = frame_of(image, FACE)
    AgeModifier().process(frame, state_of(runtime, files, "fran", 0, networks=networks))
    assert asked == [(True, True, False)]
    assert middle_of_face(frame.image)[1] == pytest.approx(54.5 * 2.55, abs=0.51)


@pytest.mark.parametrize("direction", [-100, 0, 50])
def test_styleganex_is_told_from_plus_to_minus(
    direction: int, runtime: Runtime, files: dict[str, Path]
) -> None:
    """The stand-in is lighter by a twentieth of the range for each 1.0; the colour match takes that back."""
    image = noise(400, 420) // 4 + 90
    state = state_of(runtime, files, "styleganex_age", direction)
    told: list[float] = []
    session = state.age.network.session

    class Listening:
        inputs = session.inputs

        def run(self, feeds: Any) -> Any:
            told.append(float(feeds["direction"]))
            assert feeds["direction"].shape == ()
            return session.run(feeds)

    network = AgeNetwork(state.model, cast(Any, Listening()), state.age.network.mean, state.age.network.std)
    made = aged(
        image, ModifierState(state.model, AgeState(network, direction, state.age.masker, False), None)
    )
    assert told == [pytest.approx(-direction / 40)]
    assert abs(float(made.mean()) - image.mean()) < 1.5


def test_a_picture_that_styleganex_leaves_alone_is_not_shifted(
    runtime: Runtime, files: dict[str, Path]
) -> None:
    ramp = np.broadcast_to((np.arange(420) / 2).astype(np.uint8)[None, :, None], (400, 420, 3)).copy()
    off = {
        compat: aged(ramp, state_of(runtime, files, "styleganex_age", 0, compat=compat)).astype(int) - ramp
        for compat in (False, True)
    }
    inside = (slice(150, 230), slice(170, 250))
    assert abs(off[False][inside].mean()) < 0.3
    assert abs(off[False][inside].mean()) < abs(off[True][inside].mean())


def covered(
    runtime: Runtime, files: dict[str, Path], model: ModelName, *, compat: bool
) -> tuple[Frame, Frame]:
    """A face far from the corner of the frame, with something blue before its cheek; and what became of it."""
    face = made_face(510, 190, 200)
    image = np.full((400, 720, 3), 120, np.uint8)
    image[200:260, 530:590] = (255, 0, 0)
    state = state_of(runtime, files, model, 100, compat=compat, types=("occlusion",))
    return image, aged(image, state, face)


@pytest.mark.parametrize("model", ["fran", "styleganex_age"])
def test_what_hides_the_face_stays(model: ModelName, runtime: Runtime, files: dict[str, Path]) -> None:
    image, made = covered(runtime, files, model, compat=False)
    blue = (slice(205, 255), slice(535, 585))
    assert np.abs(made[blue].astype(int) - image[blue]).max() <= 6


def test_upstream_shifts_the_mask_of_what_hides_the_face(runtime: Runtime, files: dict[str, Path]) -> None:
    seen = {}
    for compat in (False, True):
        image, made = covered(runtime, files, "styleganex_age", compat=compat)
        seen[compat] = np.abs(made[205:255, 535:585].astype(int) - image[205:255, 535:585]).mean()
    assert seen[True] > seen[False] + 1


def test_a_face_beside_the_frame_changes_nothing(runtime: Runtime, files: dict[str, Path]) -> None:
    image = noise(200, 200)
    for model in ("fran", "styleganex_age"):
        made = aged(image, state_of(runtime, files, cast(ModelName, model), 50), made_face(1500, 1500, 100))
        assert np.array_equal(made, image)


def test_a_model_of_another_kind_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    session = runtime.load(dfm(tmp_path / "m.onnx", 64))
    with pytest.raises(ModelCorrupt, match="fran has the inputs in_face:0, morph_value:0 where target"):
        AgeNetwork.of("fran", load_catalogue()["fran"].params, session)
