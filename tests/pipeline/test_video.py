from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mien.errors import Canceled, DiskFull, MienError, OptionError, OutputNotWritable, UnsupportedMedia
from mien.media.probe import probe
from mien.pipeline.engine import Engine
from mien.pipeline.progress import Cancel, Progress
from mien.pipeline.step import Result, Step
from mien.processors.base import FrameContext
from mien.safety.marking import COMPOSITE, ENHANCED, Marks, read_marks
from tests.pipeline.clips import (
    TICKS,
    box_value,
    decoded,
    frames_hash,
    make_clip,
    picture,
    sound_packets,
    times,
)
from tests.pipeline.fakes import (
    PROCESSORS,
    FakeAnalyser,
    FakeTracker,
    Inverter,
    InverterOptions,
    fake_engine,
    left_over,
)

MountDisk = Callable[[str], Path]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 100)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with fake_engine(tmp_path, segment_seconds=1.0) as engine:
        yield engine


def no_threads_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("mien-")]


def run(engine: Engine, clip: Path, output: Path, *processors: str, **options: Any) -> Result:
    result = engine.run(Step(clip, output, processors=processors, options=options))
    assert no_threads_left()
    assert not [path for path in output.parent.iterdir() if path.name.startswith(".")]
    return result


def test_frames_times_and_sound(engine: Engine, clip: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    step = Step(clip, tmp_path / "out.mp4", processors=("inverter",))
    result = engine.run(step, on_progress=seen.append)
    assert (result.kind, result.frames, result.faces, result.resumed_segments) == ("video", 100, 0, 0)
    assert times(result.output) == times(clip)
    assert sound_packets(result.output) == sound_packets(clip)
    for number, image in enumerate(decoded(result.output)):
        assert abs(image[50:60].astype(int) - (255 - picture(number)[50:60].astype(int))).mean() < 6
    assert left_over(tmp_path, "out.mp4") == []
    assert {progress.stage for progress in seen} == {"models", "analyse", "process", "join"}
    last = [progress for progress in seen if progress.stage == "process"][-1]
    assert (last.done, last.total) == (100, 100)


def test_irregular_times_are_kept_to_the_tick(engine: Engine, tmp_path: Path) -> None:
    steps = np.random.default_rng(3).integers(30, 400, 60)
    clip = make_clip(tmp_path / "clip.mkv", 60, times=[int(t) for t in np.cumsum(steps)], sound=False)
    run(engine, clip, tmp_path / "out.mkv", "inverter")
    assert times(tmp_path / "out.mkv") == times(clip)


def test_faces_are_followed_in_every_frame(engine: Engine, clip: Path, tmp_path: Path) -> None:
    result = run(engine, clip, tmp_path / "out.mp4", "marker")
    assert result.faces == 100
    assert min(box_value(image, number) for number, image in enumerate(decoded(result.output))) > 240


def test_segments_do_not_show(clip: Path, tmp_path: Path) -> None:
    """With an exact encoder and nothing remembered, cutting changes nothing."""
    hashes = set()
    for seconds in (0.8, 1.7, 60.0):
        with fake_engine(tmp_path, segment_seconds=seconds) as engine:
            run(engine, clip, tmp_path / "out.mkv", "marker", output_video_encoder="ffv1")
        hashes.add(frames_hash(tmp_path / "out.mkv"))
    assert len(hashes) == 1


def test_memory_of_a_processor_is_there_again_at_the_start_of_a_segment(clip: Path, tmp_path: Path) -> None:
    """Echo halves the past with each frame, so that after the warm-up nothing of the cut is left."""
    results = []
    for seconds in (1.0, 60.0):
        with fake_engine(tmp_path, segment_seconds=seconds) as engine:
            run(engine, clip, tmp_path / "out.mkv", "echo", output_video_encoder="ffv1")
        results.append(np.stack(decoded(tmp_path / "out.mkv")).astype(int))
    assert abs(results[0] - results[1]).max() <= 1


BLIND = (*range(22, 27), *range(47, 53), 70)


def test_faces_between_two_sightings_are_filled_in_across_the_edges_of_segments(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 100, gop=25, blind=BLIND, sound=False)
    hashes = set()
    for seconds in (1.0, 60.0):
        with fake_engine(tmp_path, segment_seconds=seconds) as engine:
            result = run(engine, clip, tmp_path / "out.mkv", "coverer", output_video_encoder="ffv1")
        images = decoded(tmp_path / "out.mkv")
        assert result.faces == 100
        for number, image in enumerate(images):
            expected = 128 if number in BLIND else 255
            assert abs(box_value(image, number) - expected) < 30, number
        hashes.add(frames_hash(tmp_path / "out.mkv"))
    assert len(hashes) == 1


def test_without_looking_ahead_such_faces_are_missed(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 60, blind=(30, 31), sound=False)
    with fake_engine(tmp_path) as engine:
        result = run(engine, clip, tmp_path / "out.mp4", "marker")
        assert result.faces == 58
        result = run(
            engine, clip, tmp_path / "out.mp4", "marker", face_tracker_score=0.3, target_frame_amount=3
        )
        assert result.faces == 60


@pytest.mark.parametrize(("rate", "frames"), [(10.0, 40), (12.5, 50), (60.0, 240), (1.0, 4)])
def test_another_frame_rate_keeps_the_duration(
    engine: Engine, clip: Path, tmp_path: Path, rate: float, frames: int
) -> None:
    result = run(engine, clip, tmp_path / "out.mp4", "marker", output_video_fps=rate)
    shown = times(result.output)
    assert result.frames == frames
    assert shown == [Fraction(number) / Fraction(rate) for number in range(frames)]
    for number, image in enumerate(decoded(result.output)):
        assert box_value(image, int(number * 25 / rate + 1e-9)) > 235
    assert sound_packets(result.output) == sound_packets(clip)


def test_a_new_rate_for_irregular_times(engine: Engine, tmp_path: Path) -> None:
    pattern = [TICKS * time for time in (0, 1, 2, 10, 11, 12, 13, 30, 31, 50)]
    clip = make_clip(tmp_path / "clip.mp4", 10, times=pattern, sound=False)
    result = run(engine, clip, tmp_path / "out.mp4", "marker", output_video_fps=12.5)
    shown = [2 * TICKS * tick for tick in range(result.frames)]
    sources = [max(number for number, time in enumerate(pattern) if time <= tick) for tick in shown]
    for number, image in zip(sources, decoded(result.output), strict=True):
        assert box_value(image, number) > 235
    assert 26 <= result.frames <= 29


def test_the_rate_that_the_target_has_leaves_its_times_alone(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 30, sound=False)
    run(engine, clip, tmp_path / "out.mp4", "inverter", output_video_fps=25.0)
    assert times(tmp_path / "out.mp4") == times(clip)


def test_a_part_of_the_target(engine: Engine, clip: Path, tmp_path: Path) -> None:
    result = run(engine, clip, tmp_path / "out.mp4", "marker", trim_frame_start=33, trim_frame_end=71)
    assert result.frames == 38
    assert times(result.output) == times(clip)[:38]
    for number, image in enumerate(decoded(result.output)):
        assert box_value(image, number + 33) > 235
    assert probe(result.output).audio is not None


def test_an_empty_part_is_refused(engine: Engine, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="empty"):
        run(engine, clip, tmp_path / "out.mp4", "marker", trim_frame_start=50, trim_frame_end=50)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("processor", "options", "size"),
    [
        ("inverter", {"output_video_scale": 0.5}, (80, 60)),
        ("inverter", {"output_video_scale": 2.0}, (320, 240)),
        ("doubler", {}, (320, 240)),
        ("doubler", {"output_video_scale": 1.0}, (160, 120)),
    ],
)
def test_sizes(
    engine: Engine, tmp_path: Path, processor: str, options: dict[str, float], size: tuple[int, int]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 5, sound=False)
    run(engine, clip, tmp_path / "out.mp4", processor, **options)
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height) == size


