"""Steps with a face map: everybody gets their own face, in pictures and in videos."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from mien.errors import InputError, InputMissing, OptionError, OutputIsInput, UnsafeInput, UnsupportedMedia
from mien.faces.analyser import Observed
from mien.faces.reference import FaceReference
from mien.media.images import read_image
from mien.models.store import ModelStore
from mien.pipeline.engine import Engine
from mien.pipeline.people import Person
from mien.pipeline.step import Step
from mien.processors.base import FrameContext, RunContext
from mien.settings import Settings
from mien.types import Box, Face, Frame
from tests.pipeline.clips import decoded
from tests.pipeline.fakes import PROCESSORS, Marker, face_at, fake_engine
from tests.pipeline.neural import LEFT, RIGHT, neural_engine, people, write_picture, write_voters

SIZE = (240, 80)


class Painter(Marker):
    """Paints faces in the colour of the middle of the first source; remembers which frames each person had."""

    name = "painter"
    needs_source = True
    per_person = True

    def prepare(self, run: RunContext, options: Any) -> Any:
        image = read_image(run.sources[0]).pixels
        return image[image.shape[0] // 2, image.shape[1] // 2]

    def process(self, frame: FrameContext, state: Any) -> None:
        for face in frame.selected:
            x1, y1, x2, y2 = (round(value) for value in face.box.as_tuple())
            frame.image[max(y1, 0) : y2, max(x1, 0) : x2] = state


ALL = {**PROCESSORS, "painter": Painter()}
GREEN = (0, 255, 0)
RED, BLUE, WHITE = (0, 0, 255), (255, 0, 0), (255, 255, 255)


@dataclass
class BoxesAnalyser:
    """Takes all green rectangles for faces, and follows them by overlap."""

    updates: list[int] = field(default_factory=list)

    def models(self) -> tuple[str, ...]:
        return ()

    def faces(self, image: Frame) -> tuple[Face, ...]:
        green = (image[:, :, 1] > 150) & (image[:, :, 0] < 110) & (image[:, :, 2] < 110)
        _, _, stats, _ = cv2.connectedComponentsWithStats(green.astype(np.uint8))
        return tuple(
            face_at(Box(float(x), float(y), float(x + width), float(y + height)))
            for x, y, width, height, area in stats[1:].tolist()
            if area > 50
        )

    def tracker(self, rate: float, **changes: Any) -> OverlapTracker:
        return OverlapTracker(self)


@dataclass
class OverlapTracker:
    analyser: BoxesAnalyser
    last: list[tuple[int, Box]] = field(default_factory=list)
    numbers: int = 0

    def update(self, image: Frame, index: int) -> Observed:
        cut = bool(image[0, 0].max() > 200)
        found = []
        for face in self.analyser.faces(image):
            near = max(self.last, key=lambda item: item[1].iou(face.box), default=None)
            number = near[0] if near and near[1].iou(face.box) > 0.3 and not cut else None
            if number is None:
                self.numbers += 1
                number = self.numbers
            found.append((number, face.box))
        self.last = found
        return Observed(tuple(face_at(box, number) for number, box in found), cut=cut, index=index)


def scene(*lefts: int, cut: bool = False, size: int = 24) -> Frame:
    """Faces whose left sides are at these columns."""
    image = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    for left in lefts:
        image[30 : 30 + size, left : left + size] = GREEN
    if cut:
        image[:6, :6] = 255
    return image


def box_at(left: int) -> Box:
    return Box(left, 30, left + 24, 54)


def make_clip(path: Path, scenes: Collection[Frame]) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv444p"
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.options = {"crf": "4", "preset": "ultrafast", "g": "10"}
        for number, image in enumerate(scenes):
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def colour(image: Frame, left: int, top: int = 38) -> str:
    """What a face was painted with, by 8 rows of its middle."""
    middle = image[top : top + 8, left + 8 : left + 16].mean((0, 1))
    names = {"red": RED, "blue": BLUE, "green": GREEN, "white": WHITE}
    return min(names, key=lambda name: float(np.abs(middle - np.array(names[name])).sum()))


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "red.png", np.full((20, 20, 3), RED, np.uint8))


@pytest.fixture
def blue(tmp_path: Path) -> Path:
    return write_picture(tmp_path / "blue.png", np.full((20, 20, 3), BLUE, np.uint8))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with fake_engine(tmp_path, BoxesAnalyser(), processors=ALL, segment_seconds=0.8) as engine:  # type: ignore[arg-type]
        yield engine


def person(left: int, *sources: Path, frame: int = 0) -> Person:
    return Person(FaceReference(frame, box_at(left)), sources)


def test_everybody_in_a_picture_gets_their_own(engine: Engine, tmp_path: Path, red: Path, blue: Path) -> None:
    target = write_picture(tmp_path / "group.png", scene(20, 100, 180))
    step = Step(target, tmp_path / "out.png", (), ("painter",), {}, (person(184, blue), person(18, red)))
    result = engine.run(step)
    image = read_image(step.output).pixels
    assert [colour(image, left) for left in (20, 100, 180)] == ["red", "green", "blue"]
    assert result.faces == 2


def test_other_processors_work_on_everybody_of_the_map(
    engine: Engine, tmp_path: Path, red: Path, blue: Path
) -> None:
    target = write_picture(tmp_path / "group.png", scene(20, 100, 180))
    mapped = (person(100, blue), person(20, red))
    engine.run(Step(target, tmp_path / "out.png", (), ("painter", "marker"), {}, mapped))
    image = read_image(tmp_path / "out.png").pixels
    assert [colour(image, left) for left in (20, 100, 180)] == ["white", "white", "green"]


def test_a_preview_knows_the_map(engine: Engine, tmp_path: Path, red: Path, blue: Path) -> None:
    target = write_picture(tmp_path / "group.png", scene(20, 100))
    for mapped, expected in (
        ((person(20, red), person(100, blue)), ["red", "blue"]),
        ((person(20, blue), person(100, red)), ["blue", "red"]),
    ):
        preview = engine.preview(Step(target, "", (), ("painter",), {}, mapped))
        assert [colour(preview.after, left) for left in (20, 100)] == expected
    small = engine.preview(Step(target, "", (), ("painter",), {}, (person(100, red),)), size=120)
    assert len(small.selected) == 1
    assert small.selected[0].box.center[0] == pytest.approx(56, abs=1)


def walk(frames: int) -> list[tuple[int, int]]:
    """Left sides of two faces that change sides, one below the other."""
    return [(10 + 4 * number, 206 - 4 * number) for number in range(frames)]


def crossing(frames: int) -> list[Frame]:
    images = []
    for upper, lower in walk(frames):
        image = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
        image[4:28, upper : upper + 24] = image[44:68, lower : lower + 24] = GREEN
        images.append(image)
    return images


@pytest.fixture
def walkers(red: Path, blue: Path) -> tuple[Person, ...]:
    return (
        Person(FaceReference(0, Box(206, 44, 230, 68)), (blue,)),
        Person(FaceReference(0, Box(10, 4, 34, 28)), (red,)),
    )


def painted(path: Path) -> list[tuple[str, str]]:
    """What the upper and the lower face of each frame were painted with."""
    pairs = zip(walk(49), decoded(path), strict=True)
    return [(colour(image[:40], upper, 8), colour(image[40:], lower, 12)) for (upper, lower), image in pairs]


def test_people_who_change_sides_keep_their_faces_from_part_to_part(
    engine: Engine, tmp_path: Path, walkers: tuple[Person, ...]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", crossing(49))
    step = Step(clip, tmp_path / "out.mp4", (), ("painter",), {}, walkers)
    assert len(engine.parts(step).frames) > 1
    assert engine.run(step).faces == 98
    assert set(painted(step.output)) == {("red", "blue")}


def test_parts_that_are_made_alone_know_where_people_are(
    engine: Engine, tmp_path: Path, walkers: tuple[Person, ...]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", crossing(49))
    step = Step(clip, tmp_path / "out.mp4", (), ("painter",), {}, walkers)
    parts = engine.parts(step)
    assert not parts.parallel
    places = engine.scout(step)
    assert len(places[1] or ()) == 8
    for index in reversed(range(len(parts.frames))):
        engine.make_part(step, index, place=places[index])
    assert engine.run(step).resumed_segments == len(parts.frames)
    assert set(painted(step.output)) == {("red", "blue")}
    with pytest.raises(OptionError, match="each of the 2 people"):
        engine.make_part(
            Step(clip, tmp_path / "a.mp4", (), ("painter",), {}, walkers[::-1]), 1, place=(1.0,) * 4
        )


def test_after_a_cut_people_are_found_by_their_place(
    engine: Engine, tmp_path: Path, red: Path, blue: Path
) -> None:
    frames = [scene(20, 180)] * 6 + [scene(40, 160, cut=True)] * 6
    clip = make_clip(tmp_path / "clip.mp4", frames)
    mapped = (person(20, red), person(180, blue))
    engine.run(Step(clip, tmp_path / "out.mp4", (), ("painter",), {}, mapped))
    images = decoded(tmp_path / "out.mp4")
    assert [colour(images[8], left) for left in (40, 160)] == ["red", "blue"]


def test_who_is_named_late_is_right_from_there_on(
    engine: Engine, tmp_path: Path, red: Path, blue: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", [scene(20, 180)] * 30)
    mapped = (person(180, red, frame=12), person(20, blue, frame=5))
    engine.run(Step(clip, tmp_path / "out.mp4", (), ("painter",), {}, mapped))
    images = decoded(tmp_path / "out.mp4")
    assert all((colour(image, 20), colour(image, 180)) == ("blue", "red") for image in images)


def test_the_map_belongs_to_the_identity_of_the_work(
    engine: Engine, tmp_path: Path, red: Path, blue: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", [scene(20, 180)] * 10)
    for source, expected in ((red, "red"), (blue, "blue")):
        result = engine.run(Step(clip, tmp_path / "out.mp4", (), ("painter",), {}, (person(20, source),)))
        assert colour(decoded(tmp_path / "out.mp4")[5], 20) == expected
        assert result.resumed_segments == 0


def test_what_cannot_be_mapped_is_refused(engine: Engine, tmp_path: Path, red: Path) -> None:
    target = write_picture(tmp_path / "group.png", scene(20, 100))
    clip = make_clip(tmp_path / "clip.mp4", [scene(20, 180)] * 10)
    out, sound = tmp_path / "out.png", tmp_path / "sound.wav"
    sound.write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")

    def run(target: Path, output: Path, *mapped: Person, processor: str = "painter") -> None:
        engine.run(Step(target, output, (), (processor,), {}, mapped))

    with pytest.raises(OptionError, match="marker takes no pictures"):
        run(target, out, person(20, red), processor="marker")
    with pytest.raises(InputError, match=r"at \(60, 30, 84, 54\) of frame 0.*shows none there"):
        run(target, out, person(60, red))
    with pytest.raises(InputError, match="of frame 4"):
        run(clip, tmp_path / "out.mp4", person(100, red, frame=4))
    with pytest.raises(OptionError, match="outside of"):
        run(target, out, person(500, red))
    with pytest.raises(InputMissing, match=r"gone\.png"):
        run(target, out, person(20, tmp_path / "gone.png"))
    with pytest.raises(UnsupportedMedia, match="no picture"):
        run(target, out, person(20, sound))
    with pytest.raises(OutputIsInput):
        run(target, red, person(20, red))
    assert not out.exists()


def test_a_source_for_nobody_is_told(engine: Engine, tmp_path: Path, red: Path, blue: Path) -> None:
    target = write_picture(tmp_path / "group.png", scene(20))
    step = Step(target, tmp_path / "out.png", (blue,), ("painter",), {}, (person(20, red),))
    assert any("is given to nobody" in notice for notice in engine.run(step).notices)


TINTS = (0, 60)


def neural_clip(path: Path, frames: int) -> Path:
    """Two people who change places from one frame to the next."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 480, 240, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.options = {"crf": "8", "preset": "ultrafast"}
        for number in range(frames):
            image = people(LEFT, RIGHT, tints=TINTS if number < frames // 2 else TINTS[::-1])
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("analysis", ["exact", "fast"])
def test_people_who_are_recognised_are_found_wherever_they_are(
    tmp_path: Path, red: Path, blue: Path, analysis: str
) -> None:
    pytest.importorskip("onnx")
    from tests.standins.face_analysis import write_standins

    models = tmp_path / "models"
    models.mkdir()
    write_standins(models)
    clip = neural_clip(tmp_path / "clip.mp4", 12)
    options = {"analysis": analysis, "face_detector_model": "yolo_face", "face_landmarker_model": "2dfan4"}
    with neural_engine(models, tmp_path / "cache", processors=ALL) as engine:
        mapped = tuple(
            Person(FaceReference(1, Box(x - 55, y - 70, x + 55, y + 70)), (source,))
            for (x, y), source in ((LEFT, red), (RIGHT, blue))
        )
        step = Step(clip, tmp_path / "out.mp4", (), ("painter",), options, mapped)
        assert engine.run(step).faces == 24
    images = decoded(step.output)
    for image, expected in ((images[2], (RED, BLUE)), (images[9], (BLUE, RED))):
        for (x, y), value in zip((LEFT, RIGHT), expected, strict=True):
            assert np.abs(image[y, x].astype(int) - value).max() < 60


def test_the_content_policy_looks_at_the_sources_of_the_map(tmp_path: Path, red: Path) -> None:
    pytest.importorskip("onnx")
    from tests.standins.face_analysis import write_standins

    models = tmp_path / "models"
    models.mkdir()
    write_standins(models)
    write_voters(models)
    target = write_picture(tmp_path / "people.png", people(LEFT))
    mapped = (Person(FaceReference(0, Box(LEFT[0] - 55, 50, LEFT[0] + 55, 190)), (red,)),)
    with neural_engine(models, tmp_path / "cache", processors=ALL) as engine:
        step = Step(target, tmp_path / "out.png", (), ("painter",), {"content_policy": "refuse"}, mapped)
        with pytest.raises(UnsafeInput, match=r"red\.png"):
            engine.run(step)


def test_two_portraits_side_by_side(
    builtin_store: ModelStore, builtin_settings: Settings, tmp_path: Path
) -> None:
    astronaut, hopper = (builtin_store.path(f"sample_{name}") for name in ("astronaut", "hopper"))
    pictures = [cv2.resize(read_image(path).pixels, (400, 400)) for path in (astronaut, hopper)]
    target = write_picture(tmp_path / "group.png", np.hstack(pictures))
    options = {
        "face_swapper_model": "mesh",
        "face_detector_model": "blazeface",
        "face_landmarker_model": "mesh",
        "content_policy": "off",
    }
    with Engine(builtin_settings) as engine:
        _, faces = engine.detect(target)
        left, right = sorted(faces, key=lambda face: face.box.x1)
        both = (
            Person(FaceReference(0, left.box), (hopper,)),
            Person(FaceReference(0, right.box), (astronaut,)),
        )
        after = engine.preview(Step(target, "", (), ("face_swapper",), options, both)).after
        one = engine.preview(Step(target, "", (), ("face_swapper",), options, both[:1])).after
    before = np.hstack(pictures)
    changed = [
        cv2.absdiff(before, image).reshape(400, 2, 400, 3).max((0, 2, 3)) > 0 for image in (after, one)
    ]
    assert [item.tolist() for item in changed] == [[True, True], [True, False]]
    assert np.array_equal(after[:, :400], one[:, :400])


def test_a_painter_without_a_map_needs_a_source(engine: Engine, tmp_path: Path) -> None:
    target = write_picture(tmp_path / "group.png", scene(20))
    with pytest.raises(InputError, match="needs at least one source"):
        engine.run(Step(target, tmp_path / "out.png", (), ("painter",)))


def test_in_a_picture_boxes_tell_networks_who_is_who(tmp_path: Path, red: Path, blue: Path) -> None:
    pytest.importorskip("onnx")
    from tests.standins.face_analysis import write_standins

    models = tmp_path / "models"
    models.mkdir()
    write_standins(models)
    target = write_picture(tmp_path / "twins.png", people(LEFT, RIGHT, tints=(0, 0)))
    options = {"face_detector_model": "yolo_face", "face_landmarker_model": "2dfan4"}
    mapped = tuple(
        Person(FaceReference(0, Box(x - 55, y - 70, x + 55, y + 70)), (source,))
        for (x, y), source in ((RIGHT, red), (LEFT, blue))
    )
    with neural_engine(models, tmp_path / "cache", processors=ALL) as engine:
        engine.run(Step(target, tmp_path / "out.png", (), ("painter",), options, mapped))
    image = read_image(tmp_path / "out.png").pixels
    assert tuple(image[LEFT[1], LEFT[0]]) == BLUE
    assert tuple(image[RIGHT[1], RIGHT[0]]) == RED
