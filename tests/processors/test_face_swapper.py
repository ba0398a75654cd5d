from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from mien.errors import InputError, InputMissing, ModelError, NoFace, OptionError
from mien.options import build, declared
from mien.processors.base import FrameContext, RunContext
from mien.processors.face_swapper import FAMILIES, FaceSwapper, FaceSwapperOptions, source_pictures
from mien.processors.mesh_swap.family import FORGET_AFTER, MeshFamily, MeshState
from mien.settings import Settings
from mien.types import Box, Face, Frame, Landmarks, MediaInfo

from .mesh_swap import faces as painted

MESH = FaceSwapperOptions(model="mesh")


def face_of(points: np.ndarray | None, track: int | None = None) -> Face:
    few = np.zeros((5, 2), np.float32)
    many = np.zeros((68, 2), np.float32)
    low, high = (points[:, :2].min(0), points[:, :2].max(0)) if points is not None else ((0, 0), (50, 50))
    box = Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Face(box, 0.9, Landmarks(few, few, many, many, points), track=track)


class Finder:
    """An analyser that knows which faces it will be shown."""

    def __init__(self, *found: Face) -> None:
        self.found = found

    def faces(self, image: Frame) -> tuple[Face, ...]:
        return self.found


class Store:
    """A store without models."""

    settings = Settings()

    def paths(self, id: str) -> tuple[Path, ...]:
        raise ModelError(f"{id} is not here.")


def run_context(sources: tuple[Path, ...], *found: Face) -> RunContext:
    fields: dict[str, Any] = dict.fromkeys(RunContext.__dataclass_fields__)
    fields |= {
        "models": Store(),
        "analyser": Finder(*found),
        "sources": sources,
        "target": MediaInfo("image", "png", 320, 320, 0.0),
        "settings_of": lambda group: group(),
        "notice": lambda line: None,
    }
    return RunContext(**fields)


def frame_of(image: Frame, *found: Face, index: int = 0, cut: bool = False) -> FrameContext:
    return FrameContext(
        image=image.copy(),
        target=image,
        index=index,
        time=index / 25,
        find_faces=lambda: found,
        select_faces=lambda faces: faces,
        cut=cut,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.png"
    cv2.imwrite(str(path), painted.picture(painted.mesh(), skin=(100, 130, 180)))
    return path


@pytest.fixture
def state(source: Path) -> MeshState:
    return MeshFamily().prepare(run_context((source,), face_of(painted.mesh())), MESH, (source,))


def test_keys_are_those_of_the_field_and_ours() -> None:
    described = {item.key: item for item in declared(FaceSwapperOptions)}
    assert list(described) == [
        "face_swapper_model",
        "face_swapper_pixel_boost",
        "face_swapper_weight",
        "face_swapper_mesh_identity",
        "face_swapper_mesh_feather",
        "face_swapper_mesh_forehead",
    ]
    assert described["face_swapper_model"].default == "hyperswap_1a_256"
    assert len(described["face_swapper_model"].choices) == 14
    assert described["face_swapper_weight"].default == 0.5


def test_wrong_values_are_refused_in_one_sentence() -> None:
    with pytest.raises(OptionError, match="give a number from 0 to 1"):
        build(FaceSwapperOptions, {"face_swapper_mesh_identity": 2.0})


def test_mesh_needs_the_models_that_measure_it() -> None:
    assert list(FaceSwapper().models(MESH)) == ["face_mesh", "iris"]


def test_every_choice_says_what_it_needs() -> None:
    choices = next(item.choices for item in declared(FaceSwapperOptions) if item.name == "model")
    assert set(FAMILIES) == set(choices)
    for model in set(choices) - {"mesh"}:
        assert FaceSwapper().models(FaceSwapperOptions(model=model))[0] == model


def test_only_the_mesh_needs_frames_in_order() -> None:
    assert FaceSwapper().in_order(MESH)
    assert not FaceSwapper().in_order(FaceSwapperOptions(model="simswap_256"))


def test_swaps_through_the_processor(source: Path) -> None:
    processor, points = FaceSwapper(), painted.mesh(yaw=10.0)
    state = processor.prepare(run_context((source,), face_of(painted.mesh())), MESH)
    image = painted.picture(points)
    frame = frame_of(image, face_of(points))
    processor.process(frame, state)
    assert (frame.image != image).any()
    assert np.array_equal(frame.target, image)


def test_options_reach_the_swap(source: Path) -> None:
    run = run_context((source,), face_of(painted.mesh()))
    options = FaceSwapperOptions(model="mesh", mesh_identity=0.2, mesh_feather=0.1, mesh_forehead=0.9)
    settings = MeshFamily().prepare(run, options, (source,)).settings
    assert (settings.identity, settings.feather, settings.forehead) == (0.2, 0.1, 0.9)


def test_every_source_is_there_twice(source: Path) -> None:
    run = run_context((source, source), face_of(painted.mesh()))
    prepared = MeshFamily().prepare(run, MESH, (source, source)).sources
    assert [item.mirrored for item in prepared] == [False, True, False, True]


def test_largest_face_of_a_source_is_taken(source: Path) -> None:
    small, large = face_of(painted.mesh(60.0)), face_of(painted.mesh(200.0))
    prepared = MeshFamily().prepare(run_context((source,), small, large), MESH, (source,)).sources
    assert prepared[0].area > 10_000


def test_source_without_a_face_is_named(source: Path) -> None:
    with pytest.raises(NoFace, match=str(source)):
        FaceSwapper().prepare(run_context((source,)), MESH)


def test_source_with_a_broken_mesh_is_named(source: Path) -> None:
    flat = np.full((474, 3), 9.0, np.float32)
    with pytest.raises(NoFace, match=str(source)):
        FaceSwapper().prepare(run_context((source,), face_of(flat)), MESH)


def test_source_without_a_mesh_asks_for_the_landmarker(source: Path) -> None:
    with pytest.raises(OptionError, match="face_landmarker_model mesh"):
        FaceSwapper().prepare(run_context((source,), face_of(None)), MESH)


def test_sound_among_the_sources_is_left_to_others(source: Path, tmp_path: Path) -> None:
    sound = tmp_path / "voice.wav"
    sound.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00" + bytes(32))
    assert source_pictures((sound, source)) == (source,)
    with pytest.raises(InputError, match="at least one source picture"):
        source_pictures((sound,))


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="absent"):
        source_pictures((tmp_path / "absent.png",))