def test_transparency_reaches_formats_that_hold_it_and_becomes_white_in_others(
    engine: Engine, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 6, sound=False)
    run(engine, clip, tmp_path / "out.webm", "cutout")
    run(engine, clip, tmp_path / "out.mp4", "cutout")
    assert probe(tmp_path / "out.webm").video is not None
    assert probe(tmp_path / "out.webm").video.has_alpha  # type: ignore[union-attr]
    first = decoded(tmp_path / "out.mp4")[0]
    assert first[:, :70].min() > 245
    assert first[:, 90:].mean() < 200


def test_sound_is_converted_replaced_or_left_out(engine: Engine, clip: Path, tmp_path: Path) -> None:
    result = run(engine, clip, tmp_path / "out.webm", "inverter", output_video_quality=30)
    assert probe(result.output).audio.codec == "opus"  # type: ignore[union-attr]
    assert any("encoded again" in notice for notice in result.notices)
    run(engine, clip, tmp_path / "silent.mp4", "inverter", output_audio_volume=0)
    assert probe(tmp_path / "silent.mp4").audio is None
    with av.open(str(tmp_path / "voice.wav"), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 96000), np.int16), "s16", "stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
    step = Step(clip, tmp_path / "voice.mp4", (tmp_path / "voice.wav",), ("inverter",))
    engine.run(step)
    assert sound_packets(tmp_path / "voice.mp4") != sound_packets(clip)


