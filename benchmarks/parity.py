"""How near mien comes to FaceFusion 3.8.1, case by case, with `--compat facefusion`.

    python benchmarks/parity.py                      all reference cases, and docs/parity.md
    python benchmarks/parity.py swap-default         some of them, printed only

The reference cases and the generator of the stand-in models lie in ../shared, beside the checkout. Every case is run
as a command, in this process, with the stand-in models that the references were made with (they are made anew into the
cache folder, and compared by their hashes). A picture is compared with FaceFusion's own; of a video the frames are
compared before they are encoded, and once more after decoding the file.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.cli.main import run as run_words
from mien.cli.program import Program
from mien.media.reader import VideoReader
from mien.media.writer import VideoWriter
from mien.pipeline.engine import Engine
from mien.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
REPORT = ROOT / "docs" / "parity.md"
LIMIT = 1.0
"""Mean absolute error, over the pixels that either program changes, up to which a case counts as repeated."""

REAL = {"scrfd_2.5g.onnx": "scrfd_2.5g.onnx", "yunet_2023_mar.onnx": "yunet_n_640_640.onnx"}
"""Detectors that the references were made with instead of a stand-in: name of the model, name of the file."""

Image = NDArray[np.uint8]


class Missing(Exception):
    """What the comparison needs is not here."""


@dataclass(frozen=True)
class Shown:
    """Frames of one run: as they went to the encoder, by their number in the output."""

    frames: dict[int, Image]
    runs: dict[str, int]
    code: int
    said: str


@dataclass(frozen=True)
class Figures:
    """What one case came to. Errors are in levels of 0 to 255; None where there is nothing to compare."""

    case: str
    words: str
    code: int
    expected_code: int
    error: float | None
    largest: int
    decoded: float | None
    runs: int
    expected_runs: int
    more: tuple[str, ...]
    """Models that ran more often than in FaceFusion."""
    remark: str = ""

    @property
    def passed(self) -> bool:
        """Whether exit code, picture and model runs are as they should be."""
        near = self.error is None or self.error <= LIMIT
        return near and self.code == self.expected_code and not self.more and not self.remark


@dataclass(frozen=True)
class References:
    """The reference cases, and a folder with the stand-in models."""

    folder: Path
    models: Path

    @cached_property
    def index(self) -> dict[str, Any]:
        """The list of all cases, and what they were made with."""
        found: dict[str, Any] = json.loads((self.folder / "index.json").read_text())
        return found

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        """The cases by their names."""
        return {case["id"]: case for case in self.index["cases"]}

    def compare(self, name: str, output: Path) -> Figures:
        """Run one case; its output goes into the folder ``output``."""
        case = self.cases[name]
        words = [self._placed(word, output) for word in case["words"]]
        target, result = Path(words[words.index("-t") + 1]), Path(words[words.index("-o") + 1])
        result.unlink(missing_ok=True)
        stored = case.get("pictures") or {}
        start = int(words[words.index("--trim-frame-start") + 1]) if "--trim-frame-start" in words else 0
        numbers = {int(Path(file).stem.removeprefix("frame-")) - start: file for file in stored}
        shown = run_command([*words, "--compat", "facefusion"], self.models, output, frozenset(numbers))
        errors: tuple[float | None, int, float | None, str] = None, 0, None, ""
        if shown.code == 0 == case["exit_code"]:
            try:
                errors = (
                    self._video(case, shown, numbers, start, target, result)
                    if stored
                    else (*self._picture(case, target, result), None, "")
                )
            except (ValueError, KeyError) as fault:
                errors = None, 0, None, str(fault)
        allowed = case["model_run_counts"]
        more = tuple(sorted(file for file, count in shown.runs.items() if count > allowed.get(file, 0)))
        return Figures(
            name,
            " ".join(case["words"][1:]),
            shown.code,
            case["exit_code"],
            *errors[:3],
            sum(shown.runs.values()),
            sum(allowed.values()),
            more,
            errors[3]
            or (shown.said if shown.code != case["exit_code"] or "nternal error" in shown.said else ""),
        )

    def _placed(self, word: str, output: Path) -> str:
        return word.replace("{M}", str(self.folder / "media")).replace("{O}", str(output))

    def _picture(self, case: Mapping[str, Any], target: Path, result: Path) -> tuple[float, int]:
        got = cv2.imread(str(result), cv2.IMREAD_UNCHANGED)
        before = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
        if "picture" in case:
            expected = self._whole(case, case["picture"], before)
        else:
            expected = cv2.imread(str(self.folder / case["id"] / f"output{result.suffix}"))
        return difference(got, expected, before)

    def _video(
        self,
        case: Mapping[str, Any],
        shown: Shown,
        numbers: Mapping[int, str],
        start: int,
        target: Path,
        result: Path,
    ) -> tuple[float, int, float, str]:
        """The worst of all stored frames: before encoding, and after decoding."""
        before = frames_of(target, {start + number for number in numbers})
        after = frames_of(result, set(numbers))
        pairs, decoded = [], []
        for number, file in numbers.items():
            unchanged = before[start + number]
            expected = self._whole(case, case["pictures"][file], unchanged)
            pairs.append(difference(shown.frames[number], expected, unchanged))
            decoded.append(difference(after[number], expected, unchanged, of=expected)[0])
        return max(pair[0] for pair in pairs), max(pair[1] for pair in pairs), max(decoded), ""

    def _whole(self, case: Mapping[str, Any], stored: Mapping[str, Any], before: Image) -> Image:
        """The whole picture, of which a part may be stored; the rest is the target."""
        if stored.get("same_as_target"):
            return before
        part = np.asarray(cv2.imread(str(self.folder / case["id"] / stored["file"]), cv2.IMREAD_UNCHANGED))
        if list(part.shape[1::-1]) == list(stored["full_size"]):
            return part
        (x, y), (height, width) = stored["offset_xy"], part.shape[:2]
        whole = before.copy()
        whole[y : y + height, x : x + width] = part
        return whole


def difference(got: Image, expected: Image, before: Image, of: Image | None = None) -> tuple[float, int]:
    """Mean and largest absolute difference over the pixels that differ from the target in either picture.

    With ``of`` only those that this one changes count: a decoded video changes all.
    """
    if got is None or got.shape != expected.shape:
        raise ValueError(f"the size is {None if got is None else got.shape}, not {expected.shape}")
    off = np.abs(got.astype(int) - expected)
    if expected.shape[:2] != before.shape[:2]:
        return float(off.mean()), int(off.max())
    before = before[..., : expected.shape[2]] if before.ndim == 3 else before[..., None]
    pictures = (got, expected) if of is None else (of,)
    changed = np.any([(each[..., : before.shape[2]] != before).any(axis=2) for each in pictures], axis=0)
    return (float(off[changed].mean()), int(off[changed].max())) if changed.any() else (0.0, 0)


def frames_of(path: Path, numbers: set[int]) -> dict[int, Image]:
    """Some frames of a video by their numbers."""
    found = {}
    with VideoReader(path, threads=1) as reader:
        for frame in reader:
            if frame.index in numbers:
                found[frame.index] = frame.image
            if len(found) == len(numbers):
                break
    return found


def run_command(words: Sequence[str], models: Path, folder: Path, wanted: frozenset[int]) -> Shown:
    """Run one command line, and look at what its engine did."""
    runs: dict[str, int] = {}
    frames: dict[int, Image] = {}

    class Watched(Engine):
        def close(self) -> None:
            for path, count in self.runtime.loaded.items():
                if count:
                    runs[Path(path).name] = count
            super().close()

    class Recorder(VideoWriter):
        def write(self, image: Image, pts: int, alpha: Image | None = None) -> None:
            if self.frames in wanted:
                frames[self.frames] = image.copy()
            super().write(image, pts, alpha)

    class Here(Program):
        def settings(self) -> Settings:
            return Settings(
                models_dir=models, models_verify=False, cache_dir=folder / "cache", segment_seconds=1e6
            )

        def engine(self, settings: Settings, **given: Callable[[Any], None]) -> Engine:
            return Watched(settings, **given)

    said = io.StringIO()
    with (
        mock.patch("mien.pipeline.video.VideoWriter", Recorder),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(said),
    ):
        extra = ["--jobs-path", str(folder / "jobs"), "--temp-path", str(folder / "temp")]
        code = run_words([*words, *extra], Here())
    lines = said.getvalue().strip().splitlines()
    return Shown(frames, runs, code, lines[-1] if lines else "")


def references(shared: Path, models: Path | None = None) -> References:
    """The cases, with stand-ins that are made if they are not there. Raises Missing with one sentence."""
    goldens, generator = shared / "goldens", shared / "standins" / "make_standins.py"
    for needed in (goldens / "index.json", generator):
        if not needed.is_file():
            raise Missing(f"The reference cases are not here: {needed} is missing.")
    folder = models or Settings.from_environment().cache_folder() / "standins-small"
    found = References(goldens, folder)
    if not (folder / "manifest.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        yunet = shared / "weights" / found.index["standins"]["yunet"]
        words = [sys.executable, str(generator), str(folder), "--yunet", str(yunet)]
        made = subprocess.run(words, capture_output=True, text=True)
        if made.returncode:
            reason = (made.stderr.strip().splitlines() or ["no reason was given"])[-1]
            raise Missing(f"The stand-in models cannot be made ({reason}); they need the package onnx.")
        for name, file in REAL.items():
            shutil.copy(shared / "weights" / file, folder / name)
    return found


def other_bytes(found: References) -> list[str]:
    """Stand-ins that differ from those of the references: another release of onnx writes other bytes."""
    hashes: Mapping[str, str] = found.index["standins"]["sha256"]
    return [
        name
        for name, digest in hashes.items()
        if hashlib.sha256((found.models / name).read_bytes()).hexdigest() != digest
    ]


def table(figures: Sequence[Figures]) -> Iterator[str]:
    """The figures as lines of Markdown."""
    yield "| case | exit code | mean error | largest | decoded | model runs | FaceFusion's | |"
    yield "|---|---|---|---|---|---|---|---|"
    for each in figures:
        code = str(each.code) if each.code == each.expected_code else f"{each.code}, not {each.expected_code}"
        error = "" if each.error is None else f"{each.error:.4f}"
        largest = "" if each.error is None else str(each.largest)
        decoded = "" if each.decoded is None else f"{each.decoded:.2f}"
        note = each.remark or (f"more runs of {', '.join(each.more)}" if each.more else "")
        near = f"within {each.largest}" if each.largest else "equal"
        verdict = near if each.passed else f"**differs** {note}"
        yield (
            f"| `{each.case}` | {code} | {error} | {largest} | {decoded} | {each.runs} | {each.expected_runs} "
            f"| {verdict} |"
        )


def report(figures: Sequence[Figures], versions: Mapping[str, str]) -> str:
    """The document."""
    passed = sum(each.passed for each in figures)
    worst = max((each.error or 0.0 for each in figures), default=0.0)
    lines = [
        "# How near mien comes to FaceFusion",
        "",
        "Written by `make parity`. Each case is a `headless-run` command that FaceFusion 3.8.1 was given, with small",
        "stand-in models in the place of the real ones: they tell whether networks are fed, and their answers used, in",
        "the same way. mien got the same words and `--compat facefusion`; see [compatibility](compatibility.md) for",
        "what that means, and for what mien does otherwise without it.",
        "",
        f"{passed} of {len(figures)} cases are repeated; the largest mean error is {worst:.4f}.",
        "",
        "* **mean error**, **largest**: absolute difference in levels of 0 to 255, the mean over all pixels that",
        "  either program changes. In videos of the worst of the compared frames, before it is encoded.",
        "* **decoded**: the same mean for the frame as the finished file shows it. It is the loss of the encoder",
        "  (half the chroma, x264 at CRF 10), which FaceFusion's file has as well.",
        "* **model runs**: runs of all networks. None runs more often than in FaceFusion; fewer where FaceFusion",
        "  computes what nobody reads.",
        "",
        f"References: {', '.join(f'{name} {version}' for name, version in versions.items())}.",
        "",
        *table(figures),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Compare, print, and write the document if all cases were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="names of cases; all when left out")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of the references")
    parser.add_argument("--models", type=Path, help="folder of the stand-in models")
    given = parser.parse_args()
    try:
        found = references(given.shared, given.models)
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name in given.cases or found.cases:
            figures.append(found.compare(name, Path(folder)))
            print(list(table(figures))[-1], flush=True)
    for name in other_bytes(found):
        print(f"The stand-in {name} has other bytes than that of the references.", file=sys.stderr)
    if not given.cases:
        REPORT.write_text(report(figures, found.index["versions"]))
    return 0 if all(each.passed for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