def test_frame_without_faces_is_left_alone(state: MeshState) -> None:
    image = painted.picture(painted.mesh())
    for found in ((), (face_of(None),)):
        frame = frame_of(image, *found)
        MeshFamily().process(frame, state)
        assert np.array_equal(frame.image, image)


def test_memory_belongs_to_a_track_and_ends_at_a_cut(state: MeshState) -> None:
    points = painted.mesh()
    image = painted.picture(points)

    def show(track: int | None, index: int, cut: bool = False) -> None:
        MeshFamily().process(frame_of(image, face_of(points, track), index=index, cut=cut), state)

    for index in range(3):
        show(7, index)
    show(8, 3)
    show(None, 4)
    assert {track: memory.frames for track, memory in state.memories.items()} == {7: 3, 8: 1}
    show(7, 5, cut=True)
    assert {track: memory.frames for track, memory in state.memories.items()} == {7: 1}
    show(9, 5 + FORGET_AFTER + 1)
    assert list(state.memories) == [9]


def test_enlarged_frame_is_swapped_at_its_size(state: MeshState) -> None:
    points = painted.mesh()
    image = painted.picture(points)
    frame = frame_of(image, face_of(points))
    frame.image = cv2.resize(image, None, fx=2, fy=2)
    before = frame.image.copy()
    MeshFamily().process(frame, state)
    changed = np.argwhere((frame.image != before).any(-1))
    centre = points[:, :2].mean(0)[::-1] * 2
    assert np.abs(changed.mean(0) - centre).max() < 40


def test_two_runs_do_not_meet(source: Path) -> None:
    points = painted.mesh(yaw=8.0)
    image = painted.picture(points)
    processor = FaceSwapper()
    make: Callable[[FaceSwapperOptions], Any] = lambda options: processor.prepare(  # noqa: E731
        run_context((source,), face_of(painted.mesh())), options
    )
    mild, strong = make(MESH), make(FaceSwapperOptions(model="mesh", mesh_forehead=0.0))

    def result(state: Any) -> Frame:
        frame = frame_of(image, replace(face_of(points), track=1))
        processor.process(frame, state)
        return frame.image

    first = result(mild)
    assert (result(strong) != first).any()
    assert np.array_equal(result(make(MESH)), first)


def test_stub_families_are_driven(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    calls: list[Any] = []
    family = SimpleNamespace(
        models=lambda options: ("a", "b"),
        prepare=lambda run, options, sources: calls.append(sources) or "ready",
        process=lambda frame, state: calls.append(state),
    )
    monkeypatch.setattr("mien.processors.face_swapper.FAMILIES", {"simswap_256": lambda: family})
    options = FaceSwapperOptions(model="simswap_256")
    processor = FaceSwapper()
    assert processor.models(options) == ("a", "b")
    state = processor.prepare(run_context((source,)), options)
    processor.process(frame_of(painted.picture(painted.mesh())), state)
    assert calls == [(source,), "ready"]