def test_outputs_are_marked(engine: Engine, clip: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.webm"):
        run(engine, clip, tmp_path / name, "marker", trim_frame_end=3)
        assert read_marks(tmp_path / name) == Marks(COMPOSITE, operations=("marker",))
    run(engine, tmp_path / "a.mp4", tmp_path / "b.mp4", "inverter")
    assert read_marks(tmp_path / "b.mp4") == Marks(COMPOSITE, operations=("marker", "inverter"))
    run(engine, clip, tmp_path / "c.mp4", "inverter", trim_frame_end=3)
    assert read_marks(tmp_path / "c.mp4") == Marks(ENHANCED, operations=("inverter",))
    run(engine, clip, tmp_path / "d.mp4", "inverter", trim_frame_end=3, output_marking=False)
    assert read_marks(tmp_path / "d.mp4") is None


def test_a_video_without_faces_passes_through_with_a_notice(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 10, boxes=False)
    result = run(engine, clip, tmp_path / "out.mp4", "marker")
    assert (result.frames, result.faces) == (10, 0)
    assert any("No face" in notice for notice in result.notices)


def test_a_video_cannot_become_a_picture(engine: Engine, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="is a video, so the output must be one too"):
        run(engine, clip, tmp_path / "out.png", "inverter")
    with pytest.raises(OptionError, match="does not fit"):
        run(engine, clip, tmp_path / "out.mp4", "inverter", workflow_mode="image-to-image")
    assert left_over(tmp_path) == []


def test_a_torn_video_gives_what_it_has(engine: Engine, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", 100, sound=False)
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) * 2 // 3])
    result = run(engine, clip, tmp_path / "out.mp4", "inverter")
    assert 40 < result.frames < 90
    assert len(decoded(result.output)) == result.frames


class Counting(Inverter):
    """Notes how far decoding is ahead of the work, and fails or cancels on request."""

    def __init__(self, analyser: FakeAnalyser) -> None:
        self.analyser = analyser
        self.ahead = 0
        self.processed: list[int] = []
        self.act: Callable[[int], None] = lambda index: None

    needs_faces = True

    def process(self, frame: FrameContext, state: InverterOptions) -> None:
        self.processed.append(frame.index)
        self.act(frame.index)
        self.ahead = max(self.ahead, len(self.analyser.updates) - len(self.processed))


@pytest.fixture
def counting() -> Counting:
    return Counting(FakeAnalyser())


def test_few_frames_are_in_flight(counting: Counting, clip: Path, tmp_path: Path) -> None:
    pause = threading.Event()
    counting.act = lambda index: pause.wait(0.002) and None
    with fake_engine(tmp_path, counting.analyser, processors={"inverter": counting}, threads=2) as engine:
        run(engine, clip, tmp_path / "out.mp4", "inverter")
    assert sorted(counting.processed) == list(range(100))
    assert counting.ahead <= 10


@pytest.mark.parametrize("threads", [1, 3])
def test_cancel_is_seen_within_one_frame(
    counting: Counting, clip: Path, tmp_path: Path, threads: int
) -> None:
    cancel = Cancel()
    counting.act = lambda index: cancel.set() if index == 36 else None
    settings = {"threads": threads, "segment_seconds": 1.0}
    with fake_engine(tmp_path, counting.analyser, processors={"inverter": counting}, **settings) as engine:
        step = Step(clip, tmp_path / "out.mp4", processors=("inverter",))
        with pytest.raises(Canceled):
            engine.run(step, cancel=cancel)
        assert no_threads_left()
        assert len(counting.processed) <= 37 + 2 * threads
        finished = [name for name in left_over(tmp_path) if name.endswith(".mp4")]
        assert len(finished) == 1
        counting.processed.clear()
        result = engine.run(step)
    assert result.resumed_segments == 1
    assert min(counting.processed) > 10
    assert len(decoded(result.output)) == 100
    assert left_over(tmp_path, "out.mp4") == []


def test_a_cancelled_run_does_not_begin(engine: Engine, clip: Path, tmp_path: Path) -> None:
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Canceled):
        engine.run(Step(clip, tmp_path / "out.mp4", processors=("inverter",)), cancel=cancel)
    assert left_over(tmp_path) == []


