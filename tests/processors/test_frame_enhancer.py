from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest

from mien.errors import ModelCorrupt
from mien.inference.runtime import Runtime
from mien.models.catalogue import Catalogue, load_catalogue
from mien.options import declared
from mien.processors.base import FrameContext
from mien.processors.frame_enhance.upscaler import Upscaler
from mien.processors.frame_enhancer import FrameEnhancer, FrameEnhancerOptions, ModelName, scale_of
from mien.settings import Settings
from mien.types import Frame
from tests.processors.faces_made import frame_of, noise
from tests.standins.redrawing import ddcolor, enlarger

MODELS = get_args(ModelName)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(Settings(cache_dir=tmp_path / "cache")) as runtime:
        yield runtime


def upscaler(
    runtime: Runtime, path: Path, *, name: str = "real_esrgan_x2", share: float = 1.0, compat: bool = False
) -> Upscaler:
    params = load_catalogue()[name].params
    return Upscaler.of(name, params, runtime.load(path), share, compat)


def enhanced(state: Upscaler, image: Frame, alpha: Any = None) -> FrameContext:
    frame = frame_of(image)
    frame.alpha = alpha
    FrameEnhancer().process(frame, state)
    return frame


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_in_the_catalogue_with_its_tile_and_scale(name: str, catalogue: Catalogue) -> None:
    side, pad, overlap = catalogue[name].params["tile"]
    assert catalogue[name].params["scale"] == scale_of(name)
    assert side >= 8 * pad
    assert pad == 2 * overlap
    assert FrameEnhancer().models(FrameEnhancerOptions(model=name)) == (name,)


def test_licences_that_forbid_commerce_say_so(catalogue: Catalogue) -> None:
    forbidden = {name for name in MODELS if not catalogue[name].commercial_use}
    assert forbidden == {name for name in MODELS if catalogue[name].licence == "Non-Commercial"}
    assert "span_kendata_x4" in forbidden


def test_options_are_those_of_facefusion() -> None:
    found = {
        item.flag: (item.default, item.ge, item.le, item.step) for item in declared(FrameEnhancerOptions)
    }
    assert found["--frame-enhancer-model"][0] == "span_kendata_x4"
    assert found["--frame-enhancer-blend"] == (80, 0, 100, 1)
    assert len(MODELS) == 19


@pytest.mark.parametrize(
    ("name", "scale"), [("real_esrgan_x2", 2), ("real_web_photo_x4", 4), ("tghq_face_x8", 8)]
)
def test_the_size_of_the_result_is_announced(name: str, scale: int, runtime: Runtime, tmp_path: Path) -> None:
    state = upscaler(runtime, enlarger(tmp_path / "m.onnx", scale), name=name)
    image = noise(61, 83)
    alpha = np.full((61, 83), 9, np.uint8)
    alpha[:, 40:] = 250
    frame = enhanced(state, image, alpha)
    size = FrameEnhancer().output_size(FrameEnhancerOptions(model=name), 83, 61)
    assert frame.image.shape == (61 * scale, 83 * scale, 3)
    assert size == frame.image.shape[1::-1]
    assert frame.alpha is not None
    assert frame.alpha.shape == frame.image.shape[:2]
    assert (frame.alpha[:, : 38 * scale] == 9).all()
    assert (frame.alpha[:, 42 * scale :] == 250).all()


def test_black_borders_are_upstreams_only(runtime: Runtime, tmp_path: Path) -> None:
    path = enlarger(tmp_path / "m.onnx", 2)
    white = np.full((90, 130, 3), 255, np.uint8)
    assert enhanced(upscaler(runtime, path), white).image.min() == 255
    upstream = enhanced(upscaler(runtime, path, compat=True), white).image
    assert upstream[0].max() < 255
    assert upstream[:, -1].max() < 255


def test_tiles_give_what_the_whole_frame_would(runtime: Runtime, tmp_path: Path) -> None:
    path = enlarger(tmp_path / "m.onnx", 4)
    image = noise(100, 140)
    whole = cv2.blur(image, (5, 5), borderType=cv2.BORDER_REFLECT).repeat(4, axis=0).repeat(4, axis=1)
    off = {
        compat: np.abs(
            enhanced(upscaler(runtime, path, name="real_web_photo_x4", compat=compat), image).image
            - whole.astype(int)
        )
        for compat in (False, True)
    }
    assert off[False].max() <= 1
    assert off[True][20:-20, 20:-20].max() <= 1
    assert off[True][:8].mean() > 20


@pytest.mark.parametrize("compat", [False, True])
def test_without_share_the_frame_is_plainly_enlarged(compat: bool, runtime: Runtime, tmp_path: Path) -> None:
    state = upscaler(runtime, enlarger(tmp_path / "m.onnx", 2), share=0.0, compat=compat)
    image = noise(300, 310)
    plain = cv2.resize(image, (620, 600))
    assert np.abs(enhanced(state, image).image.astype(int) - plain).max() <= 1


def test_shares_are_mixed(runtime: Runtime, tmp_path: Path) -> None:
    path = enlarger(tmp_path / "m.onnx", 2, blurs=False)
    image = noise(64, 64)
    drawn, half, plain = (
        enhanced(upscaler(runtime, path, share=share), image).image.astype(int) for share in (1.0, 0.5, 0.0)
    )
    assert np.abs(half - (drawn + plain) / 2).max() <= 1


def test_tiles_go_through_together_where_the_model_takes_several(runtime: Runtime, tmp_path: Path) -> None:
    image = noise(60, 500)
    singly = upscaler(runtime, enlarger(tmp_path / "1.onnx", 4), name="real_web_photo_x4")
    together = upscaler(runtime, enlarger(tmp_path / "n.onnx", 4, batch=True), name="real_web_photo_x4")
    assert np.array_equal(enhanced(singly, image).image, enhanced(together, image).image)
    assert singly.session.runs == 9
    assert together.session.runs == 1


def test_a_model_of_another_kind_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"real_esrgan_x2 is not that model.*wrong shape \(1×2×256×256\)"):
        enhanced(upscaler(runtime, ddcolor(tmp_path / "m.onnx", 1, 2)), noise(20, 20))


def test_a_model_of_another_scale_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="1×3×1024×1024"):
        enhanced(upscaler(runtime, enlarger(tmp_path / "m.onnx", 4)), noise(20, 20))


FOUR_K = """
import re, sys
from pathlib import Path
import numpy as np
from mien.inference.runtime import Runtime
from mien.models.catalogue import load_catalogue
from mien.processors.frame_enhance.upscaler import Upscaler
from mien.settings import Settings

runtime = Runtime(Settings(cache_dir=Path(sys.argv[1]).parent))
params = load_catalogue()["span_kendata_x4"].params
state = Upscaler.of("span_kendata_x4", params, runtime.load(Path(sys.argv[1])), 0.8, False)
made = state.enlarged(np.zeros((2160, 3840, 3), np.uint8))
# ru_maxrss would tell of the parent as well
print(made.shape, re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured in kilobytes on Linux only")
def test_a_4k_frame_needs_little_more_memory_than_the_result(tmp_path: Path) -> None:
    path = enlarger(tmp_path / "m.onnx", 4, blurs=False)
    done = subprocess.run(
        [sys.executable, "-c", FOUR_K, str(path)], check=True, capture_output=True, text=True
    )
    shape, kilobytes = done.stdout.rsplit(maxsplit=1)
    assert shape == "(8640, 15360, 3)"
    assert int(kilobytes) < 1.5e6 / 2  # the result alone has 398 MB
