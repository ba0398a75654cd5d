from __future__ import annotations

import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import (
    CorruptMedia,
    DiskFull,
    InputError,
    InputMissing,
    MediaTooLarge,
    MienError,
    NoFace,
    OptionError,
    OutputIsInput,
    OutputNotWritable,
    UnsafeInput,
    UnsupportedMedia,
)
from mien.media.images import Picture, read_image, write_image
from mien.pipeline.progress import Progress
from mien.pipeline.step import Step
from mien.safety.marking import COMPOSITE, ENHANCED, Marks, read_marks, tags_for
from tests.pipeline.fakes import fake_engine, left_over

SCENE = np.full((60, 80, 3), 40, np.uint8)
SCENE[20:40, 30:50] = (0, 255, 0)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), SCENE)
    return path


def test_a_picture_is_processed_and_written(scene: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with fake_engine(tmp_path) as engine:
        step = Step(scene, tmp_path / "out.png", processors=("inverter",))
        result = engine.run(step, on_progress=seen.append)
    np.testing.assert_array_equal(cv2.imread(str(result.output)), 255 - SCENE)
    assert (result.kind, result.frames, result.faces, result.notices) == ("image", 1, 0, ())
    assert seen[-1] == Progress("process", 1, 1, seen[-1].rate, 0.0)
    assert left_over(tmp_path, "scene.png", "out.png") == []


def test_faces_are_found_and_counted(scene: Path, tmp_path: Path) -> None:
    with fake_engine(tmp_path) as engine:
        result = engine.run(Step(scene, tmp_path / "out.png", processors=("marker",)))
    assert result.faces == 1
    assert (cv2.imread(str(result.output))[20:40, 30:50] == 255).all()


def test_processors_follow_each_other_and_share_faces(scene: Path, tmp_path: Path) -> None:
    with fake_engine(tmp_path) as engine:
        step = Step(scene, tmp_path / "out.png", processors=("inverter", "marker", "inverter"))
        result = engine.run(step)
    image = cv2.imread(str(result.output))
    assert (image[20:40, 30:50] == 0).all()
    assert (image[0, 0] == 40).all()


def test_profile_alpha_and_format_are_kept_or_converted(tmp_path: Path) -> None:
    alpha = np.full((60, 80), 200, np.uint8)
    profile = bytes(16) + b"RGB " + bytes(200)
    write_image(tmp_path / "in.png", Picture(SCENE, alpha, profile))
    with fake_engine(tmp_path) as engine:
        for name in ("out.png", "out.tiff", "out.webp", "out.jpg"):
            engine.run(Step(tmp_path / "in.png", tmp_path / name, processors=("inverter",)))
    done = read_image(tmp_path / "out.png")
    np.testing.assert_array_equal(done.pixels, 255 - SCENE)
    assert done.icc == profile
    for name in ("out.png", "out.tiff"):
        np.testing.assert_array_equal(read_image(tmp_path / name).alpha, alpha)
    assert read_image(tmp_path / "out.webp").alpha is not None
    assert read_image(tmp_path / "out.jpg").alpha is None


def test_a_processor_may_make_parts_transparent(scene: Path, tmp_path: Path) -> None:
    with fake_engine(tmp_path) as engine:
        engine.run(Step(scene, tmp_path / "out.png", processors=("cutout",)))
    alpha = read_image(tmp_path / "out.png").alpha
    assert alpha is not None
    assert (alpha[:, :40] == 0).all()
    assert (alpha[:, 40:] == 255).all()


@pytest.mark.parametrize(
    ("processors", "options", "size"),
    [
        ("inverter", {"output_image_scale": 0.5}, (40, 30)),
        ("inverter", {"output_image_scale": 2.0}, (160, 120)),
        ("doubler", {}, (160, 120)),
        ("doubler", {"output_image_scale": 1.0}, (80, 60)),
    ],
)
def test_sizes(
    scene: Path, tmp_path: Path, processors: str, options: dict[str, float], size: tuple[int, int]
) -> None:
    with fake_engine(tmp_path) as engine:
        engine.run(Step(scene, tmp_path / "out.png", processors=(processors,), options=options))
    image = cv2.imread(str(tmp_path / "out.png"))
    assert image.shape[1::-1] == size


def test_a_scaled_size_is_even_and_one_that_is_not_scaled_is_kept(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "odd.png"), np.zeros((227, 425, 3), np.uint8))
    with fake_engine(tmp_path) as engine:
        for scale, size in ((1.0, (425, 227)), (0.5, (212, 112)), (0.75, (318, 170))):
            options = {"output_image_scale": scale}
            engine.run(Step(tmp_path / "odd.png", tmp_path / "o.png", (), ("inverter",), options))
            assert cv2.imread(str(tmp_path / "o.png")).shape[1::-1] == size


