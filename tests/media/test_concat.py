from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.cli.showcase import with_sound, write_chord
from mien.errors import OutputError
from mien.media.concat import concat
from mien.media.probe import probe
from mien.media.reader import VideoReader
from mien.media.writer import VideoSpec, VideoWriter
from tests.media.clips import frame_number, make_clip

Image = NDArray[np.uint8]


def clip(
    path: Path, count: int, *, quality: int = 80, sound: bool = True, size: tuple[int, int] = (96, 64)
) -> Path:
    encoder = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    spec = VideoSpec(*size, Fraction(1, 25), Fraction(25), quality=quality, encoder=encoder)
    silent = path.with_name(f"{path.stem}-silent.{'mkv' if encoder == 'libvpx-vp9' else 'mp4'}")
    noise = np.random.default_rng(0).integers(0, 60, (size[1], size[0], 3))
    with VideoWriter(silent, spec) as writer:
        for index in range(count):
            writer.write((noise + index * 4).astype(np.uint8), index)
    if not sound:
        return silent
    chord = path.with_name("chord.wav")
    write_chord(chord)
    with_sound(silent, chord, path)
    return path


def frames(paths: Sequence[Path]) -> list[Image]:
    found = []
    for path in paths:
        with VideoReader(path) as reader:
            found += [frame.image.copy() for frame in reader]
    return found


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "webm"])
@pytest.mark.parametrize("quality", [80, 40])
def test_every_picture_and_the_sound_are_kept(tmp_path: Path, ending: str, quality: int) -> None:
    parts = [clip(tmp_path / f"a.{ending}", 25), clip(tmp_path / f"b's.{ending}", 11, quality=quality)]
    parts.append(parts[0])
    output = tmp_path / f"it's.{ending}"
    assert concat(parts, output) == ()
    with VideoReader(output) as reader:
        times = [frame.time for frame in reader]
    assert times == pytest.approx([index / 25 for index in range(61)], abs=0.0011)
    expected, found = frames(parts), frames([output])
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    info, part = probe(output), probe(parts[0])
    assert info.audio == part.audio
    assert info.duration == pytest.approx(61 / 25, abs=0.05)


def test_sound_that_not_all_parts_have_is_left_out(tmp_path: Path) -> None:
    parts = [clip(tmp_path / "a.mp4", 5), clip(tmp_path / "b.mp4", 5, sound=False)]
    (notice,) = concat(parts, tmp_path / "o.mp4")
    assert "sound" in notice
    assert probe(tmp_path / "o.mp4").audio is None


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    parts = [clip(tmp_path / "a.mp4", 5), clip(tmp_path / "b.mp4", 5, size=(64, 64))]
    (tmp_path / "o.mp4").write_text("old")
    with pytest.raises(OutputError, match="96×64"):
        concat(parts, tmp_path / "o.mp4")
    assert (tmp_path / "o.mp4").read_text() == "old"
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name]


@pytest.mark.parametrize(("encoder", "between"), [("libx264", 0), ("libx264", 2), ("mpeg4", 0), ("mpeg4", 2)])
def test_avi_files_keep_their_times(tmp_path: Path, encoder: str, between: int) -> None:
    preset = {"preset": "veryfast"} if encoder == "libx264" else {}
    more = {"encoder": encoder, "options": {"bf": str(between), **preset}}
    parts = [make_clip(tmp_path / f"{frames}.avi", frames=frames, **more) for frames in (14, 9)]  # type: ignore[arg-type]
    assert concat([*parts, parts[0]], tmp_path / "o.avi") == ()
    with VideoReader(tmp_path / "o.avi") as reader:
        found = [(frame.time, frame_number(frame.image)) for frame in reader]
    assert [number for _, number in found] == [*range(14), *range(9), *range(14)]
    assert [time for time, _ in found] == pytest.approx([index / 25 for index in range(37)])


def test_avi_files_of_different_rates_are_joined_if_one_rate_fits_both(tmp_path: Path) -> None:
    parts = [
        make_clip(tmp_path / f"{rate.numerator}.avi", frames=6, encoder="libx264", rate=rate)
        for rate in (Fraction(25), Fraction(50), Fraction(30000, 1001))
    ]
    assert concat(parts[:2], tmp_path / "o.avi") == ()
    with VideoReader(tmp_path / "o.avi") as reader:
        times = [frame.time for frame in reader]
    assert times == pytest.approx(
        [index / 25 for index in range(6)] + [0.24 + index / 50 for index in range(6)]
    )
    with pytest.raises(OutputError, match="only one"):
        concat([parts[0], parts[2]], tmp_path / "o.avi")
