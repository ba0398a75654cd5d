"""The recorded session of job and batch commands, replayed: exit codes, job files, and the pictures that are left."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mien.cli.main import run
from mien.cli.program import Program
from mien.media.probe import probe

NETWORKS = ("yoloface_8n*", "2dfan4*", "fan_68*", "arcface_w*", "fairface*", "nsfw_*", "xseg_*", "bisenet*")
PROCESSORS = ("hyperswap_1a*", "gfpgan_1.4*", "ddcolor*")
STAMP = re.compile(r"\d{4}(-\d{2}){5}(-\d+)?")


class WithColorizer(Program):
    """The installed processors and those that a checkout has but an older installation does not know."""

    def processors(self) -> Mapping[str, Any]:
        found = dict(super().processors())
        if "frame_colorizer" not in found:
            colorizer = pytest.importorskip("mien.processors.frame_colorizer")
            found["frame_colorizer"] = colorizer.FrameColorizer()
        return found

    def engine(self, settings: Any, *, on_notice: Any, on_download: Any) -> Any:
        from mien.pipeline.engine import Engine

        return Engine(settings, processors=self.processors(), on_notice=on_notice, on_download=on_download)


@pytest.fixture(scope="module")
def standins(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in networks with which the session was recorded."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("standins")
    words = [str(shared / "standins" / "make_standins.py"), str(folder), "--only", *NETWORKS, *PROCESSORS]
    words += ["--yunet", str(shared / "weights" / "yunet_n_dynamic.onnx")]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return folder


def test_every_step_of_the_recorded_session(
    shared: Path,
    standins: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not Program().processors():
        pytest.skip("the package is not installed, so that its processors are not known")
    monkeypatch.setenv("MIEN_MODELS_DIR", str(standins))
    monkeypatch.setenv("MIEN_MODELS_VERIFY", "off")
    monkeypatch.setenv("MIEN_WORK_DIR", str(tmp_path / "parts"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    recorded = json.loads((shared / "goldens" / "jobs.json").read_text())["steps"]
    wrong = []
    for number, step in enumerate(recorded):
        media = str(shared / "goldens" / "media")
        words = [
            word.replace("{M}", media).replace("{W}", str(tmp_path)) for word in shlex.split(step["command"])
        ]
        code = run(words, WithColorizer())
        said = capsys.readouterr()
        expected = (step["exit_code"], _expected_jobs(step), set(step["output_files"]))
        found = (code, _jobs(tmp_path, media), _outputs(tmp_path))
        if found != expected:
            wrong.append(f"{number} {step['command']}\n{said.err}\nfound    {found}\nexpected {expected}")
            break  # whatever follows builds upon it
    assert not wrong, "\n\n".join(wrong)
    video = probe(tmp_path / "out" / "cut.mp4").video
    assert video is not None
    assert (video.frame_count, video.codec) == (11, "h264")


def _expected_jobs(step: Mapping[str, Any]) -> list[str]:
    """Job files as recorded; a batch that cannot be run leaves none here."""
    jobs = step["job_files"].items()
    return _named(
        (name, job) for name, job in jobs if not (name.startswith("drafted/batch-") and not job["steps"])
    )


def _jobs(folder: Path, media: str) -> list[str]:
    paths = (folder / ".jobs").glob("*/*.json")
    texts = {path: path.read_text().replace(media, "{M}").replace(str(folder), "{W}") for path in paths}
    return _named((f"{path.parent.name}/{path.name}", json.loads(text)) for path, text in texts.items())


def _named(jobs: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Each job with its name, in which the time of an automatic one counts for nothing."""
    return sorted(f"{STAMP.sub('<stamp>', name)} {_essence(job)}" for name, job in jobs)


def _essence(job: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("source_paths", "target_path", "output_path", "trim_frame_start", "trim_frame_end", "processors")
    return {
        "version": job["version"],
        "updated": job["date_updated"] is not None,
        "steps": [(step["status"], {key: step["args"].get(key) for key in keys}) for step in job["steps"]],
    }


def _outputs(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in (folder / "out").rglob("*") if path.is_file()}