def test_quality_is_obeyed(scene: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    with fake_engine(tmp_path) as engine:
        for quality in (10, 95):
            options = {"output_image_quality": quality}
            engine.run(Step(tmp_path / "noise.png", tmp_path / f"{quality}.jpg", (), ("inverter",), options))
    assert (tmp_path / "10.jpg").stat().st_size * 3 < (tmp_path / "95.jpg").stat().st_size


def test_outputs_are_marked(scene: Path, tmp_path: Path) -> None:
    with fake_engine(tmp_path) as engine:
        engine.run(Step(scene, tmp_path / "swap.jpg", processors=("marker",)))
        engine.run(Step(scene, tmp_path / "enhanced.webp", processors=("inverter",)))
        engine.run(Step(tmp_path / "swap.jpg", tmp_path / "both.png", processors=("inverter",)))
        options = {"output_marking": False}
        engine.run(Step(scene, tmp_path / "plain.png", processors=("inverter",), options=options))
        bitmap = engine.run(Step(scene, tmp_path / "out.bmp", processors=("inverter",)))
    marks = {
        name: read_marks(tmp_path / name) for name in ("swap.jpg", "enhanced.webp", "both.png", "plain.png")
    }
    assert marks["swap.jpg"] == Marks(COMPOSITE, operations=("marker",))
    assert marks["enhanced.webp"] == Marks(ENHANCED, operations=("inverter",))
    assert marks["both.png"] == Marks(COMPOSITE, operations=("marker", "inverter"))
    assert marks["plain.png"] is None
    assert "no place" in bitmap.notices[0]


def test_a_false_claim_of_the_input_does_not_reach_the_output(tmp_path: Path) -> None:
    claim = Marks("http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", "camera")
    write_image(tmp_path / "in.jpg", Picture(SCENE), tags=tags_for(claim))
    with fake_engine(tmp_path) as engine:
        options = {"output_marking": False}
        engine.run(Step(tmp_path / "in.jpg", tmp_path / "out.jpg", processors=("marker",), options=options))
    assert b"digitalCapture" not in (tmp_path / "out.jpg").read_bytes()


def test_no_face(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((50, 50, 3), np.uint8))
    with fake_engine(tmp_path) as engine:
        with pytest.raises(NoFace, match=r"empty\.png shows no face") as caught:
            engine.run(Step(tmp_path / "empty.png", tmp_path / "out.png", processors=("marker",)))
        assert caught.value.exit_code == 16
        result = engine.run(
            Step(tmp_path / "empty.png", tmp_path / "ok.png", processors=("inverter", "marker"))
        )
    assert any("shows no face" in line for line in result.notices)
    assert left_over(tmp_path, "empty.png", "ok.png") == []


def refused(engine_folder: Path, step: Step, kind: type[MienError], match: str) -> MienError:
    before = left_over(engine_folder)
    with (
        fake_engine(engine_folder, max_pixels=1_000_000) as engine,
        pytest.raises(kind, match=match) as caught,
    ):
        engine.run(step)
    assert left_over(engine_folder) == before
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return caught.value


def test_inputs_that_cannot_serve(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    files = {
        "empty.png": b"",
        "text.png": b"hello, world",
        "list.png": b"#EXTM3U\nfile:///etc/passwd\n",
        "torn.png": cv2.imencode(".png", SCENE)[1].tobytes()[:150],
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    huge = cv2.imencode(".png", np.zeros((20_000, 100, 3), np.uint8))[1].tobytes()
    (tmp_path / "huge.png").write_bytes(huge)
    kinds = {
        "empty.png": CorruptMedia,
        "text.png": UnsupportedMedia,
        "list.png": UnsafeInput,
        "torn.png": CorruptMedia,
        "huge.png": MediaTooLarge,
        "missing.png": InputMissing,
    }
    for name, kind in kinds.items():
        refused(tmp_path, Step(tmp_path / name, out, processors=("inverter",)), kind, name)


def test_outputs_that_cannot_be_made(scene: Path, tmp_path: Path) -> None:
    def step(output: str | Path) -> Step:
        return Step(scene, tmp_path / output, processors=("inverter",))

    (tmp_path / "folder.png").mkdir()
    refused(tmp_path, step("scene.png"), OutputIsInput, "also an input")
    (tmp_path / "link.png").symlink_to(scene)
    refused(tmp_path, step("link.png"), OutputIsInput, "also an input")
    refused(tmp_path, step("out.mp4"), UnsupportedMedia, "is a picture, so the output must be one too")
    refused(tmp_path, step("out.xyz"), UnsupportedMedia, r"ends in \.xyz")
    refused(tmp_path, step("out"), UnsupportedMedia, "no ending")
    refused(tmp_path, step("nowhere/out.png"), OutputNotWritable, "does not exist")
    refused(tmp_path, step("folder.png"), OutputNotWritable, "folder")


def test_steps_that_make_no_sense(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"

    def step(*processors: str, **options: object) -> Step:
        return Step(scene, out, processors=processors, options=options)

    refused(tmp_path, step("invertre"), OptionError, "did you mean inverter")
    refused(tmp_path, step("inverter", inverter_strenght=1), OptionError, "did you mean inverter_strength")
    refused(tmp_path, step("inverter", inverter_strength=300), OptionError, "from 0 to 255")
    refused(tmp_path, step("inverter", output_image_quality=101), OptionError, "from 0 to 100")
    refused(tmp_path, step("inverter", workflow_mode="image-to-video"), OptionError, "does not fit")
    refused(tmp_path, step("needs_source"), InputError, "at least one source")
    missing = Step(scene, out, sources=tmp_path / "gone.png", processors=("needs_source",))  # type: ignore[arg-type]
    refused(tmp_path, missing, InputMissing, r"gone\.png")


def test_a_picture_named_as_a_video_is_told_apart(scene: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.mp4"
    wrong.write_bytes(scene.read_bytes())
    refused(
        tmp_path,
        Step(wrong, tmp_path / "out.mp4", processors=("inverter",)),
        CorruptMedia,
        "holds a PNG picture",
    )
    with fake_engine(tmp_path) as engine:
        result = engine.run(Step(wrong, tmp_path / "out.png", processors=("inverter",)))
    assert "holds a PNG picture" in result.notices[0]


def test_a_picture_of_one_pixel(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dot.png"), np.full((1, 1, 3), 7, np.uint8))
    with fake_engine(tmp_path) as engine:
        engine.run(Step(tmp_path / "dot.png", tmp_path / "out.png", processors=("inverter",)))
        small = {"output_image_scale": 0.25}
        engine.run(
            Step(tmp_path / "dot.png", tmp_path / "small.png", processors=("inverter",), options=small)
        )
    assert cv2.imread(str(tmp_path / "out.png")).tolist() == [[[248, 248, 248]]]
    assert cv2.imread(str(tmp_path / "small.png")).shape == (1, 1, 3)
    refused(
        tmp_path, Step(tmp_path / "dot.png", tmp_path / "no.png", processors=("marker",)), NoFace, "no face"
    )


@pytest.fixture
def mounted(tmp_path: Path) -> object:
    """A function that mounts a small memory disk; root only."""
    folders: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(folders)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.name != "posix" or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small disk needs root")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(mounted: object, tmp_path: Path) -> None:
    disk = mounted("size=64k")  # type: ignore[operator]
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    step = Step(tmp_path / "noise.png", disk / "out.png", processors=("inverter",))
    error = refused(tmp_path, step, DiskFull, "full")
    assert error.exit_code == 22
    assert list(disk.iterdir()) == []


def test_a_read_only_folder(mounted: object, scene: Path, tmp_path: Path) -> None:
    disk = mounted("ro,size=64k")  # type: ignore[operator]
    error = refused(
        tmp_path, Step(scene, disk / "out.png", processors=("inverter",)), OutputNotWritable, "read-only"
    )
    assert error.exit_code == 21
