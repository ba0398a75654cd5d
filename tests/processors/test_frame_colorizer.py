from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

from mien.errors import ModelCorrupt, OptionError
from mien.inference.runtime import Runtime
from mien.models.catalogue import load_catalogue
from mien.options import build, declared
from mien.processors.colorize.network import Colorizer, Kind
from mien.processors.frame_colorizer import FrameColorizer, FrameColorizerOptions, ModelName
from mien.settings import Settings
from mien.types import Frame
from tests.processors.faces_made import frame_of, noise
from tests.standins.redrawing import ddcolor, deoldify, dfm, fran


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(Settings(cache_dir=tmp_path / "cache")) as runtime:
        yield runtime


def colored(
    runtime: Runtime, path: Path, kind: Kind, image: Frame, *, share: float = 1.0, compat: bool = False
) -> Frame:
    state = Colorizer.of("standin", kind, runtime.load(path), (192, 192), share, compat)
    frame = frame_of(image)
    FrameColorizer().process(frame, state)
    assert frame.image.dtype == np.uint8
    return frame.image


def ramp() -> Frame:
    """All greys, 40 rows high."""
    return np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (40, 256, 3)).copy()


def lab(image: Frame) -> np.ndarray:
    """L 0 to 100, a and b around 0."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)


def test_options_are_those_of_facefusion() -> None:
    found = {item.flag: (item.default, item.choices) for item in declared(FrameColorizerOptions)}
    assert found["--frame-colorizer-model"] == ("ddcolor", get_args(ModelName))
    assert found["--frame-colorizer-size"] == ("256x256", ("192x192", "256x256", "384x384", "512x512"))
    assert found["--frame-colorizer-blend"] == (100, ())
    with pytest.raises(OptionError, match="192x192"):
        build(FrameColorizerOptions, {"frame_colorizer_size": "100x100"})


def test_every_model_is_in_the_catalogue() -> None:
    catalogue = load_catalogue()
    kinds = {name: catalogue[name].params["kind"] for name in get_args(ModelName)}
    assert kinds == {name: name.split("_")[0] for name in kinds}


@pytest.mark.parametrize("compat", [False, True])
def test_ddcolor_gives_colour_and_leaves_lightness(compat: bool, runtime: Runtime, tmp_path: Path) -> None:
    image = np.full((50, 70, 3), 120, np.uint8)
    image[:, 35:] = 90
    made = lab(colored(runtime, ddcolor(tmp_path / "m.onnx", 20, -15), "ddcolor", image, compat=compat))
    assert np.abs(made[..., 0] - lab(image)[..., 0]).max() < 0.5
    assert np.abs(made[..., 1] - 20).max() < 1
    assert np.abs(made[..., 2] + 15).max() < 1


def test_deoldify_leaves_lightness_where_upstream_takes_blue_for_it(runtime: Runtime, tmp_path: Path) -> None:
    path = deoldify(tmp_path / "m.onnx")
    image = ramp()
    assert np.abs(colored(runtime, path, "deoldify", image).astype(int) - image).max() <= 2
    upstream = colored(runtime, path, "deoldify", image, compat=True)
    assert upstream[0, 128].max() < 122


def test_deoldify_on_a_red_frame(runtime: Runtime, tmp_path: Path) -> None:
    red = np.zeros((40, 60, 3), np.uint8)
    red[..., 2] = 220
    path = deoldify(tmp_path / "m.onnx")
    assert abs(float(lab(colored(runtime, path, "deoldify", red))[..., 0].mean()) - lab(red)[0, 0, 0]) < 2
    assert colored(runtime, path, "deoldify", red, compat=True).max() == 0


def test_deoldify_takes_the_colours_of_the_network(runtime: Runtime, tmp_path: Path) -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    made = colored(runtime, deoldify(tmp_path / "m.onnx", (1.3, 1.0, 0.7)), "deoldify", image)
    blue, green, red = made.reshape(-1, 3).mean(axis=0)
    assert red > green + 15
    assert green > blue + 15


def test_deoldify_cuts_colours_off_at_255(runtime: Runtime, tmp_path: Path) -> None:
    """Upstream lets 260 begin again at 4."""
    path = deoldify(tmp_path / "m.onnx", (1.3, 1.3, 1.3))
    image = np.full((40, 60, 3), 230, np.uint8)
    made = colored(runtime, path, "deoldify", image)
    assert np.ptp(made, axis=2).max() <= 2
    path = deoldify(tmp_path / "n.onnx", (1.3, 1.0, 1.0))
    made = colored(runtime, path, "deoldify", image)
    assert made[0, 0, 2] > made[0, 0, 1]
    upstream = colored(runtime, path, "deoldify", image, compat=True)
    assert upstream[0, 0, 2] < upstream[0, 0, 1]


@pytest.mark.parametrize("kind", ["ddcolor", "deoldify"])
def test_fine_stripes_are_averaged(kind: Kind, runtime: Runtime, tmp_path: Path) -> None:
    """At a third of the size each pixel of the network's picture sees white and black alike, or upstream's
    bilinear shrinking picks one of three columns."""
    seen: list[np.ndarray] = []
    path = ddcolor(tmp_path / "m.onnx", 0, 0) if kind == "ddcolor" else deoldify(tmp_path / "m.onnx")
    session = runtime.load(path)
    stripes = np.zeros((576, 576, 3), np.uint8)
    stripes[:, 1::3] = 255

    class Listening:
        inputs = session.inputs

        def run(self, feeds: list[np.ndarray]) -> list[np.ndarray]:
            seen.append(np.asarray(feeds[0]))
            return session.run(feeds)

    for compat in (False, True):
        state = Colorizer("standin", kind, Listening(), (192, 192), 1.0, compat)  # type: ignore[arg-type]
        state.colored(stripes)
    full = 1.0 if kind == "ddcolor" else 255.0
    assert abs(seen[0].mean() / full - 1 / 3) < 0.01
    assert seen[1].mean() / full > 0.95


def test_blend(runtime: Runtime, tmp_path: Path) -> None:
    image = noise(60, 80)
    path = ddcolor(tmp_path / "m.onnx", 30, 30)
    drawn, half, none = (
        colored(runtime, path, "ddcolor", image, share=share).astype(int) for share in (1.0, 0.5, 0.0)
    )
    assert np.array_equal(none, image)
    assert np.abs(half - (drawn + image) / 2).max() <= 1


def test_colours_beyond_what_can_be_shown_are_cut_off(runtime: Runtime, tmp_path: Path) -> None:
    made = colored(runtime, ddcolor(tmp_path / "m.onnx", 110, 110), "ddcolor", ramp())
    red = made[..., 2].astype(int)
    assert (np.diff(red[0]) >= -2).all()  # brighter greys do not become darker reds


@pytest.mark.parametrize("other", [fran, lambda path: dfm(path, 64)])
def test_a_model_of_another_kind_is_refused(other: object, runtime: Runtime, tmp_path: Path) -> None:
    path = other(tmp_path / "m.onnx")  # type: ignore[operator]
    with pytest.raises(ModelCorrupt, match="standin does not take one picture of 192x192"):
        colored(runtime, path, "ddcolor", noise(20, 20))


def test_a_model_of_the_other_family_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="wrong shape"):
        colored(runtime, deoldify(tmp_path / "m.onnx"), "ddcolor", noise(20, 20))
