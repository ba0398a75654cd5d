from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mien.errors import ModelCorrupt, ModelMissing, ModelUnknown, OptionError
from mien.faces.masks import Masker
from mien.faces.options import MaskOptions
from mien.inference.runtime import Runtime
from mien.models.catalogue import HubSource, load_catalogue
from mien.models.store import ModelStore
from mien.options import build, declared
from mien.processors.deep_swap.names import custom_names, custom_path
from mien.processors.deep_swap.network import DeepNetwork
from mien.processors.deep_swapper import TEMPLATE, DeepState, DeepSwapper, DeepSwapperOptions
from mien.settings import Settings
from mien.types import Face, Frame
from tests.processors.faces_made import frame_of, made_face, noise, run_of
from tests.standins.redrawing import dfm, enlarger

FACE = made_face(210, 190, 200)
VENDORS = {"druuzil": 77, "edel": 5, "iperov": 24, "jen": 7, "mats": 17, "rumateus": 27}


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(Settings(cache_dir=tmp_path / "cache")) as runtime:
        yield runtime


def state_of(
    runtime: Runtime, path: Path, *, morph: float = 1.0, compat: bool = False, **mask: Any
) -> DeepState:
    network = DeepNetwork.of("standin", runtime.load(path), morph, compat)
    return DeepState(network, TEMPLATE, Masker(compat=compat, **mask), compat)


def swapped(image: Frame, state: DeepState, face: Face = FACE) -> Frame:
    frame = frame_of(image, face)
    DeepSwapper().process(frame, state)
    return frame.image


def test_options_are_those_of_facefusion() -> None:
    found = {item.flag: (item.default, item.ge, item.le) for item in declared(DeepSwapperOptions)}
    assert found == {
        "--deep-swapper-model": ("iperov/elon_musk_224", None, None),
        "--deep-swapper-morph": (100, 0, 100),
    }


def test_the_catalogue_has_all_people_with_scope_and_place() -> None:
    models = load_catalogue().family("deep_swap")
    assert Counter(model.vendor for model in models) == VENDORS
    for model in models:
        (file,) = model.files
        assert file.name == f"{model.id}.dfm"
        assert file.sources == (HubSource(f"deepfacelive-models-{model.vendor}", file.basename),)
        assert not model.commercial_use
        assert model.params["scopes"] == (["lite", "full"] if model.vendor == "iperov" else ["full"])
        assert build(DeepSwapperOptions, {"deep_swapper_model": model.id}).model == model.id


@pytest.mark.parametrize(
    "name",
    ["elon_musk_224", "someone/elon_musk_224", "custom/", "custom/../x", "custom/a\\b", "custom/.x", ""],
)
def test_a_name_that_is_no_model_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="deep_swapper_model cannot be"):
        build(DeepSwapperOptions, {"deep_swapper_model": name})


def test_models_that_must_be_present() -> None:
    models = lambda name: DeepSwapper().models(DeepSwapperOptions(model=name))  # noqa: E731
    assert models("mats/kim_jisoo_320") == ("mats/kim_jisoo_320",)
    assert models("custom/me") == ()


def prepared(folder: Path, runtime: Runtime, name: str, models_dir: Path | None, **options: Any) -> DeepState:
    settings = Settings(models_dir=models_dir, models_verify=False, cache_dir=folder / "cache")
    run = run_of(models=ModelStore(settings, load_catalogue()), runtime=runtime, groups=(MaskOptions(),))
    return DeepSwapper().prepare(run, DeepSwapperOptions(model=name, **options))


@pytest.mark.parametrize("ending", ["dfm", "onnx"])
def test_own_models_lie_in_a_folder_custom(ending: str, runtime: Runtime, tmp_path: Path) -> None:
    own, kept = tmp_path / "own", tmp_path / "cache" / "models"
    made = dfm(tmp_path / "made.dfm", 64)
    for folder, name in ((own, "me"), (kept, "you")):
        (folder / "custom").mkdir(parents=True)
        shutil.copy(made, folder / "custom" / f"{name}.{ending}")
    assert prepared(tmp_path, runtime, "custom/me", own).network.size == (64, 64)
    assert prepared(tmp_path, runtime, "custom/you", own).network.size == (64, 64)
    assert prepared(tmp_path, runtime, "custom/you", None).network.name == "custom/you"
    assert custom_names((own, kept)) == ("custom/me", "custom/you")
    assert custom_path("custom/me", (own, kept)).parent == own / "custom"


