"""Live pictures: frame in, frame out, faces followed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.errors import ConsentMissing, InputError, InputMissing, OptionError
from mien.models.store import ModelStore
from mien.pipeline.engine import Engine
from mien.processors.base import FrameContext
from mien.settings import Settings
from tests.pipeline.clips import picture
from tests.pipeline.fakes import PROCESSORS, FakeAnalyser, Marker, fake_engine
from tests.pipeline.neural import LEFT, RIGHT, neural_engine, paint, people, write_picture


@dataclass
class Noting(Marker):
    """Marks faces, and notes what it was told of each frame."""

    seen: list[tuple[int, float, bool, list[int | None]]] = field(default_factory=list)
    name = "noting"

    def process(self, frame: FrameContext, state: None) -> None:
        self.seen.append((frame.index, frame.time, frame.cut, [face.track for face in frame.selected]))
        super().process(frame, state)


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture
def analyser() -> FakeAnalyser:
    return FakeAnalyser()


@pytest.fixture
def engine(tmp_path: Path, noting: Noting, analyser: FakeAnalyser) -> Iterator[Engine]:
    with fake_engine(tmp_path, analyser, processors={**PROCESSORS, "noting": noting}) as engine:
        yield engine


def test_frames_are_worked_on_and_left_as_they_were(engine: Engine) -> None:
    frame = picture(0)
    with engine.live((), "marker") as session:
        done = session.process(frame)
    assert np.array_equal(frame, picture(0))
    assert done[50, 16].tolist() == [255, 255, 255]
    assert np.array_equal(done[80:], frame[80:])


def test_faces_are_followed_and_frames_numbered_by_time(engine: Engine, noting: Noting) -> None:
    with engine.live((), ("noting",), rate=25) as session:
        for number in (0, 1, 2, 10):
            session.process(picture(number), at=number / 25)
        session.process(picture(11), at=0.1)
    assert [index for index, *_ in noting.seen] == [0, 1, 2, 10, 11]
    assert [cut for _, _, cut, _ in noting.seen] == [True, False, False, False, False]
    assert all(tracks == [1] for *_, tracks in noting.seen)


def test_without_times_the_clock_counts(engine: Engine, noting: Noting) -> None:
    with engine.live((), ("noting",)) as session:
        for number in range(5):
            session.process(picture(number))
    indices = [index for index, *_ in noting.seen]
    assert indices == sorted(set(indices))


def test_another_size_starts_afresh(engine: Engine, noting: Noting) -> None:
    with engine.live((), ("noting",)) as session:
        session.process(picture(0), at=0.0)
        session.process(cv2.resize(picture(1), (320, 240)), at=0.04)
        session.process(cv2.resize(picture(2), (320, 240)), at=0.08)
    assert [cut for _, _, cut, _ in noting.seen] == [True, True, False]


def test_what_processors_remember_goes_on(engine: Engine) -> None:
    dark, bright = np.zeros((120, 160, 3), np.uint8), np.full((120, 160, 3), 200, np.uint8)
    with engine.live((), ("echo",)) as session:
        assert session.process(dark).max() == 0
        assert session.process(bright).max() == 100
        assert session.process(bright).max() == 150


def test_opacity_becomes_white(engine: Engine) -> None:
    with engine.live((), ("cutout",)) as session:
        assert session.process(picture(0))[:, :80].min() == 255


def test_a_badge_is_drawn(engine: Engine) -> None:
    frame = np.full((240, 320, 3), 90, np.uint8)
    plain = engine.live((), "marker")
    marked = engine.live((), "marker", {"output_badge": "bottom-right"})
    with plain, marked:
        assert np.array_equal(plain.process(frame), frame)
        assert not np.array_equal(marked.process(frame), frame)


@pytest.mark.parametrize(
    ("processors", "options", "said"),
    [
        ("coverer", {}, "coverer looks at later frames"),
        ("marker", {"reference_frame_number": 3}, "no frame but the first"),
        ("marker", {"face_tracker_score": 0.5}, "no later frames"),
        ("marker", {"output_watermark": True}, "cannot be given a watermark"),
        ("nobody", {}, "no processor nobody"),
        ("marker", {"marker_depth": 1}, "marker_depth"),
    ],
)
def test_what_needs_more_than_the_moment_is_refused(
    engine: Engine, processors: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        engine.live((), processors, options)


def test_wrong_input_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"gone\.png"):
        engine.live(tmp_path / "gone.png", "needs_source")
    with pytest.raises(InputError, match="at least one source"):
        engine.live((), "needs_source")
    with pytest.raises(OptionError, match="frames a second"):
        engine.live((), "marker", rate=0)
    with engine.live((), "marker") as session:
        for wrong in (None, picture(0)[:, :, 0], picture(0).astype(float), np.zeros((0, 4, 3), np.uint8)):
            with pytest.raises(InputError, match="A frame of a live picture"):
                session.process(wrong)  # type: ignore[arg-type]
        assert session.process(picture(0)).shape == picture(0).shape


def test_sound_has_no_place(engine: Engine, tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    sound.write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    with pytest.raises(OptionError, match="is sound"):
        engine.live(sound, "marker")


def test_after_the_end_nothing_is_worked_on(engine: Engine) -> None:
    session = engine.live((), "marker")
    session.close()
    session.close()
    with pytest.raises(InputError, match="has ended"):
        session.process(picture(0))


def test_frames_of_several_threads_come_one_at_a_time(engine: Engine, noting: Noting) -> None:
    with engine.live((), ("noting",)) as session:
        threads = [threading.Thread(target=session.process, args=(picture(0),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len({index for index, *_ in noting.seen}) == 8


def test_a_session_is_one_record_of_the_audit_log(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    with fake_engine(tmp_path, audit_log=log, require_consent=True) as engine:
        with pytest.raises(ConsentMissing):
            engine.live((), "marker")
        with engine.live((), "marker", {"consent_ref": "C-1"}) as session:
            for number in range(3):
                session.process(picture(number))
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(item["outcome"], item["consent_ref"]) for item in records] == [
        ("consent_missing", None),
        ("completed", "C-1"),
    ]


def test_networks_take_the_reference_from_the_first_frame(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from tests.standins.face_analysis import write_standins

    models = tmp_path / "models"
    models.mkdir()
    write_standins(models)
    options = {
        "face_detector_model": "yolo_face",
        "face_landmarker_model": "2dfan4",
        "reference_face_distance": 0.02,
    }
    with neural_engine(models, tmp_path / "cache") as engine, engine.live((), "marker", options) as session:
        first = session.process(people(LEFT, RIGHT, tints=(0, 160)), at=0.0)
        later = session.process(people(RIGHT, LEFT, tints=(0, 160)), at=0.04)
    assert {paint(first, LEFT), paint(first, RIGHT)} == {"face", "nothing"}
    assert (paint(first, LEFT), paint(first, RIGHT)) == (paint(later, RIGHT), paint(later, LEFT))


def test_a_face_is_swapped_by_built_in_models(
    builtin_store: ModelStore, builtin_settings: Settings, tmp_path: Path
) -> None:
    astronaut = cv2.imread(str(builtin_store.path("sample_astronaut")))
    assert astronaut is not None
    frame = np.ascontiguousarray(astronaut[:320, 60:460])
    source = write_picture(tmp_path / "source.png", cv2.imread(str(builtin_store.path("sample_hopper"))))  # type: ignore[arg-type]
    with (
        Engine(builtin_settings) as engine,
        engine.live(source, options={"content_policy": "off"}) as session,
    ):
        assert set(session.models) == {"blazeface_full", "face_mesh", "iris"}
        done = [session.process(frame, at=number / 30) for number in range(3)]
    for image in done:
        assert cv2.absdiff(image, frame)[60:180, 110:220].mean() > 5
        assert not cv2.absdiff(image, frame)[250:].any()