def test_a_broken_processor_ends_the_run_with_its_own_error(
    engine: Engine, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="this processor is broken"):
        run(engine, clip, tmp_path / "out.mp4", "failing")
    assert no_threads_left()
    assert left_over(tmp_path) == []


def test_an_error_of_the_analysis_ends_the_run(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeTracker, image: Any, index: int) -> Any:
        raise MemoryError("too little")

    monkeypatch.setattr(FakeTracker, "update", fail)
    with fake_engine(tmp_path) as engine, pytest.raises(MemoryError, match="too little"):
        run(engine, clip, tmp_path / "out.mp4", "marker")
    assert no_threads_left()
    assert left_over(tmp_path) == []


def test_an_error_of_the_listener_ends_the_run(engine: Engine, clip: Path, tmp_path: Path) -> None:
    def listen(progress: Progress) -> None:
        if progress.stage == "process" and progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run(Step(clip, tmp_path / "out.mp4", processors=("inverter",)), on_progress=listen)
    assert no_threads_left()
    assert [name for name in left_over(tmp_path) if "part-" in name or name == "out.mp4"] == []


def test_two_engines_with_different_settings_at_once(clip: Path, tmp_path: Path) -> None:
    strengths, failures = (255, 200), []

    def work(strength: int) -> None:
        folder = tmp_path / str(strength)
        folder.mkdir()
        try:
            with fake_engine(folder, threads=1 + strength % 2, segment_seconds=strength / 100) as engine:
                run_options = {"inverter_strength": strength}
                step = Step(clip, folder / "out.mp4", processors=("inverter",), options=run_options)
                engine.run(step)
        except MienError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(strength,)) for strength in strengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for strength in strengths:
        images = decoded(tmp_path / str(strength) / "out.mp4")
        assert len(images) == 100
        for number in (0, 50, 99):
            expected = strength - np.minimum(picture(number).astype(int), strength)
            assert abs(images[number][80:].astype(int) - expected[80:]).mean() < 4