def test_a_model_that_is_not_there_is_named_with_its_place(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no model custom/me: put me\.dfm into .*models.custom\."):
        prepared(tmp_path, runtime, "custom/me", None)
    with pytest.raises(ModelUnknown, match="did you mean iperov/elon_musk_224"):
        prepared(tmp_path, runtime, "iperov/elon_musk_225", None)


def test_a_model_of_the_catalogue_is_found_under_its_vendor(runtime: Runtime, tmp_path: Path) -> None:
    dfm(tmp_path / "own" / "iperov" / "elon_musk_224.dfm", 96, morphs=False)
    state = prepared(tmp_path, runtime, "iperov/elon_musk_224", tmp_path / "own", morph=30)
    assert state.network.size == (96, 96)
    assert state.network.morph is None


@pytest.mark.parametrize("compat", [False, True])
def test_the_face_is_replaced_and_nothing_else(compat: bool, runtime: Runtime, tmp_path: Path) -> None:
    state = state_of(runtime, dfm(tmp_path / "m.dfm", 128), compat=compat)
    image = noise(400, 420) // 2 + 60
    made = swapped(image, state)
    changed = np.argwhere((made != image).any(axis=2))
    x, y = FACE.landmarks.five_of_68[2]
    assert np.abs(made[int(y), int(x)].astype(int) - image[int(y), int(x)]).max() > 5
    assert (changed.min(axis=0) > (y - 190, x - 190)).all()
    assert (changed.max(axis=0) < (y + 190, x + 190)).all()
    assert np.array_equal(made[:30], image[:30])


def test_the_colours_of_the_target_are_taken_over(runtime: Runtime, tmp_path: Path) -> None:
    """The stand-in paints a green face: on a red one the result is between both, not green."""
    image = np.full((400, 420, 3), (40, 40, 200), np.uint8)
    made = swapped(image, state_of(runtime, dfm(tmp_path / "m.dfm", 128)))
    x, y = FACE.landmarks.five_of_68[2].astype(int)
    blue, green, red = (int(value) for value in made[y, x])
    assert red >= 100
    assert green < 90
    assert blue < 60


@pytest.mark.parametrize(("morph", "near"), [(0.0, True), (1.0, False)])
def test_morph_tells_how_much_of_the_person_there_is(
    morph: float, near: bool, runtime: Runtime, tmp_path: Path
) -> None:
    image = noise(400, 420) // 4 + 100
    made = swapped(image, state_of(runtime, dfm(tmp_path / "m.dfm", 224), morph=morph))
    x, y = FACE.landmarks.five_of_68[2].astype(int)
    area = (slice(y - 20, y + 20), slice(x - 20, x + 20))
    off = float(np.abs(made[area].astype(int) - image[area]).mean())
    assert (off < 6) == near


def test_where_the_masks_of_the_model_are_empty_nothing_changes(runtime: Runtime, tmp_path: Path) -> None:
    image = noise(400, 420)
    assert np.array_equal(swapped(image, state_of(runtime, dfm(tmp_path / "m.dfm", 64, mask=0.0))), image)


def test_padding_cuts_the_face_off(runtime: Runtime, tmp_path: Path) -> None:
    image = noise(400, 420)
    made = swapped(image, state_of(runtime, dfm(tmp_path / "m.dfm", 128), padding=(0, 0, 60, 0)))
    _, y = FACE.landmarks.five_of_68[3].astype(int)  # a corner of the mouth
    assert np.array_equal(made[y + 20 :], image[y + 20 :])
    assert not np.array_equal(made, image)


def test_only_chosen_areas_are_replaced(runtime: Runtime, tmp_path: Path) -> None:
    image = noise(400, 420)
    state = state_of(runtime, dfm(tmp_path / "m.dfm", 128), types=("area",), areas=("mouth",))
    made = swapped(image, state)
    eyes = FACE.landmarks.five_of_68[:2].astype(int)
    for x, y in eyes:
        assert np.array_equal(made[y - 5 : y + 5, x - 5 : x + 5], image[y - 5 : y + 5, x - 5 : x + 5])
    assert not np.array_equal(made, image)


def test_faces_are_placed_in_an_enlarged_frame(runtime: Runtime, tmp_path: Path) -> None:
    image = noise(200, 210)
    frame = frame_of(image, made_face(105, 95, 100))
    frame.image = image.repeat(2, axis=0).repeat(2, axis=1)
    before = frame.image.copy()
    DeepSwapper().process(frame, state_of(runtime, dfm(tmp_path / "m.dfm", 128)))
    changed = np.argwhere((frame.image != before).any(axis=2)).mean(axis=0)
    middle = 2 * made_face(105, 95, 100).landmarks.five_of_68.mean(axis=0)
    assert np.abs(changed[::-1] - middle).max() < 25


def spec(name: str, *shape: int | None) -> Any:
    return SimpleNamespace(name=name, shape=shape)


@pytest.mark.parametrize(
    ("inputs", "outputs", "what"),
    [
        ([spec("input", 1, 3, 64, 64)], 3, "is no DeepFaceLive model"),
        ([spec("in_face:0", 1, 3, 64, 64)], 3, "is no DeepFaceLive model"),
        ([spec("in_face:0", 1, 64, 64, 3), spec("other:0", 1)], 3, "is no DeepFaceLive model"),
        ([spec("in_face:0", 1, 64, 64, 3)], 1, "is no DeepFaceLive model"),
        ([spec("in_face:0", 1, None, None, 3)], 3, "does not say how large"),
    ],
)
def test_a_model_of_another_kind_is_refused(inputs: list[Any], outputs: int, what: str) -> None:
    session = SimpleNamespace(inputs=inputs, outputs=[None] * outputs)
    with pytest.raises(ModelCorrupt, match=f"The model file of custom/x {what}"):
        DeepNetwork.of("custom/x", session, 1.0, False)  # type: ignore[arg-type]


def test_outputs_of_another_size_are_refused(runtime: Runtime, tmp_path: Path) -> None:
    session = runtime.load(dfm(tmp_path / "m.dfm", 64))
    network = DeepNetwork("custom/x", session, (64, 64), 1.0, False)

    class Small:
        def run(self, feeds: Any) -> list[np.ndarray]:
            return [output[:, :32] for output in session.run(feeds)]

    with pytest.raises(ModelCorrupt, match="custom/x is not that model"):
        DeepNetwork("custom/x", Small(), network.size, 1.0, False).swap(noise(64, 64))  # type: ignore[arg-type]


def test_a_file_of_an_enlarger_is_refused_in_one_sentence(runtime: Runtime, tmp_path: Path) -> None:
    enlarger(tmp_path / "own" / "custom" / "me.dfm", 2)
    with pytest.raises(ModelCorrupt) as caught:
        prepared(tmp_path, runtime, "custom/me", tmp_path / "own")
    assert str(caught.value).count(". ") == 0