def test_two_runs_of_one_step_at_once(clip: Path, tmp_path: Path) -> None:
    results, messages = [], []
    with fake_engine(tmp_path, segment_seconds=1.0) as engine:

        def work(name: str) -> None:
            options = {"inverter_delay": 0.002}
            step = Step(clip, tmp_path / name, processors=("inverter",), options=options)
            results.append(engine.run(step, on_progress=lambda progress: messages.append(progress.message)))

        threads = [threading.Thread(target=work, args=(name,)) for name in ("a.mp4", "b.mp4")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 2
    assert frames_hash(tmp_path / "a.mp4") == frames_hash(tmp_path / "b.mp4")
    assert any("waiting for another run" in message for message in messages)
    assert left_over(tmp_path, "a.mp4", "b.mp4") == []


def test_changed_options_or_files_are_other_work(counting: Counting, clip: Path, tmp_path: Path) -> None:
    """Segments of an interrupted run are used only for exactly the same work."""
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(clip.read_bytes())
    cancel = Cancel()
    counting.act = lambda index: cancel.set() if index == 55 else None
    changes: list[dict[str, Any]] = [
        {"output_video_quality": 70},
        {"trim_frame_end": 90},
        {"inverter_strength": 9},
    ]
    with fake_engine(
        tmp_path, counting.analyser, processors={"inverter": counting}, segment_seconds=1.0, threads=1
    ) as engine:

        def resumed(**options: Any) -> int:
            step = Step(copy, tmp_path / "out.mp4", processors=("inverter",), options=options)
            return engine.run(step).resumed_segments

        with pytest.raises(Canceled):
            engine.run(Step(copy, tmp_path / "out.mp4", processors=("inverter",)), cancel=cancel)
        counting.act = lambda index: None
        assert [resumed(**change) for change in changes] == [0, 0, 0]
        os.utime(copy, ns=(1, 1))
        assert resumed() == 0
        make = Step(
            copy, tmp_path / "other.mp4", processors=("inverter",), options={"output_audio_volume": 50}
        )
        cancel = Cancel()
        counting.act = lambda index: cancel.set() if index == 55 else None
        with pytest.raises(Canceled):
            engine.run(make, cancel=cancel)
        counting.act = lambda index: None
        assert resumed() == 2


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[MountDisk]:
    folders: list[Path] = []

    def mount_disk(options: str) -> Path:
        folder = tmp_path / f"disk{len(folders)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.name != "posix" or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small disk needs root")
        folders.append(folder)
        return folder

    yield mount_disk
    for folder in folders:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_under_the_output(engine: Engine, clip: Path, tmp_path: Path, mount: MountDisk) -> None:
    disk = mount("size=40k")
    with pytest.raises(DiskFull, match="full"):
        run(engine, clip, disk / "out.mp4", "inverter")
    assert list(disk.iterdir()) == []
    result = run(engine, clip, tmp_path / "out.mp4", "inverter")
    assert result.resumed_segments == 5


def test_a_full_disk_under_the_work_folder(clip: Path, tmp_path: Path, mount: MountDisk) -> None:
    disk = mount("size=40k")
    with fake_engine(tmp_path, work_dir=disk / "work") as engine, pytest.raises(DiskFull, match="full"):
        run(engine, clip, tmp_path / "out.mp4", "inverter")
    assert no_threads_left()
    assert [path for path in disk.rglob("*") if path.is_file()] == []
    assert not (tmp_path / "out.mp4").exists()


def test_read_only_folders(engine: Engine, clip: Path, tmp_path: Path, mount: MountDisk) -> None:
    disk = mount("ro,size=64k")
    with pytest.raises(OutputNotWritable):
        run(engine, clip, disk / "out.mp4", "inverter")
    with fake_engine(tmp_path, work_dir=disk / "work") as other, pytest.raises(OutputNotWritable):
        run(other, clip, tmp_path / "out.mp4", "inverter")
    assert left_over(tmp_path) == []


def test_all_processors_of_the_tests_say_what_they_are() -> None:
    assert all(name == processor.name for name, processor in PROCESSORS.items())
